"""Orders change in transactions of all lengths, and somebody is killed now and then: which events never come out?

Eight writers change orders, each in a transaction that stays open for a while after the event was written: some not at
all, some for as long as is swept. One in twenty is killed between its commit and whatever it meant to do then, and one
in ten gives up and rolls back. The relay reads along, and every third time it is killed before it could write down how
far it came. Counted are the events of committed changes that are not in the log in the end, and what it cost.
"""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import Any

import msgspec

from fathom.engines.ledger import charging, work
from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..api import NOWHERE, ItemId, Line, Money, Order, OrderId, UserId
from ..decisions.delivery import Delivery

WRITERS, ORDERS = 8, 120  # each order is placed, and then confirmed
KILLED, GIVES_UP, FORGETS = 0.05, 0.1, 0.33
PRICE = Money(100, "EUR")
LINE = Line(item=ItemId(1), name="thing", quantity=1, price=PRICE)
PAGE = 100


class Told(Dive[Any]):
    """Four ways for an event to leave, and transactions that are open for up to so long."""

    decision = Delivery
    trial_s = 3.0
    open_ms: int = sweep(0, 40)
    counts = "changes", "lost", "invented", "disordered", "again", "statements"

    async def prepare(self, stores: Any, approach: Delivery, open_ms: Any) -> None:
        self.stores = stores
        await approach.begin()

    async def trial(self, approach: Delivery, turn: Any) -> Any:
        evening = Evening(self.stores, approach, turn.dice, turn.open_ms / 1_000)
        before = work.snapshot().get("told", {}).get("statements", 0)
        with charging("told"):
            await evening.passes()
        spent = work.snapshot()["told"]["statements"] - before
        await evening.look()
        return {**evening.counted(), "statements": spent / max(1, len(evening.committed))}, History(evening.ops)

    def predict(self, found):
        for approach in ("outbox", "change-capture"):
            for open_ms in (0, 40):
                it = found(approach, open_ms=open_ms)
                yield f"{approach}: nothing is lost, {open_ms} ms", it.lost.equals(0)
                yield f"{approach}: nothing is told that was rolled back, {open_ms} ms", it.invented.equals(0)
                yield f"{approach}: an order's events are in order, {open_ms} ms", it.disordered.equals(0)
        by_id = found("outbox-by-id", open_ms=40)
        yield "ids above the last: some are never seen when transactions differ in length", by_id.lost > 0
        yield "two writes: whoever is killed between them has told nobody", found("dual-write", open_ms=0).lost > 0
        captured, outbox = found("change-capture", open_ms=40), found("outbox", open_ms=40)
        yield "what a relay was killed over comes again where it tells another how far it came", captured.again > 0
        yield "and not where that is written with the events", outbox.again.equals(0)


class Evening:
    """Some orders, who changes them, and who reads along."""

    def __init__(self, stores: Any, approach: Delivery, dice: Random, open_s: float) -> None:
        self.stores, self.approach, self.dice, self.open_s = stores, approach, dice, open_s
        self.committed: list[Order] = []
        self.given_up: set[tuple[OrderId, int]] = set()
        self.ops: list[Op] = []
        self.again = 0
        self._over = False
        self._taken = 0
        self._id = dice.getrandbits(40) << 8

    async def passes(self) -> None:
        appended, took = self.stores.outbox.append, self.stores.changes.took

        async def append(told: Any, tx: Any) -> int:
            new = await appended(told, tx)
            self.again += len(told) - new
            return new

        async def forgets(behind: str) -> None:
            if self.dice.random() >= FORGETS:
                await took(behind)

        self.approach.outbox.append, self.approach.changes.took = append, forgets
        try:
            relay = asyncio.create_task(self._relay())
            orders = iter(range(ORDERS))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(WRITERS):
                        group.create_task(self._write(orders))
            finally:  # also when a writer broke: the relay reads until it is told that all is over
                self._over = True
                await relay
        finally:
            del self.approach.outbox.append, self.approach.changes.took
        while await self.approach.pass_on():
            pass

    async def _write(self, orders: Any) -> None:
        for number in orders:
            id, user = OrderId(self._id + number * 4096), UserId(1)
            order = Order(id=id, user=user, status="pending", lines=[LINE], total=PRICE, address=NOWHERE)
            for status in ("pending", "confirmed"):
                changed = msgspec.structs.replace(order, status=status, version=1 + (status == "confirmed"))
                if not await self._change(changed):
                    break

    async def _change(self, order: Order) -> bool:
        """Change an order; say whether that was committed."""
        open_s = self.open_s * self.dice.choice((0.0, 0.1, 1.0))
        gives_up, killed = self.dice.random() < GIVES_UP, self.dice.random() < KILLED
        with contextlib.suppress(_GivesUp):
            async with self.stores.orders.changing() as tx:
                await self.approach.tell([order], tx)
                await asyncio.sleep(open_s)  # what is swept: a transaction that has other things to do
                if gives_up:
                    raise _GivesUp
            self.committed.append(order)
            if not killed:
                await self.approach.told([order])
            return True
        self.given_up.add((order.id, order.version))
        return False

    async def _relay(self) -> None:
        while not self._over:
            if not await self.approach.pass_on():
                await asyncio.sleep(0.002)  # nobody tells when a transaction has ended

    async def look(self) -> None:
        """Read the whole log, and say what was committed."""
        self._note("given", [], {"orders": {"1": ORDERS}})
        for order in self.committed:
            self._note("order", [order.user, order.id], order)
        after = 0
        while True:
            events = await self.stores.outbox.log(after, PAGE)
            self._note("events", [1, after], {"events": events, "after": events[-1].seq if events else after})
            if not events:
                return
            after = events[-1].seq

    def counted(self) -> dict[str, float]:
        mine = {order.id for order in self.committed} | {id for id, _ in self.given_up}
        pages = [op.answer["events"] for op in self.ops if op.call == "events"]
        told = [(event["order"], event["version"]) for page in pages for event in page if event["order"] in mine]
        changes = {(order.id, order.version) for order in self.committed}
        newest: dict[int, int] = {}
        disordered = 0
        for order, version in told:
            disordered += version < newest.get(order, 0)
            newest[order] = max(version, newest.get(order, 0))
        return {
            "changes": len(changes),
            "lost": len(changes - set(told)),
            "invented": len(set(told) & self.given_up),
            "disordered": disordered,
            "again": self.again,
        }

    def _note(self, call: str, asked: list[Any], answer: Any) -> None:
        at = len(self.ops)
        plain = msgspec.to_builtins([asked, answer])
        op = Op(index=at, caller="evening", call=call, asked=plain[0], answer=plain[1], final=True)
        self.ops.append(msgspec.structs.replace(op, start_s=float(at), end_s=at + 0.5))


class _GivesUp(Exception):
    pass
