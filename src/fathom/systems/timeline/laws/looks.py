"""What was seen: each answered read, which part of which list it is, and the walks that they are steps of."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from typing import Any

from fathom.history import Op

from .pairs import Pairs
from .posts import NOWHERE, Part, Posted

__all__ = ["EVERYBODYS", "ListName", "Look", "Shown", "reach_of", "repeated", "walks_of"]

EVERYBODYS = {"trending": "what trends", "latest": "everybody's latest", "newer": "everybody's posts above one"}

ListName = tuple[str, int, int | None]  # which list it is: home or posts, who reads it, whose posts


class Look:
    """One answered read: who looked, at which part of which list, and what was there."""

    def __init__(
        self, op: Op, following: Pairs, blocking: Pairs, muting: Pairs, may_be_sampled: Callable[[int], bool]
    ) -> None:
        self.op, self.kind = op, op.call
        self._following, self._blocking, self._muting = following, blocking, muting
        self._may_be_sampled = may_be_sampled
        self.viewer = int(op.asked[0])
        found = _found(op)
        self.by = [(int(post["id"]), int(post["author"])) for post in found["posts"]]
        self.listed = [post for post, _ in self.by]
        self.ids = set(self.listed)
        shown = [(post["boosted"], int(post["id"])) for post in found["posts"] if post.get("boosted")]
        self.boosted = [(int(post["id"]), int(post["author"])) for post, _ in shown]
        self.boosts = {boost for _, boost in shown}
        self.author = int(op.asked[1]) if op.call == "posts" else None
        self.list: ListName = (self.kind, self.viewer, self.author)
        self.order = (op.start_s, op.index)
        self.own = op.call == "home" or self.author == self.viewer
        page = _page(op)
        self.below: int | None = page.get("max_id")
        self.older: int | None = found.get("older")
        upward = page.get("since_id") is not None or page.get("min_id") is not None
        part = self.kind in ("home", "posts") and not upward
        self.covered = Part.between(self.older, self.below) if part else NOWHERE
        self.above: int | None = page.get("min_id")  # the oldest above it were asked for, up to `newer`
        self.newer: int | None = found.get("newer")

    def __str__(self) -> str:
        when = "at the end " if self.op.final else ""
        part = f" below {self.below}" if self.below is not None else ""
        if self.kind == "home":
            return f"{when}the home of {self.viewer}{part}"
        if self.kind == "posts":
            return f"{when}the list of {self.author}{part}, read by {self.viewer},"
        if self.kind in EVERYBODYS:
            return f"{when}{EVERYBODYS[self.kind]}, as {self.viewer} sees it,"
        return f"{when}a read by {self.viewer}"

    @property
    def posts(self) -> list[int]:
        """The posts that a reader sees: a boost is seen as what it shows."""
        return [post for post in self.listed if post not in self.boosts] + [post for post, _ in self.boosted]

    @property
    def likes(self) -> dict[int, int]:
        return {int(post["id"]): int(post.get("likes", 0)) for post in _found(self.op)["posts"]}

    def should_show(self, post: Posted) -> bool:
        return self.covered.has(post.id) and self.has_place_for(post)

    def has_place_for(self, post: Posted) -> bool:
        """Whether the list surely has this post in it, on whatever page."""
        return not post.may_be_deleted and self.has_all_of(post.author)

    def has_all_of(self, author: int) -> bool:
        """Whether the list surely has what somebody wrote and did not delete."""
        if self.kind == "posts":
            pairs = ((author, self.viewer), (self.viewer, author))
            return self.author == author and not any(True in self._blocking.at(*pair, self.op) for pair in pairs)
        if author == self.viewer:
            return True
        if self._may_be_sampled(self.viewer) or self._following.at(self.viewer, author, self.op) != {True}:
            return False
        return self._muting.at(self.viewer, author, self.op) == {False}


class Shown:
    """What the pages of one list had shown: by post, on which of them, the lowest post first.

    Without boosts: one goes when the post itself comes into the home.
    """

    def __init__(self, looks: Iterable[Look]) -> None:
        self._looks = list(looks)
        self._at: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, look in enumerate(self._looks):
            for place, post in enumerate(look.listed):
                if post not in look.boosts:
                    self._at[post].append((number, place))
        self._ids = sorted(self._at)

    def before(self, op: Op, part: Part, known: Container[int]) -> list[tuple[Look, int, int]]:
        """Return which pages had shown what of a part that is not known, and by whom, before a call began."""
        ids = self._ids[bisect_left(self._ids, part.low) : bisect_left(self._ids, part.high)]
        unknown = sorted(at for id in ids if id not in known for at in self._at[id])
        shown = ((self._looks[number], place) for number, place in unknown)
        return [(look, *look.by[place]) for look, place in shown if look.op.before(op)]


def walks_of(looks: list[Look]) -> list[list[Look]]:
    """Return the walks: each page asked for from where the same caller's page before it had ended."""
    walks: list[list[Look]] = []
    open_walks: dict[tuple[str, ListName], list[Look]] = {}
    for look in looks:
        if look.kind == "read":
            continue
        key = (look.op.caller, look.list)
        walk = open_walks.get(key)
        if walk is not None and look.below is not None and look.below == walk[-1].older:
            walk.append(look)
            continue
        open_walks[key] = [look]
        walks.append(open_walks[key])
    return walks


def reach_of(walk: list[Look]) -> Part:
    """Return the part of the ids in which all of a walk's pages lie."""
    return Part(min(look.covered.low for look in walk), max(look.covered.high for look in walk))


def repeated(items: Iterable[int]) -> list[int]:
    """Return what is there more than once, the lowest first."""
    seen: set[int] = set()
    return sorted({item for item in items if item in seen or seen.add(item)})


def _found(op: Op) -> dict[str, Any]:
    """Return what was answered as a list with its ends, whatever the call answers."""
    if op.call == "read":
        return {"posts": [op.answer]}
    return op.answer if isinstance(op.answer, dict) else {"posts": op.answer}


def _page(op: Op) -> dict[str, int]:
    page = op.asked[-1] if op.call in ("home", "posts") else {}
    return {key: value for key, value in page.items() if value is not None} if isinstance(page, dict) else {}
