"""Seats: held by one at a time, sold once, and safe from whoever comes back late."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.history import History, laws_of, tried
from fathom.systems.shop import laws
from fathom.systems.shop.api import Basket, Concert, Money, NewConcert, OrderId, UserId, Wanted
from fathom.systems.shop.dives import lock as dive
from fathom.systems.shop.service import Rules, Service

from .world import EUR, HOME, SHOP, World
from .written import Written

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOLDER = Path(__file__).with_name("holder.py")
LOCKS = list(SHOP.decision("lock").approaches)


async def opened(world: World, shop: Service, rows: int = 2, seats: int = 5) -> tuple[Concert, list[UserId]]:
    (keeper,) = await world.users(1, staff=True)
    new = NewConcert(name="The Band", price=Money(0, EUR), rows=rows, seats=seats, starts_ms=1_900_000_000_000)
    return await shop.add_concert(keeper, new), await world.users(2)


def state_of(pid: int) -> str:
    """Return how the kernel shows a process: T, it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def states(shop: Service, concert: Concert) -> dict[str, str]:
    return {seat.seat: seat.state for seat in await shop.seats(concert.id) if seat.state != "free"}


@pytest.mark.parametrize("lock", LOCKS)
async def test_seats_are_held_by_one_ordered_sold_and_free_again_when_the_order_is_cancelled(world: World, lock: str):
    async with world.open({"lock": lock}) as shop:
        concert, (ann, bob) = await opened(world, shop)
        assert (await shop.concert(concert.id)).seats == 10 and (await shop.concerts()).concerts == [concert]
        hold = await shop.hold(ann, concert.id, ["A2", "A1"], "key")
        assert (await shop.hold(ann, concert.id, ["A2", "A1"], "key")) == hold, "asked again, answered again"
        assert await states(shop, concert) == {"A1": "held", "A2": "held"}
        for wanted in (["A1"], ["B1", "A2"]):
            with pytest.raises(Refusal, match="taken"):
                await shop.hold(bob, concert.id, wanted)
        assert await states(shop, concert) == {"A1": "held", "A2": "held"}, "all of them, or none"
        with pytest.raises(Refusal, match="no such seat"):
            await shop.hold(bob, concert.id, ["C1"])
        with pytest.raises(Refusal, match="no such hold of yours"):
            await shop.checkout(bob, Basket(hold=hold.id))
        assert (await shop.renew(ann, hold.id)).until_ms >= hold.until_ms
        order = await shop.checkout(ann, Basket(hold=hold.id))
        assert order.lines[0].seats == ["A1", "A2"] and order.lines[0].quantity == 2
        for call, asked in (("checkout", Basket(hold=hold.id)), ("renew", hold.id), ("release", hold.id)):
            with pytest.raises(Refusal, match="order"):
                await getattr(shop, call)(ann, asked)
        assert (await shop.pay(ann, order.id, "card")).status == "confirmed"
        assert await states(shop, concert) == {"A1": "sold", "A2": "sold"}
        with pytest.raises(Refusal, match="taken"):
            await shop.hold(bob, concert.id, ["A1"])
        with pytest.raises(Refusal, match=r"enough|left|there"):
            await shop.checkout(bob, Basket(lines=[Wanted(concert.id, 1)], address=HOME))  # pyright: ignore[reportArgumentType]
        if lock != "redis-unfenced":  # whose seats know no token by which to be freed
            await shop.cancel(ann, order.id)
            later = await shop.hold(bob, concert.id, ["A1"])
            assert later.token > hold.token
            await shop.release(bob, later.id)
            await shop.release(bob, later.id)
            assert await states(shop, concert) == {}


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS)
async def test_a_hold_that_is_over_is_anybodys_and_whoever_had_it_is_refused(world: World, lock: str):
    async with world.open({"lock": lock}, rules=Rules(seats_s=0.3)) as shop:
        concert, (ann, bob) = await opened(world, shop)
        written = Written(shop, {"seats_s": 0.3})
        hold = await written.ask("hold", ann, concert.id, ["A1"])
        for _ in range(100):
            if not await states(shop, concert):
                break
            await asyncio.sleep(0.05)  # nobody tells when time is over
        later = await written.ask("hold", bob, concert.id, ["A1"])
        assert later.token > hold.token
        assert tried(laws.no_seat_is_held_twice, written.history()) == 1 and not written.broken()
        for call, asked in (("checkout", Basket(hold=hold.id)), ("renew", hold.id)):
            with pytest.raises(Refusal, match="no longer held"):
                await getattr(shop, call)(ann, asked)
        await shop.release(ann, hold.id)  # of what is another's, nothing is let go
        assert await states(shop, concert) == {"A1": "held"}


async def test_a_redis_that_was_wiped_sells_no_seat_twice_and_its_tokens_go_on(world: World):
    async with world.open({"lock": "redis-fenced"}) as shop:
        concert, (ann, bob) = await opened(world, shop)
        ordered = await shop.hold(ann, concert.id, ["A1"])
        order = await shop.checkout(ann, Basket(hold=ordered.id))
        idle = await shop.hold(ann, concert.id, ["A2"])
        await world.stores.cache.client("FLUSHALL")
        with pytest.raises(Refusal, match="taken"):
            await shop.hold(bob, concert.id, ["A1"])
        later = await shop.hold(bob, concert.id, ["A2"])
        assert later.token > idle.token
        with pytest.raises(Refusal, match="no such hold"):
            await shop.checkout(ann, Basket(hold=idle.id))
        assert (await shop.pay(ann, order.id, "card")).status == "confirmed"


