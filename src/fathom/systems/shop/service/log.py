"""What happened to orders, for whoever wants to know, from the beginning if need be."""

from __future__ import annotations

from fathom.errors import Refusal

from ..api import PAGE_MAX, Events, Sold, UserId
from ..model.checks import ID_MAX, page_limit
from .base import Base, asking

__all__ = ["Log"]


class Log(Base):
    """The log of events, and what is read from it."""

    async def events(self, user: UserId, after: int = 0, limit: int = PAGE_MAX) -> Events:
        if not 0 <= after <= ID_MAX:
            raise Refusal("invalid", "`after` is that of the page before, or 0")
        most = page_limit(limit)
        await self._staff(user)
        with asking():
            found = await self._stores.outbox.log(after, most)
        return Events(events=found, after=found[-1].seq if found else after)

    async def sales(self, user: UserId) -> list[Sold]:
        await self._staff(user)
        with asking():
            return await self._stores.outbox.sales()

    async def settled(self) -> None:
        with asking():
            while await self._choices.delivery.pass_on():
                pass
