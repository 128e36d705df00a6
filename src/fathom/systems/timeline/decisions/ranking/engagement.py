"""Show first what others liked, boosted and answered, less with every hour: the same for all who follow the same.

Its bet is that what many reacted to is worth reading. Its price is a page's worth of copies several times over (all the
newest posts are read to show some of them), an order that has to be kept, and that what leads is seen more and so is
reacted to more: a new post by somebody with few readers starts behind.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fathom.blocks.spots import AT_MAX
from fathom.design import knob
from fathom.errors import FathomError

from ...api import Post, UserId
from . import Ranking

BOOST, REPLY = 2.0, 3.0  # likes that one is worth: who shows a post to others, or answers it, took more trouble
HOUR_MS = 3_600_000


class Engagement(Ranking):
    """The logarithm of what others did with a post, halved with every so many hours of its age."""

    window: int = knob(100, "newest posts of a home that are put in order; what is older follows as it was written")
    order_s: float = knob(600.0, "seconds for which that order is kept for whoever goes on down it")
    half_life_h: float = knob(6.0, "hours in which a post loses half of its score")

    def __post_init__(self) -> None:
        if not (1 <= self.window <= AT_MAX and self.order_s > 0 and self.half_life_h > 0):
            raise FathomError(
                f"a home cannot be ranked with window={self.window}, order_s={self.order_s:g},"
                f" half_life_h={self.half_life_h:g}",
                why=f"the window has 1 to {AT_MAX} posts, and both times are above 0",
                fix="leave them out, or say for example window=100 order_s=600 half_life_h=6",
            )

    @property
    def depth(self) -> int:
        return self.window

    @property
    def lasts_s(self) -> float:
        return self.order_s

    async def order(self, reader: UserId, posts: Sequence[Post], now_ms: int) -> list[Post]:
        return by_score(posts, {post.id: self.score(post, now_ms) for post in posts})

    def score(self, post: Post, now_ms: int) -> float:
        """Return what a post is worth to anybody; what a boost shows has the engagement, the boost the age."""
        shown = post.boosted or post
        did = shown.likes + BOOST * shown.boosts + REPLY * shown.replies
        age_h = max(0, now_ms - post.at_ms) / HOUR_MS
        return (1.0 + math.log2(1.0 + max(0.0, did))) * 0.5 ** (age_h / self.half_life_h)


def by_score(posts: Sequence[Post], score: dict[int, float]) -> list[Post]:
    """Return posts by their scores, the highest first; of equal ones the newest."""
    return sorted(posts, key=lambda post: (-score[post.id], -post.id))
