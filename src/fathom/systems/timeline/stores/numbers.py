"""The posts' numbers: which are taken and not yet committed, and those that PostgreSQL counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from .rows import TOP

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["MINT_TRIES", "Numbers"]

MINT_TRIES = 50  # for a number that nothing else has

# The first time, and after posts were added in bulk, it may be behind. Two who find that at once may get the same
# number: then the second is refused by the primary key, and asks again.
_PASS_OVER = "SELECT setval('post_numbers', greatest($1, (SELECT last_value FROM post_numbers)) + 1)"


class Numbers:
    """Known in this process alone, which is the one that writes posts on these data."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self._under_way: set[int] = set()
        self.highest = 0  # that was taken, or was there

    @property
    def _db(self) -> Database:
        return self._truth.client

    def taken(self, number: int) -> None:
        """Keep in mind that a post with this number is being written."""
        self._under_way.add(number)
        self.highest = max(self.highest, number)

    def over(self, number: int) -> None:
        """It is committed, or never will be."""
        self._under_way.discard(number)

    def oldest_under_way(self) -> int:
        """Return the least number that may still come in; TOP: none is under way."""
        return min(self._under_way, default=TOP)

    async def begin(self) -> None:
        """Learn which numbers there are."""
        last = await self._db.fetchval("SELECT coalesce(max(id), 0) FROM posts")
        self.highest = max(self.highest, last)

    async def next_in_sequence(self, above: int) -> int:
        """Return PostgreSQL's next number, and one above `above`."""
        number = await self._db.fetchval("SELECT nextval('post_numbers')")
        return number if number > above else await self._db.fetchval(_PASS_OVER, above)
