"""A service that is killed at each step in turn: nothing is sold twice, no money is lost, and no order is stuck."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fathom.engines.wire import Wire
from fathom.history import tried
from fathom.systems.shop import laws
from fathom.systems.shop.api import Shop, UserId
from fathom.systems.shop.stores.provider import FLAKY, Behaviour
from fathom.web.remote import remote
from tests.features import feature

from .buyers import Buyers, judged
from .lives import Lives
from .strokes import CHANGES
from .world import SHOP, World

pytestmark = pytest.mark.asyncio(loop_scope="session")
SOON = {"sweep_s": 0.05, "ask_again_s": 0.4, "back_s": 0.5}


def _spec(world: World, folder: Path, chosen: dict[str, str]) -> dict[str, Any]:
    stores = world.stores
    return {
        "system": str(SHOP.folder),
        "package": SHOP.package,
        "choices": {name: {"approach": approach} for name, approach in chosen.items()},
        "engines": {name: getattr(stores, name).where for name in ("truth", "cache", "queue", "files", "bank")},
        "socket": str(folder / "shop.sock"),
    }


@pytest.mark.slow
@pytest.mark.parametrize("transaction", ["saga", "two-phase", "one-database"])
@feature("SHOP-18", "SHOP-19", "SHOP-21", "SHOP-22")
async def test_killed_after_each_change_in_turn_it_sells_each_unit_once_and_answers_everybody(
    world: World, transaction: str
) -> None:
    async with world.open() as shop:  # for what there is to be sold
        (item,) = await world.goods(shop, 20)
    staff, first, *users = (await world.users(1, staff=True)) + (await world.users(60))
    spec = _spec(world, world.engines.keeper.folder, {"transaction": transaction})
    async with Lives.open(spec, SOON) as lives:
        await lives.live(record=True)
        wire = Wire(f"unix:{spec['socket']}", connections=8, deadline_s=5.0)
        async with wire.open():
            client = remote(Shop, wire)
            buyers = Buyers(item.id, staff, [first], units=20)
            await buyers.buy(client)
            lives.kill()
            places = dict.fromkeys(label for label in await lives.ended() if CHANGES.match(label.partition(" ")[2]))
            steps = [label.partition(" ")[2] for label in places if label.startswith("after")]
            assert len(steps) >= {"saga": 12, "two-phase": 12, "one-database": 8}[transaction]
            await world.stores.bank.client.behave(Behaviour(rates=FLAKY, seed=11, late_s=0.3, swapped_s=0.1))
            await _die_at_each(lives, buyers, client, steps, users)
            await wire.wait_up(20.0)
            await world.stores.bank.client.let_pass()
            await client.settled()
            await buyers.look(client)
            level = await client.level(item.id)
    history = buyers.history()
    assert judged(history) == []
    assert tried(laws.money_equals_the_orders, history) >= 20
    answers = list(buyers.answers.values())
    assert len(answers) == len(users) + 1
    assert (answers.count("confirmed"), level.sold, level.held) == (20, 20, 0)


async def _die_at_each(lives: Lives, buyers: Buyers, client: Any, steps: list[str], users: list[UserId]) -> None:
    """Have the service killed at one step after another, each by buyers who come one by one until one gets there."""
    coming, buying = iter(users), set[asyncio.Task[None]]()
    for step in steps:
        await lives.live(step)
        ending = asyncio.create_task(lives.ended())
        while not ending.done():
            buying.add(asyncio.create_task(buyers.one(client, next(coming))))
            await asyncio.wait({*buying, ending}, return_when=asyncio.FIRST_COMPLETED)
            buying = {task for task in buying if not task.done()}
    await lives.live()
    await asyncio.gather(*buying, *(buyers.one(client, user) for user in coming))
