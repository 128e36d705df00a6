"""How are a post's likes counted when everybody likes the same post?

The default keeps the number on the post's row. It is the one answer that is exact, cheap to read, and has nothing to be
done later; what the others save is saved only while several people like one post within the few milliseconds that a
commit takes, and they pay for it with numbers that are late, or with dearer reads.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from msgspec.structs import replace

from fathom.design import Decision
from fathom.engines.engine import EngineError, EngineUnknown

from ...api import PostId, UserId
from ...stores.likes import Liked, Likes, Reading
from ...stores.outbox import Outbox

__all__ = ["Counters"]


class Counters(Decision):
    """Where the number of likes lies. The rows of likes are the truth for all: unique by post and user."""

    default = "row-lock"
    shows: ClassVar[Reading]  # from where a number is read
    keeps: ClassVar[bool] = True  # whether all its changes are where the next approach finds them

    likes: Likes
    outbox: Outbox

    @property
    def late_s(self) -> float:
        """The promise: a like that was acknowledged so long ago is in every number that is shown."""
        return 0.0

    async def like(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        """Like a post, or take a like back, once however often it is asked for; return what Redis is to be told."""
        settled = self.likes.reading == self.shows
        liked = await self.change(user, post, now_ms, take_back=take_back)
        if not (settled and self.likes.reading == self.shows):  # what another one kept was not where this one looked
            try:
                there = await self.likes.of([post])
            except EngineError as failure:
                raise EngineUnknown(
                    "a like was changed, and the number of its post cannot be read",
                    why=failure.why,
                    fix="read the post before you try again",
                ) from failure
            return replace(liked, likes=there.get(post, liked.likes))
        return liked

    @abstractmethod
    async def change(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        """Do it in the truth, and return the number of likes as this approach knows it."""

    async def begin(self) -> None:
        """Get ready to serve: what an approach before this one left elsewhere is found until it was moved."""
        await self.likes.begin(self.shows, keeps=self.keeps, exact=not self.late_s)

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load.

        Nothing is moved yet. From here on numbers are read from where they are right with either; the service moves
        what lies elsewhere when the last call of the old one has ended, and then they are read from where we look.
        """
        await self.likes.begin(
            self.shows, keeps=self.keeps, exact=not self.late_s, before=previous.shows, before_late=previous.late_s > 0
        )

    async def told(self, liked: Liked, user: UserId, post: PostId) -> Liked:
        """Return what became of a change with what Redis is to be told, also if it was told to do it before."""
        if liked.changed:
            return liked
        # Its answer may have been lost, and then nobody here knows of it.
        return replace(liked, entry=await self.outbox.standing("tally", user, post))
