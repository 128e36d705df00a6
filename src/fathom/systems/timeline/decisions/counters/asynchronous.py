"""Write the like alone and add up a little later: likes never wait for each other, and numbers are late."""

from __future__ import annotations

from typing import ClassVar

from fathom.design import knob
from fathom.errors import Refusal

from ...api import PostId, UserId
from ...stores.likes import Liked, Reading
from . import Counters

LEFT_MAX = 200_000  # changes that may wait: more, and they are made faster than they can be added up


class Asynchronous(Counters):
    """Beside the like a note that it is still to be counted; all notes are added to their posts a few times a second.

    Redis is told of a post once for all of its likes that were added up together.
    """

    shows: ClassVar[Reading] = "kept"

    within_s: float = knob(1.0, "seconds after which a like is in every number that is shown")

    @property
    def late_s(self) -> float:
        return self.within_s

    async def change(self, user: UserId, post: PostId, now_ms: int, *, take_back: bool) -> Liked:
        if self.likes.left >= LEFT_MAX:
            raise Refusal("unavailable", "there are more likes than can be counted, try again", retry_s=self.within_s)
        liked = await self.likes.change(user, post, now_ms, "later", take_back=take_back)
        if liked.changed:
            self.likes.left += 1
        self.likes.on_left(self.within_s)  # also if nothing changed: the answer to what changed it may have been lost
        return liked
