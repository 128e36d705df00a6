"""Number by the time and some dice, as UUIDv7 does: nothing has to be remembered, so it goes back with the clock.

A control: while the clock only goes forward, not to show what is of this millisecond is enough. When it steps back,
new posts are numbered below those that were shown long ago. (A UUID has 74 bits for the dice; here are twelve, as a
number has to fit in a double, and the primary key finds out who drew the same.)
"""

from __future__ import annotations

import random

from fathom.blocks.ids import SCATTER_BITS, Ids, scattered

from ... import laws
from . import Numbering


class TimeRandom(Numbering):
    """41 bits of milliseconds, 12 drawn."""

    breaks = laws.who_walks_up_passes_over_nothing

    def __post_init__(self) -> None:
        self.dice = random.Random()

    async def mint(self, now_ms: int, above: int) -> int:
        return scattered(now_ms, self.dice.getrandbits(SCATTER_BITS), above=above)

    def horizon(self, now_ms: int) -> int:
        return min(self.numbers.oldest_under_way(), Ids.first_of(now_ms))
