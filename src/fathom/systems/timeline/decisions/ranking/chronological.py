"""Show them as they were written: it costs nothing, anybody can check it, and who writes most is seen most.

Its bet is that readers choose whom they follow well enough. Its price is that a good post is as far down as a dull one
of the same minute, and gone for whoever comes a day later.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...api import Post, UserId
from . import Ranking


class Chronological(Ranking):
    """Newest first."""

    async def order(self, reader: UserId, posts: Sequence[Post], now_ms: int) -> list[Post]:
        return list(posts)
