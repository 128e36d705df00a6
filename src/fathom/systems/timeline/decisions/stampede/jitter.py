"""Let each reader find it out of date at another moment: the first one has made it when the others would."""

from __future__ import annotations

import random

from fathom.design import knob

from ...stores.trends import Trend
from . import Clock, Stampede


class Jitter(Stampede):
    """Many values that were kept together do not expire together if their lives differ by chance. This is one value,
    and so its readers' patience differs: evenly, whatever they read and however long making it takes.
    """

    spread: float = knob(0.2, "share of its life, at the end, in which a reader may find it too old")

    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        patience_s = self.fresh_s * (1 - self.spread * random.random())
        if kept is not None and self.trends.age_s(kept, clock()) < patience_s:
            return kept, False
        return await self.renew(hours, kept, clock)
