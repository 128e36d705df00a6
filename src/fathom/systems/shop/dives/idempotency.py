"""A buyer whose answer was lost asks again with the same key: who buys twice, and what does it cost to be told again?

A hundred buyers each order one thing, are not answered, and ask again until they are; then they ask once more. What is
swept is what became of the first call: it was answered after all, the process was killed before it committed, it was
killed just after, or it was answered and the cache forgot everything. Killed means that nothing more of that call is
run: what it had in its transaction is rolled back, and what it had in Redis stays.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from fathom.engines.database import Session
from fathom.engines.ledger import work
from fathom.errors import Refusal
from fathom.history import History, Op, Outcome
from fathom.lab.dive import Dive, sweep

from ..api import Address, Item, ItemId, Line, Money, Order, User, UserId
from ..decisions.delivery.outbox import OutboxByCommit
from ..decisions.idempotency import Asked
from ..decisions.idempotency import Idempotency as Deciding
from ..decisions.lock.database import InDatabase
from ..decisions.stock.conditional_update import ConditionalUpdate
from ..decisions.transaction import Parts
from ..decisions.transaction.one_database import OneDatabase
from ..model.numbers import Numbers

BUYERS, UNITS = 100, 1_000
HOLD_S = 600.0
AGAIN_S = 0.02  # between two times that somebody asks again
TRIES = 200
EURO = Money(1, "EUR")
HOME = Address(name="Ann", street="Main Street 1", city="Kiel", postcode="24103", country="DE")


class Idempotency(Dive[Any]):
    """Keys in the transaction, keys in the cache, and none."""

    decision = Deciding
    trial_s = 4.0
    turned: ClassVar[Mapping[str, Any]] = {"claim_s": 0.05}
    first: str = sweep("answered", "killed-before", "killed-after", "forgotten")
    counts = "orders", "twice", "unlike", "statements_first", "statements_again", "commands_again"

    async def prepare(self, stores: Any, approach: Deciding, first: Any) -> None:
        self.stores = stores

    async def trial(self, approach: Deciding, turn: Any) -> Any:
        evening = Evening(self.stores, approach, turn)
        await evening.passes()
        return evening.counted(), History(evening.ops)

    def predict(self, found):
        for first in ("answered", "killed-before", "killed-after", "forgotten"):
            same, none = found("same-transaction", first=first), found("none", first=first)
            yield f"in the transaction a key has one effect, {first}", same.twice.equals(0)
            yield f"and one answer, {first}", same.unlike.equals(0)
            if first != "killed-before":
                yield f"without keys everybody buys twice, {first}", none.twice.equals(BUYERS)
        cache = {first: found("in-cache", first=first) for first in ("answered", "killed-after", "forgotten")}
        yield "in the cache nobody does while nothing breaks", cache["answered"].twice.equals(0)
        yield "but whoever was killed between effect and key does", cache["killed-after"].twice.equals(BUYERS)
        yield "and everybody when the cache forgets", cache["forgotten"].twice.equals(BUYERS)
        same = found("same-transaction", first="answered")
        yield "to be told again takes one statement", same.statements_again.equals(1)
        plain = found("none", first="answered")
        yield "and the key costs the first call three", (same.statements_first - plain.statements_first).equals(3)


class Killed(BaseException):
    """The process has ended here."""


class Mortal:
    """Keeps keys as an approach does, until the process that asks it is killed."""

    def __init__(self, approach: Deciding, at: str) -> None:
        self._approach, self._at = approach, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._approach, name)

    async def keep(self, asked: Asked, answer: bytes, tx: Session) -> None:
        await self._approach.keep(asked, answer, tx)
        if self._at == "killed-before":
            raise Killed

    async def kept(self, asked: Asked, answer: bytes) -> None:
        if self._at == "killed-after":
            raise Killed
        await self._approach.kept(asked, answer)


class Evening:
    """Buyers who each want one thing, and ask until they are told that they have it."""

    def __init__(self, stores: Any, approach: Deciding, turn: Any) -> None:
        self.stores, self.approach, self.first = stores, approach, turn.first
        points = ("answered", "killed-before", "killed-after", "forgotten")
        base = (1 + points.index(turn.first)) << 48 | turn.dice.randrange(1 << 16) << 30
        self.item = ItemId(base)
        self.users = [UserId(base + 4_096 * n) for n in range(1, BUYERS + 1)]
        self.numbers = Numbers(lambda: int(time.time() * 1_000))
        self.transaction = OneDatabase(orders=stores.orders, attempts=stores.attempts)
        self.ops: list[Op] = []
        self.unlike = 0
        self.cost: dict[str, int] = {}
        self.began_s = time.perf_counter()

    async def passes(self) -> None:
        stores = self.stores
        await stores.accounts.bulk([User(id=user, email=f"{user}@example.org") for user in self.users], 0)
        await stores.catalogue.bulk([Item(id=self.item, name="thing", price=EURO, category="x")])
        await stores.shelves.bulk([(self.item, UNITS)])
        before = _spent()
        first = [await self._once(user, self.first) for user in self.users]
        self.cost["statements_first"] = _spent()["statements"] - before["statements"]
        if self.first == "forgotten":
            await stores.cache.client("FLUSHDB")  # a Redis may be lent, and have other things in its other databases
        answers = [await self._until_answered(user) for user in self.users]
        before = _spent()
        again = [await self._once(user, "") for user in self.users]
        after = _spent()
        self.cost |= {f"{name}_again": after[name] - before[name] for name in ("statements", "commands")}
        for told in zip(first, answers, again, strict=True):
            self.unlike += len({answer for answer in told if answer is not None}) > 1
        self.made: Counter[UserId] = Counter()
        for user in self.users:
            page = await stores.orders.page_of(user, 1 << 62, 10)
            self.made[user] = len(page.orders)
            self._note("orders", [user], page, final=True)

    def counted(self) -> dict[str, float]:
        twice = sum(orders > 1 for orders in self.made.values())
        each = {name: round(cost / BUYERS, 2) for name, cost in self.cost.items()}
        return {"orders": sum(self.made.values()), "twice": twice, "unlike": self.unlike, **each}

    async def _until_answered(self, user: UserId) -> bytes:
        for _ in range(TRIES):
            try:
                answer = await self._once(user, "")
            except Refusal as refusal:  # the first one is believed to be under way
                assert refusal.code == "conflict", refusal.says
                await asyncio.sleep(AGAIN_S)
                continue
            assert answer is not None
            return answer
        raise TimeoutError("there was no answer at all")

    async def _once(self, user: UserId, killed: str) -> bytes | None:
        """Ask once, as the service does; return the answer: None, it was lost."""
        asked = Asked(user=user, verb="checkout", key="the-key", digest=bytes(32))
        wish = [user, {"lines": [[self.item, 1]]}, asked.key]
        keys: Any = Mortal(self.approach, killed)
        parts = Parts(
            ConditionalUpdate(shelves=self.stores.shelves, sorts=True),
            InDatabase(seats=self.stores.seats),
            OutboxByCommit(**{noun: getattr(self.stores, noun) for noun in OutboxByCommit.nouns()}),
            keys,
        )
        line = Line(item=self.item, name="thing", quantity=1, price=EURO)
        order = Order(id=self.numbers.order(user), user=user, status="pending", lines=[line], total=EURO, address=HOME)
        try:
            answer = await keys.find(asked)
            if answer is None:
                answer = await self.transaction.place(parts, order, None, HOLD_S, asked)
        except Refusal as refusal:
            self._note("checkout", wish, None, code=refusal.code)
            raise
        except Killed:
            self._note("checkout", wish, None, outcome=Outcome.UNKNOWN)
            return None
        self._note("checkout", wish, msgspec.json.decode(answer, type=Order))
        return answer

    def _note(self, call: str, asked: list[Any], answer: Any, *, code: str | None = None, **more: Any) -> None:
        at_s = time.perf_counter() - self.began_s
        outcome = Outcome.FAILED if code else more.pop("outcome", Outcome.OK)
        self.ops.append(
            Op(index=len(self.ops), caller="buyer", call=call, asked=asked, answer=msgspec.to_builtins(answer),
               outcome=outcome, code=code, start_s=at_s, end_s=at_s, **more)
        )  # fmt: skip


def _spent() -> Counter[str]:
    """Return what this process has asked of its engines so far."""
    found: Counter[str] = Counter()
    for of in work.snapshot().values():
        found.update(of)
    return found
