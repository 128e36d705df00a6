"""Let a reader make it shortly before it expires, by dice that know how long it takes: nobody waits or is asked."""

from __future__ import annotations

import random

from fathom.blocks.early import is_due
from fathom.design import knob

from ...stores.trends import Trend
from . import Clock, Stampede


class EarlyRefresh(Stampede):
    """XFetch (VLDB 2015): the expected number of those who make it does not grow with the number of readers."""

    beta: float = knob(1.0, "how much earlier than the least that is enough")

    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        if kept is not None:
            left_s = self.fresh_s - self.trends.age_s(kept, clock())
            if not is_due(left_s, kept.took_ms / 1000, 1.0 - random.random(), beta=self.beta):
                return kept, False
        return await self.renew(hours, kept, clock)
