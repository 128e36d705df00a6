"""A service that is killed at each step in turn: nothing is sold twice, no money is lost, and no order is stuck."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from fathom.engines.engine import EngineDown
from fathom.engines.wire import Wire
from fathom.errors import Refusal
from fathom.history import tried
from fathom.systems.shop import laws
from fathom.systems.shop.api import Shop
from fathom.systems.shop.service import Rules
from fathom.systems.shop.stores.phases import Pair
from fathom.systems.shop.stores.provider import FLAKY, Behaviour, Provider
from fathom.web.remote import remote
from tests.features import feature

from .buyers import Buyers, judged
from .lives import Lives
from .strokes import CHANGES, watching
from .world import SHOP, World, basket

pytestmark = pytest.mark.asyncio(loop_scope="session")
SOON = {"sweep_s": 0.05, "ask_again_s": 0.4, "back_s": 0.5}


class Story:
    """Buyers at a service that is killed at each step, or whose engines are; and what is true when all is over."""

    def __init__(
        self, world: World, bank: Any, chosen: Mapping[str, str], units: int, buyers: int, seed: int = 11
    ) -> None:
        self.world, self.bank, self.units, self.seed = world, bank, units, seed
        self.spec = {
            "system": str(SHOP.folder),
            "package": SHOP.package,
            "choices": {decision: {"approach": approach} for decision, approach in chosen.items()},
            "engines": {name: getattr(world.stores, name).where for name in ("truth", "cache", "queue", "files")},
            "socket": str(world.engines.keeper.folder / "shop.sock"),
        }
        self.spec["engines"]["bank"] = bank.where
        self.count = buyers
        self.struck = 0

    async def told(self, strikes: Callable[[Story, list[str]], Awaitable[None]]) -> None:
        """Have the first one buy, which shows the steps; then strike at them while the others buy; and judge it."""
        async with self.world.open() as shop:  # for what there is to be sold
            (item,) = await self.world.goods(shop, self.units)
        staff, first, *self.users = (await self.world.users(1, staff=True)) + (await self.world.users(self.count))
        wire = Wire(f"unix:{self.spec['socket']}", connections=8, deadline_s=5.0)
        async with Lives.open(self.spec, SOON) as self.lives:
            await self.lives.live(record=True)
            async with wire.open():
                self.client = remote(Shop, wire)
                self.buyers = Buyers(item.id, staff, [first], units=self.units, seed=self.seed)
                await self.buyers.buy(self.client)
                self.lives.kill()
                places = [place.partition(" ") for place in await self.lives.ended()]
                steps = [step for when, _, step in places if when == "after" and CHANGES.match(step)]
                await self.bank.client.behave(Behaviour(rates=FLAKY, seed=self.seed, late_s=0.3, swapped_s=0.1))
                self.coming, self.buying = iter(self.users), set[asyncio.Task[None]]()
                await strikes(self, list(dict.fromkeys(steps)))
                await self.lives.live()
                await asyncio.gather(*self.buying, *(self.buyers.one(self.client, user) for user in self.coming))
                await wire.wait_up(20.0)
                await self.bank.client.let_pass()
                await self.client.settled()
                await self.buyers.look(self.client)
                level = await self.client.level(item.id)
        history = self.buyers.history()
        assert judged(history) == []
        assert tried(laws.money_equals_the_orders, history) >= self.units
        answers = list(self.buyers.answers.values())
        assert len(answers) == self.count
        assert (answers.count("confirmed"), level.sold, level.held) == (self.units, self.units, 0)

    async def until(self, happens: asyncio.Task[Any], *, most: int = 1) -> None:
        """Let people come and buy until something happens, so many at once."""
        while not happens.done():
            if len(self.buying) < most and (user := next(self.coming, None)) is not None:
                self.buying.add(asyncio.create_task(self.buyers.one(self.client, user)))
            assert self.buying, f"everybody has bought, and it did not happen after {self.struck} strokes"
            await asyncio.wait({*self.buying, happens}, return_when=asyncio.FIRST_COMPLETED)
            self.buying = {task for task in self.buying if not task.done()}
        self.struck += 1


async def _die_at_each(story: Story, steps: list[str], *when: str) -> None:
    """Have the service killed at each change in turn: before it, after it, or both."""
    for step, at in itertools.product(steps, when or ("after",)):
        await story.lives.live(step, at)
        await story.until(asyncio.create_task(story.lives.ended()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("transaction", "steps"),
    [("saga", 12), ("one-database", 8), pytest.param("two-phase", 12, marks=pytest.mark.long)],
)
@feature("SHOP-18", "SHOP-19", "SHOP-21", "SHOP-22")
async def test_killed_after_each_change_in_turn_it_sells_each_unit_once_and_answers_everybody(
    world: World, transaction: str, steps: int
) -> None:
    story = Story(world, world.stores.bank, {"transaction": transaction}, units=28, buyers=44)
    await story.told(_die_at_each)
    assert story.struck >= steps


async def _without(engine: Any, story: Story, step: str) -> None:
    """Have an engine killed when the service is at a step, and both start again."""
    await story.lives.live(step, stands=True)
    await story.until(asyncio.create_task(story.lives.stood()))
    await engine.kill()
    story.lives.go_on()
    await engine.restart()
    story.lives.kill()
    await story.lives.ended()


@pytest.mark.slow
@feature("SHOP-19", "SHOP-22")
async def test_an_engine_that_is_killed_in_the_middle_of_a_saga_leaves_nothing_half_done(world: World) -> None:
    async def strikes(story: Story, steps: list[str]) -> None:
        charge = next(step for step in steps if step.startswith("POST"))
        middle = [*[step for step in steps if step.startswith("UPDATE sagas")][:1], "COMMIT"]
        for engine, step in [(bank, charge), *((world.engines.truth, step) for step in middle)]:
            await _without(engine, story, step)

    async with Provider.start(world.engines.keeper) as bank, bank.connected():
        story = Story(world, bank, {"transaction": "saga"}, units=12, buyers=30)
        await story.told(strikes)
    assert story.struck == 3


@pytest.mark.outside
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("struck", ["service", "truth", "bank", "cache", "queue"])
@pytest.mark.parametrize("transaction", ["one-database", "saga", "two-phase"])
async def test_500_buyers_want_100_units_while_one_thing_is_killed_at_each_step_in_turn(
    world: World, transaction: str, struck: str
) -> None:
    async with Provider.start(world.engines.keeper) as bank, bank.connected():

        async def strikes(story: Story, steps: list[str]) -> None:
            if struck == "service":
                await _die_at_each(story, steps, "before", "after")
                return
            engine = bank if struck == "bank" else getattr(world.engines, struck)
            for step in steps:
                await _without(engine, story, step)

        # Redis is killed where the stock is counted in it; nothing that is sold hangs on the queue.
        stock = "redis" if struck == "cache" else "conditional-update"
        story = Story(world, bank, {"transaction": transaction, "stock": stock}, units=100, buyers=500)
        await story.told(strikes)
    assert story.struck >= (16 if struck == "service" else 8)


@pytest.mark.slow
@pytest.mark.parametrize("left_by", ["two-phase", "saga"])
@feature("SHOP-18", "SHOP-19")
async def test_what_one_kind_of_transaction_left_half_done_is_finished_under_another(
    world: World, left_by: str
) -> None:
    async def dies(*asked: Any, **more: Any) -> None:
        raise EngineDown("the power is off", why="a test", fix="none")

    async with world.open({"transaction": left_by}) as shop:
        (item,) = await world.goods(shop, 3)
        (user,) = await world.users(1)
        order = await shop.checkout(user, basket((item.id, 1)), "one")
        with pytest.MonkeyPatch.context() as patch:
            if left_by == "saga":
                patch.setattr(type(world.choices.stock), "release", dies)
            else:
                patch.setattr(Pair, "commit", _prepares_only)
            with pytest.raises((Refusal, TimeoutError)):
                await shop.cancel(user, order.id)
        if left_by == "saga":
            assert (await shop.level(item.id)).held == 1, "cancelled, and still held"
    async with world.open({"transaction": "one-database"}, rules=Rules(back_s=0.0, sweep_s=0.05)) as shop:
        await shop.settled()
        level, after = await shop.level(item.id), await shop.order(user, order.id)
        assert (after.status, level.held) == (("cancelled", 0) if left_by == "saga" else ("pending", 1))
        assert await world.stores.phases.in_doubt(0.0) == []
        assert (await shop.pay(user, order.id, "card")).status == "confirmed" if left_by == "two-phase" else True


async def _prepares_only(pair: Pair, order: Any) -> None:
    for session, part in ((pair.orders, "orders"), (pair.stock, "stock")):
        await session.execute(f"PREPARE TRANSACTION 'shop:{order}:00000000:{part}'")
    raise EngineDown("the power is off", why="a test", fix="none")


@pytest.mark.slow
async def test_who_is_taken_for_dead_after_the_verdict_is_answered_all_the_same(world: World):
    async with world.open({"transaction": "two-phase"}) as shop:
        (item,) = await world.goods(shop, 3)
        (user,) = await world.users(1)
        recovered: list[int] = []

        async def struck(when: str, label: str) -> None:
            if when == "before" and "COMMIT PREPARED" in label and not recovered:
                recovered.append(0)
                recovered.append(await world.stores.phases.recover(0.0))

        end = watching(struck)
        try:
            order = await shop.checkout(user, basket((item.id, 1)), "one")
        finally:
            end()
        assert recovered == [0, 1] and await world.stores.phases.in_doubt(0.0) == []
        assert (await shop.order(user, order.id)).status == "pending" and (await shop.level(item.id)).held == 1


@pytest.mark.slow
async def test_all_that_nobody_asks_for_any_more_is_forgotten_however_much_it_is(world: World):
    (user,) = await world.users(1)
    await world.sql(
        "INSERT INTO keys (user_id, verb, key, asked, at) SELECT $1, 'pay', n::text, '', now() - interval '2 days'"
        " FROM generate_series(1, 2500) AS n",
        user,
    )
    await world.sql(
        "INSERT INTO tokens SELECT sha256(n::text::bytea), $1, CASE n WHEN 1 THEN 9e15 ELSE 1 END"
        " FROM generate_series(1, 1500) AS n",
        user,
    )
    left = "SELECT ARRAY[(SELECT count(*) FROM keys), (SELECT count(*) FROM tokens)]"
    async with world.open(), asyncio.timeout(20):  # it looks when it is opened, and then after an hour
        while await world.sql(left) != [0, 1]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
