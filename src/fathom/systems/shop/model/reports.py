"""What is read from the log of events, made of it anew whenever somebody asks."""

from __future__ import annotations

from ..api import Money, OrderId, Sold, Summaries, Taken, Tally, UserId
from .buying import Buying
from .checks import page_below, page_limit
from .views import Change, fold

__all__ = ["Reports"]


class Reports(Buying):
    """Read models, which are never late here, and the provider's own word."""

    def _read(self) -> Change:
        return fold(self.log, {})

    async def sales(self, user: UserId) -> list[Sold]:
        self._staff(user)
        sold = self._read().sales
        return [Sold(item=item, quantity=sold[item][0], amount=sold[item][1]) for item in sorted(sold)]

    async def tallies(self, user: UserId) -> list[Tally]:
        self._staff(user)
        return [
            Tally(status=status, orders=orders, total=Money(amount, currency))  # pyright: ignore[reportArgumentType]
            for (status, currency), (orders, amount) in sorted(self._read().tallies.items())
            if orders
        ]

    async def summaries(self, user: UserId, after: str = "", limit: int = 20) -> Summaries:
        below, most = page_below(after), page_limit(limit)
        mine = [it for it in self._read().summaries.values() if it.user == user and it.order < below]
        found = sorted(mine, key=lambda it: -it.order)
        return Summaries(summaries=found[:most], after=str(found[most - 1].order) if len(found) > most else "")

    async def replay(self, user: UserId) -> int:
        self._staff(user)
        return len(self.log)

    async def taken(self, user: UserId, order: OrderId) -> list[Taken]:
        self._staff(user)
        self._seen(user, order)
        charged = {"charged": 0, "refunded": 1, "refunding": 1}
        return [
            Taken(
                reference=it.reference,
                state="charged" if it.state in charged else "declined",
                amount=it.amount,
                refunded=charged.get(it.state, 0) * it.amount.amount,
            )
            for it in self.tried[order]
        ]
