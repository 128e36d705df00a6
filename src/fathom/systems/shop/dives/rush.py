"""Five hundred people want the last hundred of five things: who gets one, who is told no, and who stood in whose way?

Each wants two of five things, one of each. Their baskets list them as they were thought of; what is swept is whether
the rows are locked in that order or in one that is the same for all. Counted are those who got what they wanted, those
who were told that there is not enough, those who were told to come again because others stood in their way, units that
were promised beyond those that there were, transactions that the database ended because they waited for each other in a
circle (it counts them itself), and looks that were in vain.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random
from typing import Any

from fathom.engines.engine import EngineBusy
from fathom.engines.ledger import work
from fathom.errors import Refusal
from fathom.history import History, Op
from fathom.lab.dive import Dive, sweep

from ..api import Item, ItemId, Money, OrderId, Wanted
from ..decisions.stock import Stock

BUYERS, UNITS, THINGS = 500, 40, 5  # each buyer wants two units, so that a hundred can be served
AT_ONCE = 16
EURO = Money(1, "EUR")


class Rush(Dive[Any]):
    """Every way to take stock, and the control that sells what is not there."""

    decision = Stock
    trial_s = 5.0
    rows: str = sweep("sorted", "basket")
    counts = "served", "refused", "gave_up", "oversold", "deadlocks", "retries", "statements"

    async def prepare(self, stores: Any, approach: Stock, rows: Any) -> None:
        self.catalogue, self.truth = stores.catalogue, stores.truth

    async def trial(self, approach: Stock, turn: Any) -> Any:
        if hasattr(approach, "sorts"):
            approach.sorts = turn.rows == "sorted"  # pyright: ignore[reportAttributeAccessIssue]
        waits = Random(turn.dice.getrandbits(64))  # its own: who waits when must not change who wants what
        if hasattr(approach, "dice"):
            approach.dice = waits  # pyright: ignore[reportAttributeAccessIssue]
        await approach.begin()
        crowd = Crowd(approach, turn)
        await self.catalogue.bulk([Item(id=id, name="thing", price=EURO, category="x") for id in crowd.items])
        await crowd.opens()
        before = await self._deadlocks()
        await crowd.rushes()
        return crowd.counted() | {"deadlocks": await self._deadlocks() - before}, History(crowd.ops)

    async def _deadlocks(self) -> int:
        """Return how many transactions the database has ended because they waited in a circle, as it counts them."""
        return (await self.truth.counters())["deadlocks"]

    def predict(self, found):
        for approach in ("conditional-update", "row-lock", "optimistic", "batching", "redis", "reservation-rows"):
            of = found(approach, rows="sorted")
            yield f"{approach} promises nothing that is not there", of.oversold.equals(0)
        yield "looking and then writing does", found("read-then-write", rows="sorted").oversold > 0
        for approach in ("conditional-update", "row-lock"):
            some, none = found(approach, rows="basket"), found(approach, rows="sorted")
            yield f"{approach} in the order of baskets waits in circles", some.deadlocks > 0
            yield f"and in one order for all it does not ({approach})", none.deadlocks.equals(0)
        looks, update = found("optimistic", rows="sorted"), found("conditional-update", rows="sorted")
        yield "who looks without a lock looks again", looks.retries > 0
        yield "and so asks more of the database", looks.statements > update.statements


class Crowd:
    """Buyers who all come at once, and what they were told."""

    def __init__(self, stock: Stock, turn: Any) -> None:
        self.stock, self.dice = stock, turn.dice
        # Its own numbers at each turn: what was sold before stays sold.
        self.first = (turn.rows == "basket") << 49 | self.dice.randrange(1 << 16) << 32 | (1 + turn.index) << 20
        self.items = [ItemId(self.first + n) for n in range(THINGS)]
        self.ops: list[Op] = []
        self.told: Counter[str] = Counter()
        self.statements = self.retries = 0
        self.began_s = time.perf_counter()

    async def opens(self) -> None:
        """Put things on the shelf."""
        shelves = self.stock.shelves
        await shelves.bulk([(item, 0) for item in self.items])
        async with shelves.db.transaction() as tx:
            for item in self.items:
                await self.stock.receive(item, UNITS, tx)
        self.ops.append(
            Op(index=-1, caller="lab", call="given", answer={"stock": {str(it): UNITS for it in self.items}}, end_s=0.0)
        )

    async def rushes(self) -> None:
        before, again = _statements(), self.stock.retries
        buyers = iter(range(BUYERS))

        async def come() -> None:
            for buyer in buyers:
                await self._buys(buyer)

        await asyncio.gather(*(come() for _ in range(AT_ONCE)))
        self.statements, self.retries = _statements() - before, self.stock.retries - again

    async def _buys(self, buyer: int) -> None:
        wanted = [Wanted(item, 1) for item in self.dice.sample(self.items, 2)]
        order, start_s = OrderId(self.first + buyer), time.perf_counter() - self.began_s
        try:
            await self.stock.reserve(order, wanted, 600.0)
        except Refusal as refusal:
            self.told["refused" if refusal.code == "conflict" else "gave_up"] += 1
            return
        except EngineBusy:  # the database ended it, for whatever reason: others stood in the way
            self.told["gave_up"] += 1
            return
        self.told["served"] += 1
        lines = [{"item": want.item, "name": "thing", "quantity": 1, "price": [1, "EUR"]} for want in wanted]
        answer = {"id": order, "user": buyer, "status": "pending", "lines": lines, "total": [2, "EUR"],
                  "created_ms": 0, "until_ms": 600_000}  # fmt: skip
        self.ops.append(
            Op(index=len(self.ops), caller=f"buyer {buyer}", call="checkout", asked=[buyer, {}], answer=answer,
               start_s=start_s, end_s=time.perf_counter() - self.began_s)
        )  # fmt: skip

    def counted(self) -> dict[str, float]:
        promised: Counter[int] = Counter()
        for op in self.ops[1:]:
            promised.update({line["item"]: line["quantity"] for line in op.answer["lines"]})
        return {
            "served": self.told["served"],
            "refused": self.told["refused"],
            "gave_up": self.told["gave_up"],
            "oversold": sum(max(0, units - UNITS) for units in promised.values()),
            "retries": self.retries,
            "statements": self.statements,
        }


def _statements() -> int:
    """Return how many statements this process has sent so far."""
    return sum(of.get("statements", 0) for of in work.snapshot().values())
