"""Lend one reader the right to make it, across all processes, and show the others the old one meanwhile."""

from __future__ import annotations

import asyncio

from fathom.design import knob
from fathom.errors import Refusal

from ...stores.memory import MemoryShut
from ...stores.trends import Trend
from . import WAIT_S, Clock, Stampede

POLL_S = 0.01


class Lease(Stampede):
    """As in "Scaling Memcache at Facebook" (NSDI 2013): the lease lapses by itself, and without it nobody may write."""

    renew_at: float = knob(0.8, "share of its life after which one reader makes it anew")
    lease_s: float = knob(2.0, "seconds after which another may make it, if the first one has not")

    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        if kept is not None and self.trends.age_s(kept, clock()) < self.renew_at * self.fresh_s:
            return kept, False
        try:
            lease = await self.trends.lease(hours, self.lease_s)
        except MemoryShut:
            return await self.renew(hours, kept, clock)
        if lease is not None:
            return await self._made(hours, clock, lease), True
        return (kept, False) if kept is not None else await self._wait(hours, clock)

    async def _made(self, hours: int, clock: Clock, lease: str) -> Trend:
        try:
            made, _ = await self.renew(hours, None, clock, lease)
        except BaseException:
            await self.trends.give_up(hours, lease)
            raise
        return made

    async def _wait(self, hours: int, clock: Clock) -> tuple[Trend, bool]:
        """There is nothing to show, and another makes it."""
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_S
        while loop.time() < until:
            await asyncio.sleep(POLL_S)  # who makes it may be in another process, and tells nobody
            kept = await self.trends.kept(hours)
            if kept is not None and self.trends.age_s(kept, clock()) < self.fresh_s:
                return kept, False
            try:
                lease = await self.trends.lease(hours, self.lease_s)
            except MemoryShut:
                return await self.renew(hours, None, clock)
            if lease is not None:
                return await self._made(hours, clock, lease), True
        raise Refusal("unavailable", "it takes long to find what trends, try again", retry_s=1.0)
