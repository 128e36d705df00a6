"""A history, read once for all laws: who wrote what, who could see whom when, and every look that anybody had."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from fathom.blocks.intervals import holders
from fathom.history import Broken, History, Op, Outcome

from .looks import EVERYBODYS, ListName, Look, Shown, walks_of
from .pairs import Pairs
from .posts import Part, Posted

__all__ = ["PROOF_MAX", "Missed", "World", "broken", "world_of"]

PROOF_MAX = 5  # operations that prove one breach


class Missed(NamedTuple):
    """A post that should have been found: how many looks at the end lack it, and the first of them."""

    post: Posted
    looks: int
    first: list[Look]


@lru_cache(maxsize=1)
def world_of(history: History) -> World:
    """All laws read the same history one after the other: what it says is put together once."""
    return World(history)


class World:
    """A history, read once: who wrote what, who could see whom when, and every look that anybody had."""

    def __init__(self, history: History) -> None:
        self.following, self.blocking, self.liking, self.muting = Pairs(), Pairs(), Pairs(), Pairs()
        self.posts: dict[int, Posted] = {}
        self.by_author: defaultdict[int, list[Posted]] = defaultdict(list)
        self.deleted: defaultdict[int, list[Op]] = defaultdict(list)  # by post: the calls that prove it, as they came
        self.deletable: set[int] = set()  # whatever may be deleted, at whatever time
        self._deleted_s: defaultdict[int, float] = defaultdict(lambda: math.inf)
        self._follows: defaultdict[int, set[int]] = defaultdict(set)
        self._given: list[Op] = []
        self.sampled_above: int | None = None  # who follows more is pushed only a share
        self.late_s: float | None = None  # the promise about numbers of likes
        self.others: dict[int, int] = {}  # by post: likes that no call changes
        self._touched: set[int] = set()
        for op in history:
            if op.call == "given":
                self._given.append(op)
                self._take_given(op.answer or {})
            else:
                self._take(op)
        for post in self.deletable & self.posts.keys():
            self.posts[post].may_be_deleted = True
        for post in self._touched & self.posts.keys():
            self.posts[post].touched = True
        for posts in self.by_author.values():
            posts.sort(key=lambda post: post.id)
        self._ids_of = {author: [post.id for post in posts] for author, posts in self.by_author.items()}
        looked = ("home", "posts", "read")
        self.looks = [self._look(op) for op in history.of(*looked, outcome=Outcome.OK) if op.answer is not None]
        self.everybodys = [
            self._look(op) for op in history.of(*EVERYBODYS, outcome=Outcome.OK) if op.answer is not None
        ]
        self.trends = [look for look in self.everybodys if look.kind == "trending"]
        self.same_list: defaultdict[ListName, list[Look]] = defaultdict(list)
        for look in self.looks:
            self.same_list[look.list].append(look)
        self.homes = [look for look in self.looks if look.kind == "home"]
        self.last_looks = [look for look in self.looks if look.op.final]
        self.walks = walks_of(self.looks)
        self._walked_last = {walk[0].list: walk[0].op for walk in self.walks if walk[0].op.final}
        self._shown: dict[ListName, Shown] = {}
        self.last_walks = [walk for walk in self.walks if walk[0].op.final and walk[0].kind == "home"]

    def _look(self, op: Op) -> Look:
        return Look(op, self.following, self.blocking, self.muting, self.may_be_sampled)

    @cached_property
    def written(self) -> list[Posted]:
        """All acknowledged posts that were surely not deleted."""
        return [post for post in self.posts.values() if post.write is not None and not post.may_be_deleted]

    @cached_property
    def found(self) -> set[int]:
        """Whatever anybody saw at the end."""
        return {id for look in self.last_looks for id in look.ids}

    @cached_property
    def missed(self) -> list[Missed]:
        """The acknowledged posts that nobody found at the end, although somebody looked where they should be."""
        sought: defaultdict[int, list[int]] = defaultdict(list)
        for post in self.written:
            if post.id not in self.found:
                sought[post.author].append(post.id)
        missed: dict[float, Missed] = {}
        for author, ids in sought.items():
            looks = self._last_looks_for(author)
            for id, held in holders(ids, [look.covered for look in looks], PROOF_MAX).items():
                missed[id] = Missed(self.posts[int(id)], held.many, [looks[number] for number in held.first])
        return [missed[post.id] for post in self.written if post.id in missed]

    @property
    def looked_for(self) -> int:
        """How many acknowledged posts somebody should find at the end."""
        return sum(post.id in self.found for post in self.written) + len(self.missed)

    @property
    def looked_at_oneself(self) -> int:
        """How often somebody looked at a list that has their own posts in it."""
        return sum(look.own and bool(self.by_author.get(look.viewer)) for look in self.looks if look.kind != "read")

    @cached_property
    def likes_at_the_end(self) -> dict[int, list[tuple[Look, int]]]:
        """By post: who was told at the end how many like it."""
        told: defaultdict[int, list[tuple[Look, int]]] = defaultdict(list)
        for look in self.last_looks:
            for post, likes in look.likes.items():
                told[post].append((look, likes))
        return told

    def posts_of(self, author: int, part: Part) -> list[Posted]:
        """Return what somebody wrote of a part of the ids, the lowest first."""
        ids = self._ids_of.get(author, [])
        return self.by_author[author][bisect_left(ids, part.low) : bisect_left(ids, part.high)] if ids else []

    @property
    def public(self) -> list[Posted]:
        """Every post whose place among everybody's is known."""
        return [post for post in self.posts.values() if post.at_ms is not None and post.listed]

    def between(self, above: int, ended: int) -> list[Posted]:
        """Return everybody's posts with ids above `above`, up to `ended`, the lowest first."""
        ids = self._ids
        return [self.posts[id] for id in ids[bisect_right(ids, above) : bisect_right(ids, ended)]]

    @cached_property
    def _ids(self) -> list[int]:
        return sorted(id for id, post in self.posts.items() if post.listed)

    def follows_most(self, reader: int) -> int:
        """Return how many authors a reader may follow at some time."""
        return len(self._follows.get(reader, ()))

    def may_be_sampled(self, reader: int) -> bool:
        """Whether a reader may follow so many that not every post is pushed to them."""
        return self.sampled_above is not None and self.follows_most(reader) > self.sampled_above

    def may_be_parted(self, one: int, other: int, while_: list[Op]) -> bool:
        """Whether either may block the other while these calls are answered."""
        pairs = ((one, other), (other, one)) if one != other else ()
        return any(True in self.blocking.at(*pair, op) for pair in pairs for op in while_)

    def authors_on(self, look: Look) -> set[int]:
        """Return whose posts a list may have at some time."""
        return self.authors_of(look.viewer) if look.author is None else {look.author}

    def shown_on(self, list: ListName) -> Shown:
        """Return what the pages of a list had shown before somebody walked down it for the last time."""
        if list not in self._shown:
            last = self._walked_last[list]
            self._shown[list] = Shown(look for look in self.same_list[list] if look.op.before(last))
        return self._shown[list]

    def why_followed(self, reader: int, author: int, read: Op) -> list[Op]:
        """Return the calls after which a reader follows an author; else what was there before any."""
        begun = self._given if author in self.following.first.get(reader, ()) else []
        return self.following.last(reader, author, read) or begun

    def authors_of(self, reader: int) -> set[int]:
        """Return whom a reader may follow at some time, and the reader."""
        return self._follows[reader] | {reader}

    def _last_looks_for(self, author: int) -> list[Look]:
        """Return the last looks at lists that surely have what somebody wrote, in order."""
        looks = [look for reader in self._followers[author] | {author} for look in self._last_looks_at["home", reader]]
        looks += self._last_looks_at["posts", author]
        return sorted((look for look in looks if look.has_all_of(author)), key=lambda look: look.order)

    @cached_property
    def _followers(self) -> defaultdict[int, set[int]]:
        followers: defaultdict[int, set[int]] = defaultdict(set)
        for reader, authors in self._follows.items():
            for author in authors:
                followers[author].add(reader)
        return followers

    @cached_property
    def _last_looks_at(self) -> defaultdict[tuple[str, int], list[Look]]:
        looks: defaultdict[tuple[str, int], list[Look]] = defaultdict(list)
        for look in self.last_looks:
            looks[look.kind, look.viewer if look.author is None else look.author].append(look)
        return looks

    def _take_given(self, given: dict[str, Any]) -> None:
        follows = given.get("follows", {})
        self.following.known = {int(reader) for reader in follows}
        for reader, authors in follows.items():
            followed = {int(author) for author in authors}
            self.following.first[int(reader)] |= followed
            self._follows[int(reader)] |= followed
        self.sampled_above = given.get("sampled_above")
        self.late_s = given.get("counted_within_s")
        self.others = {int(post): int(n) for post, n in given.get("likes", {}).items()}
        for id, author, at_ms in given.get("latest", ()):
            self._know(Posted(int(id), int(author), at_ms=int(at_ms)))
        for author, ids in given.get("posts", {}).items():
            for post in ids:
                self._know(Posted(int(post), int(author)))

    def _take(self, op: Op) -> None:
        asked = op.asked or []
        match op.call:
            case "post" if op.acknowledged:
                at_ms, listed = op.answer.get("at_ms"), bool(op.answer.get("listed", True))
                self._know(Posted(int(op.answer["id"]), int(asked[0]), write=op, at_ms=at_ms, listed=listed))
            case "delete":
                self._touched.add(int(asked[1]))
                if op.outcome is not Outcome.FAILED:
                    self._delete(int(asked[1]), op)
            case "join" if op.acknowledged and self.following.known is not None:
                self.following.known.add(int(op.answer["id"]))  # a newcomer follows nobody
            case "follow" | "unfollow":
                self.following.turn(int(asked[0]), int(asked[1]), op, on=op.call == "follow")
                self._follows[int(asked[0])].add(int(asked[1]))
            case "block" | "unblock":
                one, other = int(asked[0]), int(asked[1])
                self.blocking.turn(one, other, op, on=op.call == "block")
                if op.call == "block":
                    self.following.turn(one, other, op, on=False)
                    self.following.turn(other, one, op, on=False)
            case "mute" | "unmute":
                one, other = int(asked[0]), int(asked[1])
                self.muting.turn(one, other, op, on=op.call == "mute")
                if len(asked) > 2 and asked[2]:  # it ends by itself, nobody here can say when
                    self.muting.turn(one, other, op, on=False)
            case "like" | "unlike":
                self.liking.turn(int(asked[1]), int(asked[0]), op, on=op.call == "like")
            case _:
                pass

    def _delete(self, post: int, op: Op) -> None:
        self.deletable.add(post)
        if op.acknowledged and op.end_s is not None and op.end_s < self._deleted_s[post]:
            self._deleted_s[post] = op.end_s  # who began later and ended no earlier proves nothing more
            self.deleted[post].append(op)

    def _know(self, post: Posted) -> None:
        if post.id not in self.posts:  # the same key gives the same post again
            self.posts[post.id] = post
            self.by_author[post.author].append(post)


def broken(law: str, says: str, *ops: Op, **about: Any) -> Broken:
    """Return a breach, with the few operations that prove it and what they are about."""
    return Broken(law=law, says=says, ops=tuple(dict.fromkeys(op.index for op in ops[:PROOF_MAX])), about=about)
