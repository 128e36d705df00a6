"""Every way to take stock: all of it or nothing, once however often it is asked, and free when its time is over."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from typing import Any

import pytest

from fathom.engines.engine import EngineDown
from fathom.engines.ledger import work
from fathom.errors import FathomError, Refusal
from fathom.systems.shop.api import Item, ItemId, Level, Money, OrderId, Wanted
from fathom.systems.shop.decisions.stock import Stock
from tests.features import feature

from .world import EUR, SHOP, World, basket

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

APPROACHES = sorted(SHOP.decision("stock").approaches)
CONTROLS = {"read-then-write"}
SOUND = [name for name in APPROACHES if name not in CONTROLS]
HOLD_S = 60.0


async def stock_of(world: World, approach: str, *units: int) -> tuple[Stock, list[ItemId]]:
    """Return an approach that serves, and items with so many units."""
    question = SHOP.decision("stock")
    stock = question.build(question.choice(approach), world.stores)
    assert isinstance(stock, Stock)
    items = [Item(id=ItemId(n), name=f"thing {n}", price=Money(1, EUR), category="x") for n in range(1, len(units) + 1)]
    await world.stores.catalogue.bulk(items)
    await stock.begin()
    await world.stores.shelves.bulk([(item.id, n) for item, n in zip(items, units, strict=True)])
    return stock, [item.id for item in items]


async def taken(stock: Stock, order: int, *wanted: tuple[int, int]) -> bool:
    try:
        await stock.reserve(OrderId(order), [Wanted(ItemId(item), n) for item, n in wanted], HOLD_S)
    except Refusal as refusal:
        assert refusal.code in ("conflict", "unavailable")
        return False
    return True


async def levels(stock: Stock, items: Sequence[ItemId]) -> list[tuple[int, int, int]]:
    found = [await stock.level(item) for item in items]
    return [(it.available, it.held, it.sold) for it in found if isinstance(it, Level)]


@feature("SHOP-21")
@pytest.mark.parametrize("approach", APPROACHES)
async def test_what_is_held_is_sold_or_put_back_and_asked_again_no_more_happens(world: World, approach: str):
    stock, (one, two) = await stock_of(world, approach, 3, 3)
    for _ in range(2):
        assert await taken(stock, 7, (two, 1), (one, 2))
    assert await levels(stock, (one, two)) == [(1, 2, 0), (2, 1, 0)]
    assert not await taken(stock, 8, (two, 1), (one, 2))
    assert await levels(stock, (one, two)) == [(1, 2, 0), (2, 1, 0)]  # of a basket all or nothing
    for _ in range(2):
        assert await stock.sell(OrderId(7))
    assert await levels(stock, (one, two)) == [(1, 0, 2), (2, 0, 1)]
    assert not await stock.sell(OrderId(8))
    assert await stock.release(OrderId(7))
    assert not await stock.release(OrderId(7))
    assert await levels(stock, (one, two)) == [(3, 0, 0), (3, 0, 0)]


@pytest.mark.parametrize("approach", SOUND)
async def test_what_nobody_paid_in_time_is_free_again_by_the_clock_of_the_database(world: World, approach: str):
    stock, (one,) = await stock_of(world, approach, 2)
    assert await taken(stock, 7, (one, 2))
    assert await stock.expired() == [] and not await stock.lapse(OrderId(7))
    await world.sql("UPDATE reservations SET until = now() - interval '1 second'")
    assert not await stock.renew(OrderId(7), 60.0) and not await stock.sell(OrderId(7))
    assert await stock.expired() == [7]
    assert await stock.lapse(OrderId(7)) and not await stock.lapse(OrderId(7))
    assert await levels(stock, (one,)) == [(2, 0, 0)]
    assert await taken(stock, 8, (one, 1)) and await stock.renew(OrderId(8), 999.0) and await stock.sell(OrderId(8))


@pytest.mark.parametrize("approach", SOUND)
async def test_of_many_who_come_at_once_as_many_get_it_as_there_are(world: World, approach: str):
    stock, (one, two) = await stock_of(world, approach, 12, 1_000)
    orders = range(1, 41)
    said = await asyncio.gather(*(taken(stock, order, (two, 1), (one, 1)) for order in orders))
    assert sum(said) == 12, approach
    assert await levels(stock, (one, two)) == [(0, 12, 0), (988, 12, 0)]
    winners = [order for order, yes in zip(orders, said, strict=True) if yes]
    assert all(await asyncio.gather(*(stock.sell(OrderId(order)) for order in winners)))
    assert await levels(stock, (one, two)) == [(0, 0, 12), (988, 0, 12)]


async def test_the_control_sells_more_than_there_is_and_its_row_adds_up_all_the_same(world: World):
    stock, (one,) = await stock_of(world, "read-then-write", 5)
    said = await asyncio.gather(*(taken(stock, order, (one, 1)) for order in range(1, 31)))
    assert sum(said) > 5
    sold = await asyncio.gather(*(stock.sell(OrderId(n)) for n, yes in enumerate(said, 1) if yes))
    assert sum(sold) > 5
    ((available, held, units),) = await levels(stock, (one,))
    assert available + held + units == 5 and min(available, held, units) >= 0


@feature("SHOP-09")
async def test_who_looked_at_an_old_version_looks_again_and_gives_up_after_so_many_tries(world: World):
    stock, (one,) = await stock_of(world, "optimistic", 1_000)
    said = await asyncio.gather(*(taken(stock, order, (one, 1)) for order in range(1, 31)))
    assert stock.retries > 0 and await levels(stock, (one,)) == [(1_000 - sum(said), sum(said), 0)]
    hasty = SHOP.decision("stock").build(SHOP.decision("stock").choice("optimistic", {"tries": "1"}), world.stores)
    assert isinstance(hasty, Stock)
    said = await asyncio.gather(*(taken(hasty, order, (one, 1)) for order in range(101, 131)))
    assert not all(said)


@feature("SHOP-10")
async def test_baskets_that_lock_rows_in_their_own_order_deadlock_and_sorted_ones_do_not(world: World):
    stock, (one, two) = await stock_of(world, "row-lock", 1_000, 1_000)

    async def storm() -> int:
        dice = random.Random(7)
        first = dice.randrange(1 << 40)
        baskets = [((one, 1), (two, 1))[:: dice.choice((1, -1))] for _ in range(60)]
        calls = (taken(stock, first + at, *basket) for at, basket in enumerate(baskets))
        said = await asyncio.gather(*calls, return_exceptions=True)
        return sum(isinstance(it, Exception) for it in said)

    assert await storm() == 0
    stock.sorts = False  # type: ignore[attr-defined]
    await world.sql("DELETE FROM reservations")
    assert await storm() > 0


@pytest.mark.parametrize("approach", ["reservation-rows", "redis", "batching"])
async def test_an_approach_counts_anew_what_another_one_left(world: World, approach: str):
    stock, (one,) = await stock_of(world, "conditional-update", 5)
    assert await taken(stock, 1, (one, 2)) and await taken(stock, 2, (one, 1)) and await stock.sell(OrderId(2))
    for name in (approach, "conditional-update"):
        question = SHOP.decision("stock")
        other = question.build(question.choice(name), world.stores)
        assert isinstance(other, Stock)
        await other.begin()
        assert await levels(other, (one,)) == [(2, 2, 1)]
        assert not await taken(other, 9, (one, 3))
    assert await other.sell(OrderId(1)) and await levels(other, (one,)) == [(2, 0, 3)]


async def test_an_approach_that_counts_elsewhere_does_not_take_over_while_the_shop_is_open(world: World):
    async with world.open():
        await world.switch("stock", "row-lock")
        with pytest.raises(FathomError, match="while the shop is open"):
            await world.switch("stock", "redis")


async def test_a_redis_that_forgot_sells_no_more_than_there_is(world: World):
    stock, (one,) = await stock_of(world, "redis", 3)
    assert await taken(stock, 1, (one, 2))
    await world.stores.cache.client("FLUSHALL")
    assert not await taken(stock, 2, (one, 2)) and await taken(stock, 3, (one, 1))
    # It believes in units that are gone, as after losing its last writes: the row of the stock does not.
    await world.stores.cache.client("SET", f"shop:left:{one}", 2)
    assert await taken(stock, 4, (one, 2))
    assert await stock.sell(OrderId(1)) and await stock.sell(OrderId(3)) and not await stock.sell(OrderId(4))


@pytest.mark.parametrize("approach", APPROACHES)
async def test_what_one_order_has_of_several_items_ends_at_one_moment_and_is_sold_together(world: World, approach: str):
    stock, (one, two) = await stock_of(world, approach, 3, 3)
    assert await taken(stock, 7, (one, 1), (two, 1))
    assert await world.sql("SELECT count(DISTINCT until) FROM reservations WHERE order_id = 7") == 1
    async with world.stores.orders.changing() as tx:
        await stock.reserve(OrderId(8), [Wanted(one, 1), Wanted(two, 1)], HOLD_S, tx)
    assert await world.sql("SELECT count(DISTINCT until) FROM reservations WHERE order_id = 8") in (0, 1)


async def test_the_control_puts_back_what_was_held_for_too_long_whatever_its_row_says_by_then(world: World):
    stock, (one,) = await stock_of(world, "read-then-write", 3)
    assert await taken(stock, 7, (one, 2)) and await taken(stock, 8, (one, 1)) and await stock.sell(OrderId(8))
    await world.sql("UPDATE reservations SET until = now() - interval '1 second'")
    await world.sql("UPDATE stock SET held = 0, available = 2")  # as somebody saves whose look was older
    assert await stock.expired() == [7]
    assert await stock.lapse(OrderId(7)) and not await stock.lapse(OrderId(7)) and not await stock.lapse(OrderId(8))
    assert await stock.expired() == [] and await stock.sell(OrderId(8))


async def test_counters_in_redis_follow_what_was_committed_and_nothing_else(world: World):
    stock, (one,) = await stock_of(world, "redis", 3)
    assert await taken(stock, 7, (one, 2))

    async def left() -> int:
        return int(await world.stores.cache.client("GET", f"shop:left:{one}"))

    with pytest.raises(KeyError):
        async with world.stores.orders.changing() as tx:
            assert await stock.release(OrderId(7), tx)
            await stock.receive(one, 5, tx)
            raise KeyError("it is rolled back")
    assert await left() == 1
    async with world.stores.orders.changing() as tx:
        assert await stock.release(OrderId(7), tx)
        await stock.receive(one, 5, tx)
    for _ in range(2):
        await stock.released(OrderId(7))
    assert await left() == 3
    await stock.received(one, 5)
    assert await left() == 8 and await levels(stock, (one,)) == [(8, 0, 0)]


async def test_who_is_given_up_while_their_reservation_is_written_down_is_not_counted_back_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    stock, (one,) = await stock_of(world, "redis", 3)
    note = world.stores.shelves.note

    async def given_up(*asked: Any) -> None:
        await note(*asked)
        raise asyncio.CancelledError

    monkeypatch.setattr(world.stores.shelves, "note", given_up)
    with pytest.raises(asyncio.CancelledError):
        await stock.reserve(OrderId(7), [Wanted(one, 2)], HOLD_S)
    assert await world.stores.cache.client("GET", f"shop:left:{one}") == b"1"
    await world.sql("UPDATE reservations SET until = now() - interval '1 second'")
    assert await stock.lapse(OrderId(7))
    assert await world.stores.cache.client("GET", f"shop:left:{one}") == b"3"


@pytest.mark.parametrize("transaction", sorted(SHOP.decision("transaction").approaches))
async def test_what_was_cancelled_or_received_can_be_bought_where_redis_counts(world: World, transaction: str):
    async with world.open({"stock": "redis", "transaction": transaction}) as shop:
        (thing,) = await world.goods(shop, 1)
        (ann, bob), (keeper,) = await world.users(2), await world.users(1, staff=True)
        order = await shop.checkout(ann, basket((thing.id, 1)))
        with pytest.raises(Refusal, match="not enough"):
            await shop.checkout(bob, basket((thing.id, 1)))
        with pytest.raises(Refusal, match="by its buyer"):
            await shop.cancel(keeper, order.id)
        await shop.cancel(ann, order.id)
        for _ in range(2):
            await shop.receive(keeper, thing.id, 1, "once")
        for _ in range(2):
            await shop.checkout(bob, basket((thing.id, 1)))
        with pytest.raises(Refusal, match="not enough"):
            await shop.checkout(bob, basket((thing.id, 1)))


@pytest.mark.parametrize("transaction", sorted(SHOP.decision("transaction").approaches))
async def test_an_order_that_is_committed_keeps_what_it_has_although_nobody_could_be_told(
    world: World, transaction: str, monkeypatch: pytest.MonkeyPatch
):
    chosen = {"stock": "redis", "transaction": transaction, "delivery": "dual-write"}
    async with world.open(chosen) as shop:
        (thing,) = await world.goods(shop, 1)
        (ann,) = await world.users(1)

        async def down(orders: Sequence[Any]) -> None:
            raise EngineDown("the log cannot be reached", why="this test says so", fix="let it")

        monkeypatch.setattr(world.choices.delivery, "told", down)
        with pytest.raises(TimeoutError, match="unknown"):
            await shop.checkout(ann, basket((thing.id, 1)))
        assert [order.status for order in (await shop.orders(ann)).orders] == ["pending"]
        assert (await shop.level(thing.id)).held == 1


def commands() -> int:
    return sum(of.get("commands", 0) for of in work.snapshot().values())


async def test_what_scripts_call_in_redis_is_counted_as_redis_counts_it(world: World):
    stock, (one, two) = await stock_of(world, "redis", 3, 1)
    assert await taken(stock, 6, (one, 1), (two, 1))  # the counters are made, and the scripts known
    tallies, client = world.stores.tallies, world.stores.cache.client
    await tallies.give_back([Wanted(one, 1), Wanted(two, 1)])
    await tallies.add(one, 1)
    await client("CONFIG", "RESETSTAT")
    before = commands()
    for order, wanted in ((7, (1, 1)), (7, (1, 1)), (8, (1, 5)), (9, (9, 1))):
        await tallies.take(OrderId(order), [Wanted(one, wanted[0]), Wanted(two, wanted[1])], HOLD_S)
    await tallies.give_back([Wanted(one, 1), Wanted(ItemId(12), 1)])
    await tallies.add(one, 1)
    await tallies.add(ItemId(12), 1)
    ours = commands() - before
    stats = (await client("INFO", "commandstats")).decode()
    calls = {name: int(n) for name, n in re.findall(r"cmdstat_([a-z|]+):calls=(\d+)", stats)}
    assert ours == sum(n for name, n in calls.items() if not name.startswith(("info", "config"))), calls
