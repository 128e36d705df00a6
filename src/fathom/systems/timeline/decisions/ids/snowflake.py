"""Number by a clock that never goes back, and show nobody who walks up what is younger than the oldest write under way.

No engine is asked for a number, and the time is in it. What it costs: who walks up waits for the slowest write. One
process numbers; of several with clocks of their own, each would have to be behind by as much as these may differ.
"""

from __future__ import annotations

from fathom.blocks.ids import Ids

from . import Numbering


class Snowflake(Numbering):
    """41 bits of milliseconds, 4 of worker, 8 of sequence."""

    def __post_init__(self) -> None:
        self._ids = Ids()

    async def begin(self) -> None:
        await super().begin()
        self._ids.pass_over(self.numbers.highest)

    async def mint(self, now_ms: int, above: int) -> int:
        self._ids.pass_over(above)
        return self._ids.mint(now_ms)

    def horizon(self, now_ms: int) -> int:
        first = Ids.first_of(now_ms)
        self._ids.pass_over(first - 1)  # whatever the clock does from here on, nothing comes in below
        return min(self.numbers.oldest_under_way(), max(self.numbers.highest + 1, first))
