"""What was written: each post, and those of one author as time goes on."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fathom.history import Op

__all__ = ["NOWHERE", "Part", "Posted", "Written"]


class Part(NamedTuple):
    """A part of the ids: the low end and all up to the high end, which is no part of it."""

    low: float
    high: float

    @classmethod
    def between(cls, low: int | None, high: int | None) -> Part:
        return cls(-math.inf if low is None else low, math.inf if high is None else high)

    def has(self, id: int) -> bool:
        return self.low <= id < self.high


NOWHERE = Part(math.inf, -math.inf)


@dataclass
class Posted:
    """A post that was written, surely or maybe."""

    id: int
    author: int
    write: Op | None = None  # None: it was there before
    may_be_deleted: bool = False
    touched: bool = False  # whether anybody has so much as tried to delete it
    at_ms: int | None = None  # None: not told
    listed: bool = True  # among everybody's posts

    @property
    def proof(self) -> list[Op]:
        return [self.write] if self.write else []

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands among everybody's posts."""
        return self.at_ms or 0, self.id


class Written:
    """An author's posts as time goes on: those that their author had been told are written, by the highest id."""

    def __init__(self, posts: Iterable[Posted]) -> None:
        sure = [post for post in posts if not post.may_be_deleted]
        self._ids = [post.id for post in sure if post.write is None]
        told = [(post.write.end_s, post.id) for post in sure if post.write and post.write.end_s is not None]
        self._coming = sorted(told, reverse=True)

    def before(self, read: Op, covered: Part) -> list[int]:
        """Return what was there before a read began, of a part of the list; each read begins after the last one."""
        while self._coming and self._coming[-1][0] < read.start_s:
            insort(self._ids, self._coming.pop()[1])
        return self._ids[bisect_left(self._ids, covered.low) : bisect_left(self._ids, covered.high)]
