"""An order, its stock and its money change together: what does each way cost, and what does a crash leave behind?

Somebody orders one thing and pays for it, again and again, while the service, the database or the payment provider is
killed. What is swept is how many different things are asked for: of one, everybody wants the same row of the stock, and
waits for as long as whoever has it keeps it locked.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from fathom.design import ms
from fathom.lab.dive import Dive, Load, Outage, op, sweep

from .. import laws
from ..api import PAGE_MAX, Address, Basket, Item, ItemId, Money, Order, Orders, Shop, User, UserId, Wanted
from ..decisions.transaction import Transaction

BUYERS, UNITS = 60, 1_000_000
MARGIN = 4_096
HOME = Address(name="Ann", street="Main Street 1", city="Kiel", postcode="24103", country="DE")


class Buying(Dive[Shop]):
    """One transaction, a saga, and two-phase commit, on goods that everybody wants or each somebody else."""

    decision = Transaction
    goods: int = sweep(1, 100)
    load = Load(buy=8, mine=20, lasts_s=2.0)

    keys = itertools.count(1)

    async def prepare(self, stores: Any, approach: Any, goods: Sequence[int]) -> None:
        first = await stores.accounts.last_id() + MARGIN
        ids = iter(range(first, first + MARGIN * (BUYERS * len(goods) + sum(goods) + 2), MARGIN))
        self.staff = UserId(next(ids))
        self.buyers = {n: [UserId(next(ids)) for _ in range(BUYERS)] for n in goods}
        self.items = {n: [ItemId(next(ids)) for _ in range(n)] for n in goods}
        people = [User(id=user, email=f"{user}@example.org") for users in self.buyers.values() for user in users]
        await stores.accounts.bulk([User(id=self.staff, email="staff@example.org", staff=True), *people], 0)
        everything = [item for items in self.items.values() for item in items]
        price = Money(1_250, "EUR")
        await stores.catalogue.bulk(
            [Item(id=item, name=f"thing {item}", price=price, category="things") for item in everything]
        )
        await stores.shelves.bulk([(item, UNITS) for item in everything])

    def given(self, who: Sequence[UserId]) -> Any:
        return {"stock": {str(item): UNITS for items in self.items.values() for item in items}}

    @op
    async def buy(self, shop: Shop, turn) -> Order:
        """Somebody orders one thing and pays for it."""
        user = turn.dice.choice(self.buyers[turn.goods])
        item = turn.dice.choice(self.items[turn.goods])
        key = f"{next(self.keys)}-{turn.dice.getrandbits(40)}"  # each block has the same dice, and buys anew
        order = await shop.checkout(user, Basket(lines=[Wanted(item, 1)], address=HOME), key)
        return await shop.pay(user, order.id, "card", key)

    @op(reads=True)
    async def mine(self, shop: Shop, turn) -> Orders:
        """Somebody looks at their orders."""
        return await shop.orders(turn.dice.choice(self.buyers[turn.goods]))

    def everyone(self, point: int) -> Sequence[UserId]:
        return [*self.buyers[point], self.staff]

    async def look(self, shop: Shop, who: UserId) -> None:
        """Look at one's orders with all that belongs to them; staff, at the log."""
        if who == self.staff:
            after = 0
            while (page := await shop.events(who, after, PAGE_MAX)).events:
                after = page.after
            return
        for order in (await shop.orders(who, limit=100)).orders:
            await shop.attempts(who, order.id)
            await shop.taken(self.staff, order.id)

    watch = buy.p50, buy.cpu_s, buy.statements
    goals = (buy.p50 < ms(100),)
    faults = (
        Outage("service", from_s=1.0, until_s=2.0),
        Outage("truth", from_s=1.0, until_s=2.0),
        Outage("bank", from_s=1.0, until_s=2.0),
    )
    keeps = laws.money_equals_the_orders

    def predict(self, found):
        for goods in (1, 100):
            one, saga, two = (found(name, goods=goods) for name in ("one-database", "saga", "two-phase"))
            more = saga.buy.statements > one.buy.statements
            yield f"a saga writes down how far it came: more statements, {goods} goods", more
            yield f"two phases take more statements than one, {goods} goods", two.buy.statements > one.buy.statements
            yield f"and more of everybody's CPU, {goods} goods", two.buy.cpu_s > 1.1 * one.buy.cpu_s
        one, two = (found(name, goods=1) for name in ("one-database", "two-phase"))
        yield "who waits for a verdict waits longer", two.buy.p50 > 1.1 * one.buy.p50
