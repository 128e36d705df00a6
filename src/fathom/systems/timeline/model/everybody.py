"""Everybody's posts in the model: down by cursors, up by numbers, and those that are liked most."""

from __future__ import annotations

from ..api import TRENDING_HOURS_MAX, TRENDING_POSTS, Piece, Post, PostId, Trending, UserId
from .base import HOUR_MS, Base, Written
from .checks import checked_cursor, checked_hours, checked_limit, checked_number, pieced

__all__ = ["Everybody"]


class Everybody(Base):
    """Lists of what everybody wrote, for whoever looks."""

    def _everybodys(self, viewer: UserId) -> list[Written]:
        """Return what stands among everybody's posts, by number.

        No boosts: what they show is there itself, at its own place, and nobody is to meet it twice. And whom the viewer
        mutes is among them: a mute keeps somebody out of what is brought to one, not out of where one goes to look.
        """
        return [
            post
            for _, post in sorted(self._written.items())
            if post.boost_of is None and post.manner.listed and self._sees(viewer, post)
        ]

    async def latest(self, viewer: UserId, cursor: str | None = None, limit: int = 20) -> Piece:
        place = checked_cursor(cursor)
        newest_first = sorted(self._everybodys(viewer), key=lambda post: (post.at_ms, post.id), reverse=True)
        found = [
            self._post(post)
            for post in newest_first
            if place is None or (post.at_ms, post.id) < (place.at_ms, place.id)
        ]
        return pieced(found[: checked_limit(limit)], place, limit)

    async def newer(self, viewer: UserId, than: PostId, limit: int = 20) -> list[Post]:
        checked_number("than", than)
        found = [self._post(post) for post in self._everybodys(viewer) if post.id > than]
        return found[: checked_limit(limit)]

    async def trending(self, viewer: UserId, hours: int = TRENDING_HOURS_MAX) -> Trending:
        checked_hours(hours)
        now_ms = self._clock()
        written = [post for post in self._everybodys(viewer) if now_ms - hours * HOUR_MS < post.at_ms <= now_ms]
        most_liked = sorted(written, key=lambda post: (len(post.likers), post.id), reverse=True)[:TRENDING_POSTS]
        posts = [self._post(post) for post in most_liked]
        return Trending(posts=posts, made_ms=now_ms, took_ms=0.0, fresh_s=0.0, anew=True)
