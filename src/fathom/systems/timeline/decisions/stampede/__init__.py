"""When what everybody reads goes out of date, who makes it anew?

The default lends that right to one reader, whatever the number of processes, and nobody waits as long as there is an
old one to show. It costs a command more for each reader who finds it old while another makes it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fathom.design import Decision, knob
from fathom.errors import Refusal

from ...stores.trends import Trend, Trends

__all__ = ["Clock", "Stampede"]

Clock = Callable[[], int]  # Unix time, in milliseconds

TRIES = 3  # to be given what is fresh enough
WAITING_MAX = 2_000  # calls that may wait for it to be made
WAIT_S = 2.0  # who would wait longer is asked to come again


class Stampede(Decision):
    """What trends is kept in Redis, and nobody is given it when it is older than was promised.

    All but the control take turns to make it: so many may at once, whether Redis is there or not.
    """

    default = "lease"

    trends: Trends

    fresh_s: float = knob(60.0, "seconds after which nobody is given it any more")

    def __post_init__(self) -> None:
        self._waiting = 0

    async def trend(self, hours: int, clock: Clock) -> tuple[Trend, bool]:
        """Return what trends of the last hours, fresh as promised, and whether it was made for this call."""
        for _ in range(TRIES):
            kept = await self.fresh(hours, clock)
            trend, anew = await self.choose(hours, kept, clock)
            if anew or self.trends.age_s(trend, clock()) < self.fresh_s:
                return trend, anew
            # It took another so long to make that it is too old for those who had waited for it.
        raise Refusal("unavailable", "it takes long to find what trends, try again", retry_s=1.0)

    async def fresh(self, hours: int, clock: Clock) -> Trend | None:
        """Return what is kept, if it is fresh enough."""
        kept = await self.trends.kept(hours)
        return kept if kept is not None and self.trends.age_s(kept, clock()) < self.fresh_s else None

    @abstractmethod
    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        """Return what is kept, or what this call makes anew; there may be nothing that is fresh enough."""

    async def renew(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        """Make it anew in turn; who had to wait for that takes what was made meanwhile."""
        waits = self.trends.turns.locked()
        if waits and kept is not None:
            return kept, False  # so many do already
        async with self._turn():
            if waits and (made := await self.fresh(hours, clock)) is not None:
                return made, False
            return await self.make(hours, clock), True

    async def make(self, hours: int, clock: Clock, lease: str | None = None) -> Trend:
        """Make it, and keep it for the others."""
        made = await self.trends.make(hours, clock)
        await self.trends.keep(hours, made, self.fresh_s, lease)
        return made

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING_MAX:
            raise Refusal("unavailable", "too many wait for the same, try again", retry_s=1.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await self.trends.turns.acquire()
        except TimeoutError:
            raise Refusal("unavailable", "it takes long to find what trends, try again", retry_s=1.0) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self.trends.turns.release()

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load: what is kept says itself when it was made."""
