"""Let whoever finds it out of date make it: a control, because a crowd finds it so at once."""

from __future__ import annotations

from ... import laws
from ...stores.trends import Trend
from . import Clock, Stampede


class NoProtection(Stampede):
    """Look, make, keep: right for one reader, and what brings a database down under many."""

    breaks = laws.what_trends_is_made_by_few_at_once

    async def choose(self, hours: int, kept: Trend | None, clock: Clock) -> tuple[Trend, bool]:
        return (kept, False) if kept is not None else (await self.make(hours, clock), True)
