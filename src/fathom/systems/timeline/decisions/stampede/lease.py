"""Lend one reader the right to make it, across all processes, and show the others the old one meanwhile."""

from __future__ import annotations

import asyncio
from typing import TypeGuard

from fathom.design import knob
from fathom.errors import FathomError, Refusal

from ...stores.memory import MemoryShut
from ...stores.trends import Trend
from . import WAIT_S, Clock, Stampede

POLL_S = 0.01


class Lease(Stampede):
    """As in "Scaling Memcache at Facebook" (NSDI 2013): the lease lapses by itself, and without it nobody may write."""

    renew_at: float = knob(0.8, "share of its life after which one reader makes it anew")
    lease_s: float = knob(2.0, "seconds after which another may make it, if the first one has not")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.lease_s > 0:
            raise FathomError(
                f"nothing can be lent for lease_s={self.lease_s:g}",
                why="who holds a lease renews it three times in that time",
                fix="leave it out, or say for example lease_s=2",
            )

    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        if self._is_young(kept, clock):
            return kept, False
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_S
        while True:
            if not self.trends.turns.locked() and (made := await self._made(hours, clock)) is not None:
                return made
            if kept is not None:
                return kept, False
            if loop.time() >= until:
                raise Refusal("unavailable", "it takes long to find what trends, try again", retry_s=1.0)
            await asyncio.sleep(POLL_S)  # who makes it may be in another process, and tells nobody
            if (kept := await self.fresh(hours, clock)) is not None:
                return kept, False

    def _is_young(self, kept: Trend | None, clock: Clock) -> TypeGuard[Trend]:
        return kept is not None and self.trends.age_s(kept, clock()) < self.renew_at * self.fresh_s

    async def _made(self, hours: int, clock: Clock) -> tuple[Trend, bool] | None:
        """Make it, unless another has the lease, or has made it since we looked. The lease begins with the turn."""
        async with self._turn():
            try:
                lease = await self.trends.lease(hours, self.lease_s)
            except MemoryShut:  # nobody lends it: the turns must do
                return await self._look_again(hours, clock) or (await self.make(hours, clock), True)
            if lease is None:
                return None
            try:
                if (found := await self._look_again(hours, clock)) is None:
                    async with self.trends.holding(hours, lease, self.lease_s):
                        return await self.make(hours, clock, lease), True
            except BaseException:
                await self.trends.give_up(hours, lease)
                raise
            await self.trends.give_up(hours, lease)
            return found

    async def _look_again(self, hours: int, clock: Clock) -> tuple[Trend, bool] | None:
        kept = await self.trends.kept(hours)
        return (kept, False) if self._is_young(kept, clock) else None
