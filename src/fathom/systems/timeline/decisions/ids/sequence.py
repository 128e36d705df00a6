"""Number by the database's own sequence: dense, simple, and taken before the commit, so late ones come in below.

A control: it is what a column that counts by itself does, and `WHERE id > last_seen` beside it loses posts.
"""

from __future__ import annotations

from ... import laws
from . import Numbering


class Sequence(Numbering):
    """`nextval`, a statement more for each post; whoever walks up is shown all that is committed."""

    breaks = laws.who_walks_up_passes_over_nothing

    async def begin(self) -> None:
        await super().begin()
        await self.numbers.next_in_sequence(self.numbers.highest)  # the next one is above all that there are

    async def mint(self, now_ms: int, above: int) -> int:
        return await self.numbers.next_in_sequence(above)
