"""What happened to orders, for whoever wants to know, from the beginning if need be."""

from __future__ import annotations

from fathom.errors import Refusal

from ..api import PAGE_MAX, Events, Sold, Summaries, Tally, UserId
from ..model.checks import ID_MAX, page_below, page_limit
from .base import Base, asking, changing

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
            return await self._stores.views.sales()

    async def tallies(self, user: UserId) -> list[Tally]:
        await self._staff(user)
        with asking():
            return await self._stores.views.tallies()

    async def summaries(self, user: UserId, after: str = "", limit: int = 20) -> Summaries:
        with asking():
            return await self._stores.views.summaries(user, page_below(after), page_limit(limit))

    async def replay(self, user: UserId) -> int:
        await self._staff(user)
        with changing():
            return await self._stores.views.rebuild()

    async def _project(self) -> None:
        """Let the read models read what there is."""
        while await self._stores.views.read_on():
            pass
