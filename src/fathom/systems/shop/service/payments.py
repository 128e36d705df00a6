"""Paying: the attempt is written down, the provider asked, and its word, whenever it comes, made an order's status."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import msgspec

from fathom.engines.database import Session
from fathom.engines.engine import EngineDown, EngineError
from fathom.errors import Refusal

from ..api import Attempt, Callback, Money, Order, OrderId, Taken, UserId
from ..decisions.idempotency import Asked
from ..decisions.transaction import ENCODE, Said
from ..model.checks import checked_method
from ..stores.provider import Ask
from .base import asking, changing
from .buying import Buying
from .goods import asked_for

__all__ = ["Payments"]

log = logging.getLogger("fathom.shop")

TRIES = 3  # while the provider says that it has done nothing
TRY_AGAIN_S = 0.05


class Payments(Buying):
    """Attempts to have orders paid."""

    async def pay(self, user: UserId, order: OrderId, method: str, key: str = "") -> Order:
        asked = asked_for(user, "pay", key, order, method)
        checked_method(method)
        await self.order(user, order)
        parts = self._parts
        with changing():
            if (answer := await parts.idempotency.find(asked)) is None:
                try:
                    begun, answer = await self._begin(user, order, method, asked)
                except Refusal:
                    await parts.idempotency.drop(asked)
                    raise
                if answer is None:
                    answer = ENCODE(await self._ask(order, begun, method))
                    async with self._stores.orders.changing() as tx:
                        await parts.idempotency.keep(asked, answer, tx)
                    await parts.idempotency.kept(asked, answer)
                    # Where this took long, another answer was kept meanwhile, and is given to whoever asks again.
                    answer = await parts.idempotency.find(asked) or answer
        return msgspec.json.decode(answer, type=Order)

    async def _begin(
        self, user: UserId, order: OrderId, method: str, asked: Asked
    ) -> tuple[Attempt | None, bytes | None]:
        """Write down an attempt, before anybody is asked for money; or return the answer that was given meanwhile."""
        parts, stores, rules = self._parts, self._stores, self._rules
        async with stores.orders.changing() as tx:
            answer = await parts.idempotency.claim(asked, tx, order)
            if answer is not None:
                return None, answer
            it = await stores.orders.of(order, tx, lock=True)
            if it is None or it.user != user:
                raise Refusal("not-found", "there is no such order of yours")
            if it.status != "pending":
                raise Refusal("conflict", f"an order that is {it.status} cannot be paid")
            if it.total.amount == 0:
                return None, None
            if not await self._lasts(it, tx):
                raise Refusal("conflict", "what was set aside for this order is not any more: order again")
            number = len(await stores.attempts.of(order, tx)) + 1
            reference = f"{order}-{number}"
            await stores.attempts.begin(reference, order, it.total, method, tx)
            await stores.orders.renew(order, rules.paying_s, tx)
            changed = await stores.orders.change(it, "payment-processing", tx)
            await parts.delivery.tell([changed], tx)
        await parts.delivery.told([changed])
        return Attempt(reference=reference, order=order, amount=it.total, state="asked"), None

    async def _lasts(self, it: Order, tx: Session) -> bool:
        """Keep what is set aside for an order while it is being paid; False: that is over, and money would go back."""
        parts, paying_s = self._parts, self._rules.paying_s
        if not it.hold:
            return await parts.stock.renew(it.id, paying_s, tx)
        hold = await parts.lock.held(it.hold, tx)
        return hold is not None and await parts.lock.prolong(hold, paying_s, tx)

    async def _ask(self, order: OrderId, attempt: Attempt | None, method: str) -> Order:
        """Ask for the money; return the order as the answer leaves it, or as it is if there was none in time."""
        if attempt is None:
            return await self._settle(order, "", "charged")
        said = await self._charge(attempt, method)
        if said is not None:
            return await self._settle(order, attempt.reference, said)
        found = await self._stores.orders.of(order)
        assert found is not None
        return found

    async def _charge(self, attempt: Attempt, method: str) -> Said | None:
        """Return what the provider says; None: nobody knows, and it is asked later what happened."""
        wish = Ask(
            minor=attempt.amount.amount, currency=attempt.amount.currency, reference=str(attempt.order), card=method
        )
        for again in range(TRIES):
            try:
                charge = await self._stores.bank.client.charge(attempt.reference, wish)
            except EngineDown as fault:
                log.info("%s (%s)", fault.what, fault.why)
                await asyncio.sleep(TRY_AGAIN_S * 2**again)  # who is not there cannot tell when it is
            except EngineError as fault:
                log.info("%s (%s)", fault.what, fault.why)
                return None
            except Refusal as refusal:
                if refusal.code in ("invalid", "conflict"):  # nothing was charged under this reference, nor will be
                    return "declined"
                log.error("the payment provider refuses us: %s", refusal.says)
                return None
            else:
                return "charged" if charge.status == "succeeded" else "declined"
        return None

    async def _settle(self, order: OrderId, reference: str, said: Said) -> Order:
        """Let the provider's word count."""
        return await self._choices.transaction.settle(self._parts, order, reference, said)

    async def called_back(self, callback: Callback) -> None:
        with changing():
            attempt = await self._stores.attempts.one(callback.reference)
            if attempt is None:
                raise Refusal("not-found", "nobody here has asked for this money")
            if callback.amount != attempt.amount:
                log.error("the provider says %s of %s, which is of %s", callback.amount, attempt, attempt.amount)
                raise Refusal("invalid", "this is not the amount that was asked for")
            if callback.state == "refunded":
                async with self._stores.orders.changing() as tx:
                    await self._stores.attempts.gave_back(attempt.reference, tx)
            elif attempt.state == "asked" or (attempt.state == "declined" and callback.state == "charged"):
                await self._settle(attempt.order, attempt.reference, callback.state)

    async def attempts(self, user: UserId, order: OrderId) -> list[Attempt]:
        await self.order(user, order)
        with asking():
            return await self._stores.attempts.of(order)

    async def taken(self, user: UserId, order: OrderId) -> list[Taken]:
        await self._staff(user)
        await self.order(user, order)
        with asking():
            charges = await self._stores.bank.client.charges(reference=str(order))
        return [
            Taken(
                reference=charge.key,
                state="charged" if charge.status == "succeeded" else "declined",
                amount=Money(charge.minor, charge.currency),
                refunded=charge.refunded,
            )
            for charge in charges
        ]

    # What is looked after in the background -----------------------------------------------------------------------

    async def _ask_what_happened(self, older_s: float) -> int:
        """Ask the provider of attempts that nobody knows the end of; return how many there are."""
        open_ones = await self._stores.attempts.open(older_s)
        for attempt in open_ones:
            with suppress(Refusal):
                if attempt.state == "asked":
                    # Not only asked but voided: a request that is still on its way would be charged behind our back.
                    charge = await self._stores.bank.client.void(attempt.reference)
                    said: Said = "charged" if charge.status == "succeeded" else "declined"
                    await self._settle(attempt.order, attempt.reference, said)
                else:
                    await self._give_back(attempt)
        return len(open_ones)

    async def _give_back(self, attempt: Attempt) -> None:
        """Give the money of an attempt back, and write it down."""
        bank = self._stores.bank.client
        for charge in await bank.charges(key=attempt.reference):
            if charge.status == "succeeded" and charge.refunded < charge.minor:
                await bank.refund(charge.id, f"{attempt.reference}-back")
        async with self._stores.orders.changing() as tx:
            await self._stores.attempts.gave_back(attempt.reference, tx)

    async def _answer_those_left(self, older_s: float) -> int:
        """Keep an answer for keys whose call ended before it had one: asked again, it is given."""
        left = await self._stores.attempts.unanswered("pay", older_s)
        for user, key, digest, order in left:
            found = await self._stores.orders.of(order)
            if found is not None:
                asked = Asked(user=UserId(user), verb="pay", key=key, digest=digest)
                async with self._stores.orders.changing() as tx:
                    await self._parts.idempotency.keep(asked, ENCODE(found), tx)
        return len(left)
