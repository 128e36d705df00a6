"""What the provider calls back: believed when it is signed, heard once, and never against what the order has become."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.shop.api import Callback, Item, Money, Order, UserId
from fathom.systems.shop.service import Rules
from fathom.systems.shop.service.callbacks import ear
from fathom.systems.shop.stores.provider import CARD_DECLINED, Behaviour, sign
from fathom.web import tracing
from tests.features import feature

from .world import World, basket

pytestmark = pytest.mark.asyncio(loop_scope="session")
SOON = Rules(sweep_s=0.05, ask_again_s=0.2, back_s=0.5)
NEVER = Rules(sweep_s=0.05, ask_again_s=60.0)  # nobody asks the provider: only what it calls back tells


@asynccontextmanager
async def selling(world: World, rules: Rules, units: int = 9) -> AsyncIterator[tuple[Any, Item, UserId, UserId]]:
    """Open a shop with something to sell, and a provider whose answers are not waited for; yields staff and a buyer."""
    async with world.open(rules=rules) as shop, world.stores.bank.connected(deadline_s=0.15):
        (item,) = await world.goods(shop, units)
        (staff,) = await world.users(1, staff=True)
        (user,) = await world.users(1)
        yield shop, item, staff, user


async def ordered(world: World, shop: Any, user: UserId, item: Item, *fates: str) -> Order:
    """Order something; `fates` are what befalls the next payments."""
    await world.stores.bank.client.behave(Behaviour(next=list(fates), late_s=0.3, swapped_s=0.05))
    return await shop.checkout(user, basket((item.id, 1)))


async def taken(shop: Any, staff: UserId, order: Order) -> list[tuple[str, int]]:
    return [(it.state, it.amount.amount - it.refunded) for it in await shop.taken(staff, order.id)]


@pytest.mark.slow
@feature("SHOP-06", "SHOP-22")
async def test_a_callback_that_comes_early_or_again_confirms_an_order_once(world: World) -> None:
    async with selling(world, NEVER) as (shop, item, staff, user):
        for fate in ("early", "again", "lost+day"):
            order = await ordered(world, shop, user, item, fate)
            paid = await shop.pay(user, order.id, "card", f"pay-{fate[:5]}")
            assert paid.status == ("payment-processing" if fate == "lost+day" else "confirmed")
            await world.stores.bank.client.let_pass()  # returns when everything was called back
            assert [change.status for change in await shop.history(user, order.id)] == [
                "pending",
                "payment-processing",
                "confirmed",
            ]
            assert await taken(shop, staff, order) == [("charged", 1_250)]
            assert await shop.pay(user, order.id, "card", f"pay-{fate[:5]}") == paid, (
                "asked again it is the same answer"
            )
        assert (await shop.level(item.id)).sold == 3


@pytest.mark.slow
@feature("SHOP-19", "SHOP-22")
async def test_money_that_comes_for_a_cancelled_order_goes_back(world: World) -> None:
    async with selling(world, SOON) as (shop, item, staff, user):
        order = await ordered(world, shop, user, item, "lost+day")
        assert (await shop.pay(user, order.id, "card")).status == "payment-processing"
        assert (await shop.cancel(user, order.id)).status == "cancelled"
        await shop.settled()
        assert await taken(shop, staff, order) == [("charged", 0)]
        await world.stores.bank.client.let_pass()  # a day later it says that it was paid, and given back
        await shop.settled()
        after = await shop.order(user, order.id)
        assert (after.status, after.charged) == ("cancelled", 0)
        assert [it.state for it in await shop.attempts(user, order.id)] == ["refunded"]
        level = await shop.level(item.id)
        assert (level.available, level.held, level.sold) == (9, 0, 0)


@pytest.mark.slow
@feature("SHOP-21")
async def test_a_payment_that_comes_when_the_hold_is_over_buys_nothing_and_goes_back(world: World) -> None:
    rules = Rules(sweep_s=0.05, ask_again_s=0.4, hold_s=0.3, paying_s=0.2)
    async with selling(world, rules, units=1) as (shop, item, staff, user):
        order = await ordered(world, shop, user, item, "lost+day")
        assert (await shop.pay(user, order.id, "card")).status == "payment-processing"
        await shop.settled()
        after = await shop.order(user, order.id)
        assert (after.status, after.because) == ("cancelled", "it was paid when nothing was left for it")
        assert await taken(shop, staff, order) == [("charged", 0)]
        level = await shop.level(item.id)
        assert (level.available, level.held, level.sold) == (1, 0, 0), "and the next one can buy it"


@pytest.mark.slow
async def test_a_declined_card_may_be_followed_by_another_and_a_provider_that_contradicts_itself_gives_it_back(
    world: World,
) -> None:
    async with selling(world, SOON) as (shop, item, staff, user):
        order = await ordered(world, shop, user, item)
        declined = await shop.pay(user, order.id, CARD_DECLINED)
        assert (declined.status, declined.because) == ("pending", "the payment was declined")
        [attempt] = await shop.attempts(user, order.id)
        says = Callback(reference=attempt.reference, state="charged", amount=attempt.amount)
        with pytest.raises(Refusal, match="not the amount"):
            await shop.called_back(Callback(reference=attempt.reference, state="charged", amount=Money(1, "EUR")))
        with pytest.raises(Refusal, match="nobody here"):
            await shop.called_back(Callback(reference="x", state="charged", amount=attempt.amount))
        await shop.called_back(says)
        assert (await shop.attempts(user, order.id))[0].state in ("refunding", "refunded")
        assert (await shop.pay(user, order.id, "card")).status == "confirmed"
        with pytest.raises(Refusal, match="confirmed cannot be paid"):
            await shop.pay(user, order.id, "card")
        await shop.settled()
        assert await taken(shop, staff, order) == [("declined", 1_250), ("charged", 1_250)]


@pytest.mark.slow
@feature("SHOP-20")
async def test_the_trace_of_a_request_to_pay_leads_to_the_charge_and_to_what_is_called_back_of_it(world: World) -> None:
    async with selling(world, SOON) as (shop, item, _, user):
        order = await ordered(world, shop, user, item, "early")
        parent = b"00-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01"
        token = tracing.current.set(tracing.begin({b"traceparent": parent}))
        try:
            await shop.pay(user, order.id, "card")
        finally:
            tracing.current.reset(token)
        bank = world.stores.bank.client
        [charge] = await bank.charges(reference=str(order.id))
        assert charge.trace == "a1" * 16
        [event] = await bank.events()
        assert event.charge.trace == "a1" * 16


async def test_only_what_is_signed_just_now_by_the_provider_is_heard() -> None:
    heard: list[Callback] = []

    async def hear(callback: Callback) -> None:
        heard.append(callback)
        if callback.reference == "later":
            raise Refusal("unavailable", "not now")

    async def says(body: bytes, header: str) -> int:
        answers: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            answers.append(message)

        scope = {"type": "http", "headers": [(b"fathom-signature", header.encode())]}
        await ear(hear, "sk_ours")(scope, receive, send)
        return answers[0]["status"]

    charge = {"id": "ch_1", "key": "7-1", "minor": 5, "currency": "EUR", "reference": "7", "status": "succeeded"}
    body = json.dumps({"seq": 1, "kind": "charge.succeeded", "charge": charge, "at_ms": 0}).encode()
    now = int(time.time())
    assert await says(body, sign("sk_ours", body, now)) == 204
    assert heard == [Callback(reference="7-1", state="charged", amount=Money(5, "EUR"))]
    for header in ("", "t=1,v1=é", sign("sk_theirs", body, now), sign("sk_ours", body, now - 3_600)):
        assert await says(body, header) == 400
    assert await says(body.replace(b'"minor": 5', b'"minor": 9'), sign("sk_ours", body, now)) == 400
    assert await says(b"{}", sign("sk_ours", b"{}", now)) == 400
    assert len(heard) == 1
    later = body.replace(b"7-1", b"later")
    assert await says(later, sign("sk_ours", later, now)) == 503
    part = body.replace(b"charge.succeeded", b"charge.refunded")
    assert await says(part, sign("sk_ours", part, now)) == 204
    assert len(heard) == 2, "that a part went back changes nothing here"
