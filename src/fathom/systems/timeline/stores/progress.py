"""How far late posts have come to their followers, and who was served while they waited."""

from __future__ import annotations

from ..api import PostId, Reach

__all__ = ["Progress"]

KEPT_MAX = 20_000  # posts, the latest; what is forgotten was told long ago, or will be told and nobody counts


class Progress:
    """Counts pieces of work as they are done. It is known in this process only, and only decides what is said."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._ways: dict[PostId, _Way] = {}
        self._firsts = self._rests = 0  # pieces done so far, of all posts

    def accepted(self, post: PostId) -> None:
        """A post's followers are to be told."""
        if post not in self._ways:
            self._ways[post] = _Way(self._firsts, self._rests)
            if len(self._ways) > self._kept_max:
                del self._ways[next(iter(self._ways))]

    def piece(self, post: PostId) -> None:
        """Some of a post's followers were told."""
        way = self._ways.get(post)
        if way is None or not way.pieces:
            if way is not None:
                way.begun(self._firsts, self._rests)
            self._firsts += 1
        else:
            self._rests += 1
        if way is not None:
            way.pieces += 1

    def ended(self, post: PostId) -> None:
        """All who are to be told were."""
        if (way := self._ways.get(post)) is not None:
            way.told = True

    def of(self, post: PostId) -> Reach:
        """Return how far a post has come."""
        way = self._ways.get(post)
        if way is None:
            return Reach(told=True)
        if way.pieces:
            return Reach(told=way.told, pieces=way.pieces, behind=way.rests, beside=way.firsts)
        return Reach(told=way.told, behind=self._rests - way.rests, beside=self._firsts - way.firsts)


class _Way:
    """One post's: how many pieces there were when it was accepted; from its first piece on, how many came between."""

    __slots__ = ("firsts", "pieces", "rests", "told")

    def __init__(self, firsts: int, rests: int) -> None:
        self.firsts, self.rests = firsts, rests
        self.pieces, self.told = 0, False

    def begun(self, firsts: int, rests: int) -> None:
        self.firsts, self.rests = firsts - self.firsts, rests - self.rests