async def trials(world: World, lock: str, times: int, pause_ms: int = 90) -> tuple[dict[str, float], History]:
    question = SHOP.decision("lock")
    approach = question.build(question.choice(lock), world.stores)
    it = dive.Paused()
    await it.prepare(world.stores, approach, [pause_ms])  # pyright: ignore[reportArgumentType]
    total: dict[str, float] = {}
    ops: list[Any] = []
    for _ in range(times):
        counted, history = await it.trial(approach, SimpleNamespace(pause_ms=pause_ms))  # pyright: ignore[reportArgumentType]
        total = {name: total.get(name, 0) + n for name, n in counted.items()}
        ops += history.ops
    return total, History(ops)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lock", "times"),
    [("database", 200), ("redis-fenced", 200), pytest.param("redis-fenced", 1_000, marks=pytest.mark.long)],
)
async def test_in_hundreds_of_trials_nobody_who_paused_past_their_lease_sells_another_ones_seat(
    world: World, lock: str, times: int
):
    async with world.open():
        counted, history = await trials(world, lock, times // dive.SEATS)
    print(lock, counted)
    assert counted["seats"] == times and counted["double"] == 0
    assert counted["late"] > 0.3 * times, "so many came back late: else this shows nothing"
    for law in (laws.no_seat_is_sold_twice, laws.a_later_hold_has_a_higher_token, laws.no_seat_is_held_twice):
        assert tried(law, history) and not list(law(history))


@pytest.mark.slow
async def test_without_fencing_a_holder_who_paused_sells_another_ones_seat_and_the_law_tells(world: World):
    async with world.open():
        counted, history = await trials(world, "redis-unfenced", 1)
    print(counted)
    assert counted["double"] > 0
    broken = {law for law, check in laws_of(laws).items() if list(check(history))}
    assert broken == {"no_seat_is_sold_twice"}


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS)
async def test_a_process_that_is_stopped_past_its_lease_sells_the_seat_only_where_nothing_fences_it(
    world: World, lock: str
):
    async with world.open({"lock": lock}, rules=Rules(seats_s=0.3, hold_s=30.0)) as shop:
        concert, (ann, bob) = await opened(world, shop)
        where = {name: getattr(world.stores, name).where for name in ("truth", "cache")}
        asked = {"lock": lock, "user": ann, "concert": concert.id, "lease_s": 0.3, **where}
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(HOLDER), json.dumps(asked), stdout=asyncio.subprocess.PIPE
        )
        assert holder.stdout is not None
        told = json.loads(await asyncio.wait_for(holder.stdout.readline(), 20))
        for _ in range(500):
            if state_of(holder.pid) == "T":
                break
            await asyncio.sleep(0.01)  # who is stopped says nothing of that
        else:
            pytest.fail("the holder was not stopped")
        async with asyncio.timeout(10):
            while True:
                try:
                    hold = await shop.hold(bob, concert.id, ["A1"])
                    break
                except Refusal:
                    await asyncio.sleep(0.05)  # nobody tells when time is over
        assert hold.token > told["token"]
        order = await shop.checkout(bob, Basket(hold=hold.id))
        assert (await shop.pay(bob, order.id, "card")).status == "confirmed"
        holder.send_signal(signal.SIGCONT)
        sold = json.loads(await asyncio.wait_for(holder.stdout.readline(), 20))["sold"]
        await holder.wait()
        assert sold is (lock == "redis-unfenced")


@pytest.mark.slow
async def test_who_renews_while_the_seats_are_being_ordered_is_refused_and_shortens_nothing(world: World):
    async with world.open() as shop:
        concert, (ann, _) = await opened(world, shop)
        hold = await shop.hold(ann, concert.id, ["A1"])
        async with world.stores.orders.changing() as tx:
            await world.choices.lock.bind(hold, OrderId(7), 600.0, tx)
            renewing = asyncio.create_task(shop.renew(ann, hold.id))
            for _ in range(500):
                if await world.sql("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    break
                await asyncio.sleep(0.01)  # until it waits for the seats
        with pytest.raises(Refusal, match="being ordered"):
            await renewing
        assert await world.sql("SELECT until > now() + interval '500 seconds' FROM seats WHERE seat = 'A1'")


@pytest.mark.slow
@pytest.mark.parametrize("lock", LOCKS)
async def test_more_can_hold_and_order_at_once_than_there_are_connections(world: World, lock: str):
    async with world.open({"lock": lock}) as shop, world.stores.truth.connected(size=2, deadline_s=3.0):
        concert, (ann, _) = await opened(world, shop, seats=8)
        holds = await asyncio.gather(*(shop.hold(ann, concert.id, [f"A{n}"], f"{n}") for n in range(1, 9)))
        orders = await asyncio.gather(*(shop.checkout(ann, Basket(hold=hold.id)) for hold in holds))
        assert sorted(order.lines[0].seats for order in orders) == [[f"A{n}"] for n in range(1, 9)]
        again = (shop.checkout(ann, Basket(hold=hold.id)) for hold in holds)
        assert all("order" in str(said) for said in await asyncio.gather(*again, return_exceptions=True))
