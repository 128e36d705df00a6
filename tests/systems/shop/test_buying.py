"""Buying: what is ordered was there, costs what it cost, and is told to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asyncpg import CheckViolationError

from fathom.errors import Refusal
from fathom.systems.shop.api import Money, NewItem, Order, OrderId, UserId
from tests.features import feature

from .world import EUR, World, basket

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@feature("SHOP-04")
async def test_an_order_keeps_the_price_at_which_it_was_made(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 5)
        ann, keeper = (await world.users(1))[0], (await world.users(1, staff=True))[0]
        order = await shop.checkout(ann, basket((thing.id, 1), (thing.id, 2)))
        assert [(line.quantity, line.price.amount) for line in order.lines] == [(3, 1_250)]
        dearer = NewItem(name=thing.name, price=Money(9_900, EUR), category=thing.category)
        await shop.change_item(keeper, thing.id, 1, dearer)
        assert (await shop.order(ann, order.id)).total == Money(3 * 1_250, EUR)
        with pytest.raises(Refusal, match="costs 9900"):
            await shop.checkout(ann, basket((thing.id, 1), total=Money(1_250, EUR)))


async def test_what_was_ordered_leaves_the_cart_and_the_rest_stays(world: World):
    async with world.open() as shop:
        one, two = await world.goods(shop, 5, 5)
        (ann,) = await world.users(1)
        for item in (one, two):
            await shop.put(ann, item.id, 2)
        await shop.checkout(ann, basket((one.id, 2)))
        assert [line.item for line in (await shop.cart(ann)).lines] == [two.id]


@feature("SHOP-06")
async def test_the_database_refuses_a_status_that_does_not_follow_whoever_writes_it(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 5)
        (ann,) = await world.users(1)
        order = await shop.checkout(ann, basket((thing.id, 1)))
        for status in ("shipped", "delivered"):
            with pytest.raises(CheckViolationError, match=f"does not become {status}"):
                await world.sql("UPDATE orders SET status = $1 WHERE id = $2", status, order.id)
        with pytest.raises(CheckViolationError, match="confirmed_is_paid"):
            await world.sql("UPDATE orders SET status = 'confirmed' WHERE id = $1", order.id)
        await shop.cancel(ann, order.id)
        with pytest.raises(CheckViolationError, match="when it is cancelled"):
            await world.sql("UPDATE orders SET status = 'payment-processing' WHERE id = $1", order.id)
        assert [change.status for change in await shop.history(ann, order.id)] == ["pending", "cancelled"]


async def test_the_database_refuses_stock_below_zero_whoever_writes_it(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 5)
        with pytest.raises(CheckViolationError):
            await world.sql("UPDATE stock SET available = -1, held = 6 WHERE item = $1", thing.id)
        with pytest.raises(CheckViolationError, match="nothing_is_lost"):
            await world.sql("UPDATE stock SET available = available + 1 WHERE item = $1", thing.id)


@feature("SHOP-21", "SHOP-22")
@pytest.mark.parametrize("transaction", ["one-database", "saga", "two-phase"])
async def test_who_pays_when_the_hold_is_over_gets_the_money_back_and_the_next_one_the_thing(
    world: World, transaction: str, monkeypatch: pytest.MonkeyPatch
):
    async with world.open({"transaction": transaction}) as shop:
        (thing,) = await world.goods(shop, 1)
        ann, bob = await world.users(2)
        (keeper,) = await world.users(1, staff=True)
        order = await shop.checkout(ann, basket((thing.id, 1)), "ann")
        bank = world.stores.bank.client
        charge, overtaken = bank.charge, list[str]()

        async def late(*asked: Any) -> Any:
            """Take the money, and let the hold be over and the thing be another's before that is known."""
            taken = await charge(*asked)
            if not overtaken:
                overtaken.append("by bob")
                await world.sql("UPDATE reservations SET until = now() - interval '1 second'")
                assert await world.choices.stock.lapse(order.id)
                await shop.checkout(bob, basket((thing.id, 1)), "bob")
            return taken

        monkeypatch.setattr(bank, "charge", late)

        async def pays(user: UserId, order: OrderId) -> Order:
            paid = await shop.pay(user, order, "card", "pay")
            async with asyncio.timeout(20):
                while paid.status == "payment-processing":  # the provider's own call came first, and is being settled
                    await asyncio.sleep(0.02)
                    paid = await shop.order(user, order)
            return paid

        paid = await pays(ann, order.id)
        await shop.settled()
        assert paid.status == "cancelled" and "nothing was left" in paid.because
        assert [(it.state, it.refunded) for it in await shop.taken(keeper, order.id)] == [("charged", 1_250)]
        assert [it.state for it in await shop.attempts(ann, order.id)] == ["refunded"]
        (theirs,) = (await shop.orders(bob)).orders
        assert (await pays(bob, theirs.id)).status == "confirmed"
        assert (await shop.level(thing.id)).sold == 1


async def test_an_order_that_nobody_pays_in_time_is_cancelled_and_what_it_held_is_free(world: World):
    async with world.open() as shop:
        (thing,) = await world.goods(shop, 1)
        (ann,) = await world.users(1)
        order = await shop.checkout(ann, basket((thing.id, 1)))
        await world.sql("UPDATE reservations SET until = now() - interval '1 second'")
        with pytest.raises(Refusal, match="not any more"):
            await shop.pay(ann, order.id, "card", "pay")
        await world.sql("UPDATE orders SET until = now() - interval '1 second'")
        await shop._sweep()
        assert (await shop.order(ann, order.id)).status == "cancelled"
        assert (await shop.level(thing.id)).available == 1
