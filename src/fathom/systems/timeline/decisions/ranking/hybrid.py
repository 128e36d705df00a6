"""Show the best quarter first, and each quarter as it was written: what matters leads, and time can still be read.

Its bet is that readers want to know what they missed *and* in which order it happened. Its price is that of `personal`,
and that within a quarter the best post may be the last.
"""

from __future__ import annotations

from collections.abc import Sequence

from fathom.design import knob
from fathom.errors import FathomError

from ...api import Post, UserId
from .engagement import by_score
from .personal import Personal


class Hybrid(Personal):
    """Bands of the personal score; newest first within a band."""

    bands: int = knob(4, "parts of equal size, the best first, within which posts lie as they were written")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bands < 1:
            raise FathomError(
                f"a home cannot be ranked in {self.bands} bands",
                why="one band is all posts as they were written, many are posts by their scores",
                fix="say for example bands=4",
            )

    async def order(self, reader: UserId, posts: Sequence[Post], now_ms: int) -> list[Post]:
        best = by_score(posts, await self.scores(reader, posts, now_ms))
        size = -(-len(best) // self.bands) or 1
        bands = (best[first : first + size] for first in range(0, len(best), size))
        return [post for band in bands for post in sorted(band, key=lambda post: -post.id)]
