"""Paying: whatever the provider does to an answer or a callback, money equals orders and everybody is answered."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.engines.database import Session
from fathom.errors import Refusal
from fathom.history import tried
from fathom.systems.shop import laws
from fathom.systems.shop.api import Basket, Money, NewConcert, Order, UserId
from fathom.systems.shop.decisions.idempotency import Asked
from fathom.systems.shop.service import Rules
from fathom.systems.shop.stores.keys import Keys, Place
from fathom.systems.shop.stores.provider import FLAKY, Behaviour
from tests.features import feature

from .buyers import Buyers, judged
from .world import EUR, World, basket

pytestmark = pytest.mark.asyncio(loop_scope="session")
TRANSACTIONS = ("one-database", "saga", "two-phase")
SOON = Rules(sweep_s=0.05, ask_again_s=0.3, back_s=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("transaction", TRANSACTIONS)
@feature("SHOP-06", "SHOP-18", "SHOP-19", "SHOP-21", "SHOP-22")
async def test_with_a_flaky_provider_all_is_sold_once_paid_once_and_everybody_is_answered(
    world: World, transaction: str
) -> None:
    behaviour = Behaviour(rates=FLAKY, seed=7, late_s=0.4, swapped_s=0.1)
    async with (
        world.open({"transaction": transaction}, rules=SOON) as shop,
        world.stores.bank.connected(deadline_s=0.2),
    ):
        (item,) = await world.goods(shop, 12)
        staff, *users = (await world.users(1, staff=True)) + (await world.users(40))
        await world.stores.bank.client.behave(behaviour)
        buyers = Buyers(item.id, staff, users, units=12, seed=7)
        await buyers.buy(shop, cancels=0.1)
        await world.stores.bank.client.let_pass()  # a day goes by, and what was called back late comes
        await shop.settled()
        await buyers.look(shop)
        level = await shop.level(item.id)
        replayed = await shop.sales(staff), await shop.tallies(staff)
        assert await shop.replay(staff) > 0
        assert (await shop.sales(staff), await shop.tallies(staff)) == replayed
    history = buyers.history()
    assert judged(history) == []
    for law in (laws.money_equals_the_orders, laws.no_order_is_left_half_done, laws.no_event_is_lost):
        assert tried(law, history) >= 12
    answers = list(buyers.answers.values())
    assert len(answers) == 40
    assert set(answers) <= {"confirmed", "cancelled", "sold out"}
    assert answers.count("confirmed") == level.sold
    assert level.held == 0


@pytest.mark.slow
@feature("SHOP-19")
async def test_whoever_was_slow_to_answer_says_what_is_said_whenever_it_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.open(rules=Rules(sweep_s=60.0)) as shop:
        (item,) = await world.goods(shop, 1)
        (ann,), (keeper,) = await world.users(1), await world.users(1, staff=True)
        order = await shop.checkout(ann, basket((item.id, 1)))
        ask = shop._ask

        async def slow(*asked: Any) -> Order:
            paid = await ask(*asked)
            await shop.ship(keeper, order.id)
            assert await shop._answer_those_left(0.0) == 1  # the sweeper takes its call for dead
            return paid

        monkeypatch.setattr(shop, "_ask", slow)
        first = await shop.pay(ann, order.id, "card", "pay")
        assert await shop.pay(ann, order.id, "card", "pay") == first


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["database", "redis-fenced"])
@feature("SHOP-21")
async def test_ordered_seats_are_kept_while_they_are_paid_and_nobody_is_charged_for_what_is_gone(
    world: World, lock: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.open({"lock": lock}) as shop:
        (ann,), (keeper,) = await world.users(1), await world.users(1, staff=True)
        new = NewConcert(name="The Band", price=Money(900, EUR), rows=1, seats=4, starts_ms=1_900_000_000_000)
        concert = await shop.add_concert(keeper, new)
        charge, left_s = world.stores.bank.client.charge, list[float]()

        async def charged(*asked: Any) -> Any:
            left_s.append(await world.sql("SELECT extract(epoch FROM min(until) - now())::float8 FROM seats"))
            return await charge(*asked)

        monkeypatch.setattr(world.stores.bank.client, "charge", charged)
        orders: list[Order] = []
        for seats in (["A1", "A2"], ["A3", "A4"]):
            hold = await shop.hold(ann, concert.id, seats)
            orders.append(await shop.checkout(ann, Basket(hold=hold.id)))
        await world.sql("UPDATE seats SET until = now() + interval '5 seconds'")
        assert (await shop.pay(ann, orders[0].id, "card")).status == "confirmed"
        await world.sql("UPDATE seats SET until = now() - interval '1 second' WHERE seat = 'A4'")
        with pytest.raises(Refusal, match="not any more"):
            await shop.pay(ann, orders[1].id, "card")
        assert await shop.attempts(ann, orders[1].id) == []
    assert len(left_s) == 1


async def test_of_two_calls_with_one_key_the_one_that_is_refused_leaves_the_others_claim(world: World) -> None:
    async with world.open({"idempotency": "in-cache"}):
        approach = world.choices.idempotency
        first, second = (Asked(user=UserId(7), verb="pay", key="k", digest=b"d" * 32) for _ in range(2))
        async with world.stores.orders.changing() as tx:
            assert await approach.claim(first, tx) is None
            with pytest.raises(Refusal, match="under way"):
                await approach.claim(second, tx)
        await approach.drop(second)
        with pytest.raises(Refusal, match="under way"):
            await approach.find(second)
        await approach.drop(first)
        assert await approach.find(second) is None


async def test_a_key_that_is_dropped_while_another_one_looks_at_it_is_theirs(world: World) -> None:
    class Dropped(Keys):
        async def find(self, place: Place, asked: bytes, tx: Session | None = None) -> bytes | None:
            await world.sql("DELETE FROM keys")
            return await super().find(place, asked, tx)

    place = (7, "pay", "k")
    await world.sql("INSERT INTO keys (user_id, verb, key, asked) VALUES (7, 'pay', 'k', 'd')")
    async with world.stores.orders.changing() as tx:
        assert await Dropped(world.stores.truth).claim(place, b"d", 1, tx) is None
    assert await world.sql("SELECT count(*) FROM keys") == 1
