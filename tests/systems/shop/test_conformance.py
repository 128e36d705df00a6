"""The service answers as the model does: with every way to take stock, and when it is asked through a door."""

from __future__ import annotations

import pytest

from fathom.engines.wire import Wire
from fathom.systems.shop.api import Shop
from fathom.systems.shop.model import ShopModel
from fathom.web.remote import Doorway, remote
from tests.features import feature

from .twins import Twins
from .world import SHOP, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@feature("SHOP-07", "SHOP-08", "SHOP-22")
@pytest.mark.parametrize("approach", sorted(SHOP.decision("stock").approaches))
async def test_it_answers_as_the_model_does(world: World, approach: str):
    async with world.open({"stock": approach}) as shop:
        twins = Twins(ShopModel(world.clock), shop, world.stores, world.clock, seed=7)
        await twins.opens()
        for _ in range(100 if approach == "conditional-update" else 45):
            await twins.step()
        await shop.settled()
        for item in twins.items:
            await twins.ask("level", item)
        for order in {order for _, order in twins.orders}:
            await twins.ask("history", twins.users[0], order)
        for after in range(0, 400, 100):
            await twins.ask("events", twins.users[0], after)
        for verb in ("sales", "tallies"):
            await twins.ask(verb, twins.users[0])
        assert len({status for _, status in twins.seen}) > 2, "it was not about much"


async def test_it_answers_through_a_door_as_the_model_does(world: World):
    path = world.engines.keeper.folder / "shop.sock"
    async with world.open() as shop:
        wire = Wire(f"unix:{path}", connections=4)
        async with Doorway(Shop, shop).open(str(path)), wire.open():
            twins = Twins(ShopModel(world.clock), remote(Shop, wire), world.stores, world.clock, seed=8)
            await twins.opens()
            for _ in range(60):
                await twins.step()
