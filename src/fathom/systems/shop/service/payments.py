"""Paying: the attempt is written down, the provider asked, and its word, whenever it comes, made an order's status."""

from __future__ import annotations

from ..api import Attempt, OrderId, UserId
from .base import asking
from .buying import Buying

__all__ = ["Payments"]


class Payments(Buying):
    """Attempts to have orders paid."""

    async def attempts(self, user: UserId, order: OrderId) -> list[Attempt]:
        await self.order(user, order)
        with asking():
            return await self._stores.attempts.of(order)
