"""When sixteen people order in the same moment, what does it cost that none of them gets what is not there?

In one moment sixteen buyers each order one thing; the next moment is sixteen others. What is swept is how many
different things they want: one that everybody wants, or enough that hardly two meet. A moment is over when the
last of the sixteen was answered: who waits in a line waits for all those before them. There is enough of everything;
what happens when there is not is asked by `rush`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fathom.design import ms
from fathom.lab.dive import Dive, Load, Outage, op, sweep

from .. import laws
from ..api import Address, Basket, Item, ItemId, Money, Shop, User, UserId, Wanted
from ..decisions.stock import Stock as Deciding

AT_ONCE = 16  # the connections to the truth: more would wait for one of these whatever the approach
BUYERS = 320
UNITS = 100_000  # of each item: rows are made for each of them where the approach has rows
HOME = Address(name="Ann", street="Main Street 1", city="Kiel", postcode="24103", country="DE")
# What else an order costs: the prices, BEGIN, the order with its lines, its event, and COMMIT.
AROUND = 5


class Stock(Dive[Shop]):
    """Six ways to take stock, of one item and of many."""

    decision = Deciding
    among = "batching", "conditional-update", "optimistic", "redis", "reservation-rows", "row-lock"
    items: int = sweep(1, 200)
    load = Load(buy=6, lasts_s=1.5)

    async def prepare(self, stores: Any, approach: Deciding, items: Sequence[int]) -> None:
        users = [User(id=UserId(4096 * n), email=f"buyer_{n}@example.org") for n in range(1, BUYERS + 1)]
        await stores.accounts.bulk(users, 0)
        self.buyers = [user.id for user in users]
        numbers = iter(range(1, sum(items) + 1))
        self.wanted = {n: [ItemId(next(numbers)) for _ in range(n)] for n in items}
        every = [item for these in self.wanted.values() for item in these]
        price = Money(1_250, "EUR")
        await stores.catalogue.bulk(Item(id=it, name=f"thing {it}", price=price, category="x") for it in every)
        self.units = {item: UNITS // n for n, these in self.wanted.items() for item in these}
        await stores.shelves.bulk(self.units.items())

    def given(self, who: Sequence[Any]) -> Any:
        return {"stock": {str(item): units for item, units in self.units.items()}}

    @op
    async def buy(self, shop: Shop, turn) -> None:
        """Sixteen order one thing each, at once."""
        items = self.wanted[turn.items]
        first = turn.index * AT_ONCE
        said = await asyncio.gather(
            *(
                shop.checkout(
                    self.buyers[(first + n) % BUYERS],
                    Basket(lines=[Wanted(items[turn.dice.randrange(len(items))], 1)], address=HOME),
                )
                for n in range(AT_ONCE)
            ),
            return_exceptions=True,
        )
        for answer in said:
            if isinstance(answer, BaseException):
                raise answer

    def everyone(self, point: int) -> Sequence[Any]:
        return self.wanted[point][:8]

    async def look(self, shop: Shop, who: Any) -> None:
        await shop.level(who)

    def expects(self, approach: str, op: str, point: int) -> Mapping[str, int]:
        """What takes stock in one statement takes one more for each order, and what looks before it takes two.

        Where it is counted in Redis, the first order of an item has its counter made: of many items that is seen.
        """
        if approach == "redis" and point > 1:
            return {}
        each = {"conditional-update": 1, "reservation-rows": 1, "row-lock": 2, "redis": 1}.get(approach)
        counts = {} if each is None else {"statements": AT_ONCE * (AROUND + each)}
        return counts | ({"commands": 5 * AT_ONCE} if approach == "redis" else {})  # a script, and four that it calls

    watch = buy.p50, buy.cpu_s, buy.statements
    goals = (buy.p50 < ms(250),)
    faults = Outage("truth", from_s=1.5, until_s=2.5), Outage("cache", from_s=1.5, until_s=2.5, wiped=True)
    keeps = laws.nothing_is_sold_twice

    def predict(self, found):
        update, lock, batch, rows, looks = (
            found(approach, items=1)
            for approach in ("conditional-update", "row-lock", "batching", "reservation-rows", "optimistic")
        )
        yield "on one row a lock takes a statement more than comparing", lock.buy.statements > update.buy.statements
        yield "looking without a lock is done in vain for the most", looks.buy.statements > 1.2 * lock.buy.statements
        yield "one writer takes fewer statements than sixteen", batch.buy.statements < update.buy.statements
        yield "a row for each thing is not a row that all want", rows.buy.p50 < update.buy.p50
        spread, meets = found("optimistic", items=200), found("optimistic", items=1)
        yield "where hardly two meet, no look is in vain", spread.buy.statements < meets.buy.statements / 1.2
