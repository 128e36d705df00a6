"""Events leave the database: two ways lose some and are caught, two lose none, and what is read of them adds up."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from random import Random
from typing import Any

import pytest

from fathom.engines.postgres import Postgres
from fathom.errors import FathomError
from fathom.history import History
from fathom.lab.machine import Placement
from fathom.lab.plan import draw
from fathom.systems.shop import laws
from fathom.systems.shop.dives.delivery import Evening
from fathom.systems.shop.service.upkeep import Upkeep
from fathom.systems.shop.stores.changes import Changes
from fathom.systems.shop.stores.phases import Phases
from tests.features import feature

from .world import SHOP, World, basket

on_engines = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["outbox", "change-capture", "outbox-by-id", "dual-write"])
@feature("SHOP-15", "SHOP-16", "SHOP-17")
@on_engines
async def test_under_concurrent_commits_the_shipped_ways_lose_nothing_and_the_controls_are_caught(
    world: World, approach: str
) -> None:
    question = SHOP.decision("delivery")
    delivery = question.build(question.choice(approach), world.stores)
    await delivery.begin()
    evening = Evening(world.stores, delivery, Random(7), open_s=0.03)
    await evening.passes()
    await evening.look()
    counted, history = evening.counted(), History(evening.ops)
    broken = list(laws.no_event_is_lost(history))
    if approach in ("outbox", "change-capture"):
        assert (counted["lost"], counted["invented"], counted["disordered"]) == (0, 0, 0)
        assert broken == []
        assert list(laws.an_event_is_told_once_and_in_order(history)) == []
    else:
        assert counted["lost"] > 0
        assert broken and "never tells of version" in broken[0].says
        assert broken[0].ops
    if approach == "change-capture":
        assert counted["again"] > 0, "the relay was killed, and what it had read came once more"
        await Changes(world.stores.truth).end()


@on_engines
async def test_a_writer_who_breaks_ends_the_dive_and_leaves_nobody_reading(world: World, monkeypatch: Any) -> None:
    question = SHOP.decision("delivery")
    delivery = question.build(question.choice("outbox"), world.stores)
    await delivery.begin()
    evening = Evening(world.stores, delivery, Random(7), open_s=0.0)

    async def breaks(orders: Any, tx: Any) -> None:
        raise RuntimeError("this test says so")

    monkeypatch.setattr(delivery, "tell", breaks)
    before = asyncio.all_tasks()
    with pytest.raises(ExceptionGroup, match="unhandled"):
        await evening.passes()
    assert not {task for task in asyncio.all_tasks() - before if "_relay" in repr(task)}


@pytest.mark.slow
@feature("SHOP-17")
@on_engines
async def test_an_orders_events_keep_their_order_although_the_earlier_transaction_changes_it_later(
    world: World,
) -> None:
    async with world.open() as shop:
        stores = world.stores
        (item,) = await world.goods(shop, 3)
        (user,) = await world.users(1)
        order = await shop.checkout(user, basket((item.id, 1)))
        async with stores.orders.changing() as early:
            await early.execute("SELECT pg_current_xact_id()")  # its number is drawn first
            async with stores.orders.changing() as late:
                it = await stores.orders.of(order.id, late, lock=True)
                assert it is not None
                changed = await stores.orders.change(it, "payment-processing", late)
                await stores.outbox.add([changed], late)
            it = await stores.orders.of(order.id, early, lock=True)
            assert it is not None
            await stores.outbox.add([await stores.orders.change(it, "cancelled", early)], early)
        await shop.settled()
        events = await stores.outbox.log(0, 10)
        assert [event.version for event in events if event.order == order.id] == [1, 2, 3]


@pytest.mark.slow
@feature("SHOP-16")
@on_engines
async def test_a_live_switch_to_and_from_change_capture_loses_no_event(world: World) -> None:
    async with world.open() as shop:
        (item,) = await world.goods(shop, 60)
        staff, *users = (await world.users(1, staff=True)) + (await world.users(30))
        buying = [asyncio.create_task(shop.checkout(user, basket((item.id, 1)))) for user in users[:10]]
        await world.switch("delivery", "change-capture")
        buying += [asyncio.create_task(shop.checkout(user, basket((item.id, 1)))) for user in users[10:20]]
        await asyncio.sleep(0)
        await world.switch("delivery", "outbox")
        buying += [asyncio.create_task(shop.checkout(user, basket((item.id, 1)))) for user in users[20:]]
        placed = await asyncio.gather(*buying)
        await shop.settled()
        told = {event.order for event in await world.stores.outbox.log(0, 100)}
        assert told == {order.id for order in placed}
        [tally] = await shop.tallies(staff)
        assert (tally.status, tally.orders) == ("pending", 30)
    async with world.open():
        assert not await world.stores.changes.there(), "a slot that nobody reads would keep the whole log"


@pytest.mark.slow
@feature("SHOP-16")
@on_engines
async def test_a_live_switch_from_ids_to_commits_goes_on_where_the_ids_ended(world: World) -> None:
    async with world.open({"delivery": "outbox-by-id"}) as shop:
        (item,) = await world.goods(shop, 60)
        users = await world.users(6)
        placed = [await shop.checkout(user, basket((item.id, 1))) for user in users[:3]]
        await shop.settled()
        await world.switch("delivery", "outbox")
        placed += [await shop.checkout(user, basket((item.id, 1))) for user in users[3:]]
        await shop.settled()
        told = await world.stores.outbox.log(0, 100)
        assert [(event.seq, event.order) for event in told] == [(n, it.id) for n, it in enumerate(placed, 1)]
        assert await world.sql("SELECT count(*) FROM outbox") == 0


@pytest.mark.slow
@pytest.mark.parametrize("approach", ["outbox", "change-capture"])
@on_engines
async def test_what_another_relay_is_passing_on_is_read_before_all_is_settled(
    world: World, approach: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Upkeep, "_works", property(lambda shop: []))
    async with world.open({"delivery": approach}) as shop:
        stores, flush = world.stores, world.choices.cache.flush
        (item,) = await world.goods(shop, 3)
        (user,), (keeper,) = await world.users(1), await world.users(1, staff=True)
        await shop.checkout(user, basket((item.id, 1)))
        async with AsyncExitStack() as other:
            relay = await other.enter_async_context(stores.outbox.db.transaction())
            await stores.outbox.line_up(relay)
            if approach == "outbox":
                assert await stores.outbox.drain(relay) == 1

            async def late() -> None:
                await other.aclose()  # it ends after we found it at work, and before we look for what is left
                await flush()

            monkeypatch.setattr(world.choices.cache, "flush", late)
            await shop.settled()
        assert [tally.orders for tally in await shop.tallies(keeper)] == [1]
    if approach == "change-capture":
        await world.stores.changes.end()


@pytest.mark.parametrize(
    ("dive", "raced", "controls"),
    [
        ("delivery", ["change-capture", "outbox"], ["dual-write", "outbox-by-id"]),
        ("transaction", ["one-database", "saga", "two-phase"], []),
    ],
)
def test_the_dives_race_what_is_sound_and_run_what_is_not_for_its_law(dive: str, raced: list[str], controls: list[str]):
    plan = draw(SHOP, dive, placement=Placement.of([0, 1]))
    assert sorted(plan.choices) == raced
    assert sorted(plan.controls) == controls


@pytest.mark.slow
@on_engines
async def test_a_postgresql_that_can_do_neither_is_refused_with_what_to_set(world: World) -> None:
    async with Postgres.start(world.engines.keeper, name="plain") as plain, plain.connected():
        with pytest.raises(FathomError, match="cannot prepare") as refused:
            await Phases(plain).check()
        assert "max_prepared_transactions" in refused.value.fix
        with pytest.raises(FathomError, match="cannot be captured") as refused:
            await Changes(plain).begin()
        assert "wal_level = logical" in refused.value.fix
