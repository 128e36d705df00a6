"""The laws once more, in the plainest words: every look beside every post, every call beside every other.

What a long history takes too long for. The timeline's own laws say the same of any history, breach by breach.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from fathom.blocks.toggles import Toggles
from fathom.history import Broken, History, Op, Outcome, tries

__all__ = [
    "an_author_reads_their_own_post_at_once",
    "each_follower_sees_each_post_once",
    "home_is_newest_first",
    "likes_equal_the_likers",
    "no_acknowledged_post_is_lost",
    "nothing_deleted",
    "nothing_from_strangers",
    "nothing_from_the_blocked",
    "paging_visits_each_post_once",
]

LIKERS_MAX = 1_000  # `likers` answers no more


@tries(lambda history: _world(history).looked_for)
def no_acknowledged_post_is_lost(history: History) -> Iterable[Broken]:
    """A post whose author was told that it is written is found by somebody when all has settled."""
    world = _world(history)
    found = {id for look in world.last_looks for id in look.ids}
    for post in world.posts.values():
        if post.write is None or post.may_be_deleted or post.id in found:
            continue
        looks = [look for look in world.last_looks if look.should_show(post)]
        if looks:
            yield _broken(
                "no_acknowledged_post_is_lost",
                f"post {post.id} by {post.author} was acknowledged, and {looks[0]} does not have it"
                + (f", nor {len(looks) - 1} other{'s' if len(looks) > 2 else ''}" if len(looks) > 1 else ""),
                post.write,
                *(look.op for look in looks),
                posts=[post.id],
            )


@tries(lambda history: len(_world(history).last_looks))
def each_follower_sees_each_post_once(history: History) -> Iterable[Broken]:
    """When all has settled, every follower's home shows every post of those followed: no hole, nothing twice."""
    world = _world(history)
    for look in world.looks:
        for twice in _repeated(look.listed):
            yield _broken("each_follower_sees_each_post_once", f"{look} has post {twice} twice", look.op, posts=[twice])
    for walk in world.last_walks:
        seen = {post for look in walk for post in look.ids}
        for author in world.authors_of(walk[0].viewer):
            for post in world.by_author[author]:
                if post.may_be_deleted or post.id in seen or not post.certain:
                    continue
                asked = next((look for look in walk if look.should_show(post)), None)
                if asked is not None:
                    wrote = [post.write] if post.write else []
                    yield _broken(
                        "each_follower_sees_each_post_once",
                        f"{asked} lacks post {post.id} by {author}, whom {asked.viewer} follows",
                        *world.why_followed(asked.viewer, author, asked.op),
                        *wrote,
                        asked.op,
                        posts=[post.id],
                        reader=asked.viewer,
                        author=author,
                    )


@tries(lambda history: sum(len(look.listed) > 1 for look in _world(history).looks))
def home_is_newest_first(history: History) -> Iterable[Broken]:
    """Every page is in order, the newest post first."""
    for look in _world(history).looks:
        for above, below in zip(look.listed, look.listed[1:], strict=False):
            if above < below:
                says = f"{look} has post {above} above the newer {below}"
                yield _broken("home_is_newest_first", says, look.op, posts=[above, below])
                break


@tries(lambda history: sum(len(look.by) for look in _world(history).homes))
def nothing_from_strangers(history: History) -> Iterable[Broken]:
    """A home shows nobody whom its reader does not follow; from the moment an unfollow is acknowledged."""
    world = _world(history)
    for look in world.homes:
        for post, author in look.by:
            if author != look.viewer and world.following.at(look.viewer, author, look.op) == {False}:
                last = world.following.last(look.viewer, author, look.op)
                yield _broken(
                    "nothing_from_strangers",
                    f"{look} shows post {post} by {author}, whom {look.viewer} does not follow",
                    *last,
                    look.op,
                    posts=[post],
                )


@tries(lambda history: len(history.acknowledged("block")))
def nothing_from_the_blocked(history: History) -> Iterable[Broken]:
    """Who has blocked, or was blocked, sees nothing of the other; from the moment the block is acknowledged."""
    world = _world(history)
    for look in (*world.looks, *world.everybodys):
        for post, author in look.by + look.boosted:
            for one, other in ((look.viewer, author), (author, look.viewer)):
                if one != other and world.blocking.at(one, other, look.op) == {True}:
                    yield _broken(
                        "nothing_from_the_blocked",
                        f"{look} shows post {post} by {author}, although {one} had blocked {other}",
                        *world.blocking.last(one, other, look.op),
                        look.op,
                        posts=[post],
                    )


@tries(lambda history: len(history.acknowledged("delete")))
def nothing_deleted(history: History) -> Iterable[Broken]:
    """A deleted post is never shown again, from the moment its deletion is acknowledged."""
    world = _world(history)
    for look in (*world.looks, *world.everybodys):
        for post in look.listed + [post for post, _ in look.boosted]:
            for delete in world.deletions.get(post, ()):
                if delete.acknowledged and delete.before(look.op):
                    says = f"{look} shows post {post}, which had been deleted"
                    yield _broken("nothing_deleted", says, delete, look.op, posts=[post])
                    break


@tries(lambda history: _world(history).looked_at_oneself)
def an_author_reads_their_own_post_at_once(history: History) -> Iterable[Broken]:
    """An author's own home and own list have a post as soon as its author was told that it is written."""
    world = _world(history)
    for look in world.looks:
        if look.kind == "read":
            continue
        author = look.viewer
        for post in world.by_author[author] if look.own else ():
            if post.may_be_deleted or post.id in look.ids or not post.certain:
                continue
            if (post.write is None or post.write.before(look.op)) and look.should_show(post):
                yield _broken(
                    "an_author_reads_their_own_post_at_once",
                    f"{look} lacks the reader's own post {post.id}",
                    *([post.write] if post.write else []),
                    look.op,
                    posts=[post.id],
                )


@tries(lambda history: sum(len(walk) > 1 for walk in _world(history).walks))
def paging_visits_each_post_once(history: History) -> Iterable[Broken]:
    """Going down or up page by page, each from where the last one ended, meets no post twice and leaves none out."""
    world = _world(history)
    yield from _upward(world)
    for walk in world.walks:
        met: dict[int, _Look] = {}
        for look in walk:
            for post in look.listed:
                if post in met and met[post] is not look:
                    yield _broken(
                        "paging_visits_each_post_once",
                        f"{look} has post {post}, which an earlier page had too",
                        met[post].op,
                        look.op,
                        posts=[post],
                    )
                met.setdefault(post, look)
            if look.below is not None and any(post >= look.below for post in look.listed):
                above = max(post for post in look.listed if post >= look.below)
                yield _broken(
                    "paging_visits_each_post_once",
                    f"{look} was asked for posts below {look.below} and has {above}",
                    look.op,
                    posts=[above],
                )
        if walk[0].op.final:
            yield from _left_out(world, walk, met)


@tries(lambda history: len(history.acknowledged("like", "unlike")))
def likes_equal_the_likers(history: History) -> Iterable[Broken]:
    """When all has settled a post's number of likes is the number of those who like it."""
    world = _world(history)
    law = "likes_equal_the_likers"
    for asked in history.of("likers", outcome=Outcome.OK, final=True):
        post = int(asked.asked[1])
        likers = [int(user) for user in asked.answer]
        for user in _repeated(likers):
            yield _broken(law, f"user {user} likes post {post} twice", asked)
        if len(likers) >= LIKERS_MAX:
            continue
        for user, state, proof in world.liking.about(post, asked):
            if state == {True} and user not in likers:
                yield _broken(law, f"user {user} likes post {post} and is not among its likers", *proof, asked)
            if state == {False} and user in likers:
                yield _broken(law, f"user {user} no longer likes post {post} and is among its likers", *proof, asked)
        for read in world.last_looks:
            if post in read.likes and read.likes[post] != len(set(likers)):
                yield _broken(
                    law,
                    f"{read} says post {post} has {read.likes[post]} likes, and {len(set(likers))} like it",
                    asked,
                    read.op,
                )
    for look, post, shown, low, high in world.numbers():
        if not low <= shown <= high:
            yield _broken(law, f"{look} says post {post} has {shown} likes, and {_between(low, high)} like it", look.op)


def _between(low: int, high: int) -> str:
    return f"{low}" if low == high else f"{low} to {high}"


# What the laws know of a history


@dataclass
class _Posted:
    """A post that was written, surely or maybe."""

    id: int
    author: int
    write: Op | None = None  # None: it was there before
    certain: bool = True
    deletions: list[Op] = field(default_factory=list)
    at_ms: int | None = None  # None: not told

    @property
    def may_be_deleted(self) -> bool:
        return any(op.outcome is not Outcome.FAILED for op in self.deletions)


class _Look:
    """One answered read: who looked, at which part of which list, and what was there."""

    def __init__(self, op: Op, world: _World) -> None:
        self.op, self.kind, self._world = op, op.call, world
        self.viewer = int(op.asked[0])
        lists: dict[str, Any] = {"read": {"posts": [op.answer]}, "newer": {"posts": op.answer}}
        found: dict[str, Any] = lists.get(op.call, op.answer)
        self.by = [(int(post["id"]), int(post["author"])) for post in found["posts"]]
        self.likes = {int(post["id"]): int(post.get("likes", 0)) for post in found["posts"]}
        self.listed = [post for post, _ in self.by]
        shown = [post.get("boosted") for post in found["posts"]]
        self.boosted = [(int(post["id"]), int(post["author"])) for post in shown if post]
        self.boosts = {int(post["id"]) for post in found["posts"] if post.get("boosted")}
        self.ids = set(self.listed)
        self.author = int(op.asked[1]) if op.call == "posts" else None
        self.list = (self.kind, self.viewer, self.author)
        self.own = op.call == "home" or self.author == self.viewer
        page = _page(op)
        self.below: int | None = page.get("max_id")
        self.older: int | None = found.get("older")
        self._upward = page.get("since_id") is not None or page.get("min_id") is not None
        self.above: int | None = page.get("min_id")  # the oldest above it were asked for, up to `newer`
        self.newer: int | None = found.get("newer")

    def __str__(self) -> str:
        when = "at the end " if self.op.final else ""
        part = f" below {self.below}" if self.below is not None else ""
        if self.kind == "home":
            return f"{when}the home of {self.viewer}{part}"
        if self.kind == "posts":
            return f"{when}the list of {self.author}{part}, read by {self.viewer},"
        if self.kind == "trending":
            return f"{when}what trends, as {self.viewer} sees it,"
        if self.kind == "latest":
            return f"{when}everybody's latest, as {self.viewer} sees it,"
        if self.kind == "newer":
            return f"{when}everybody's posts above one, as {self.viewer} sees it,"
        return f"{when}a read by {self.viewer}"

    def covers(self, post: int) -> bool:
        """Whether this page's part of the list has the post's place in it."""
        if self.kind in ("read", "trending", "latest", "newer") or self._upward:
            return False
        return (self.below is None or post < self.below) and (self.older is None or post >= self.older)

    def should_show(self, post: _Posted) -> bool:
        return self.covers(post.id) and self.has_place_for(post)

    def has_place_for(self, post: _Posted) -> bool:
        """Whether the list surely has this post in it, on whatever page."""
        if post.may_be_deleted:
            return False
        if self.kind == "posts":
            blocked = self._world.blocking
            free = blocked.at(post.author, self.viewer, self.op) == blocked.at(self.viewer, post.author, self.op)
            return self.author == post.author and free and True not in blocked.at(post.author, self.viewer, self.op)
        if post.author != self.viewer and self._world.may_be_sampled(self.viewer):
            return False
        heard = self._world.muting.at(self.viewer, post.author, self.op) == {False}
        follows = self._world.following.at(self.viewer, post.author, self.op) == {True}
        return post.author == self.viewer or (follows and heard)


class _Pairs:
    """What may be true of pairs of people over time, from calls that turn it on and off."""

    def __init__(self) -> None:
        self.first: dict[tuple[int, int], set[bool]] = {}
        self.otherwise: set[bool] = {False}
        self.known: set[int] | None = None
        self._turns: defaultdict[tuple[int, int], list[tuple[Op, bool]]] = defaultdict(list)

    def turn(self, one: int, other: int, op: Op, on: bool) -> None:
        if op.outcome is not Outcome.FAILED:
            self._turns[one, other].append((op, on))

    def at(self, one: int, other: int, read: Op) -> set[bool]:
        """Return what may hold while `read` is answered: one value where it is certain."""
        return self._judge(one, other, read)[0]

    def last(self, one: int, other: int, read: Op) -> list[Op]:
        """Return the calls that decide it."""
        return self._judge(one, other, read)[1][:2]

    def about(self, one: int, read: Op) -> Iterator[tuple[int, set[bool], list[Op]]]:
        for first, other in list(self._turns):
            if first == one:
                state, proof = self._judge(first, other, read)
                yield other, state, proof[:2]

    def toggles(self) -> dict[int, Toggles]:
        """Return for each one how many others are on."""
        turns: defaultdict[int, list[tuple[object, float, float | None, bool]]] = defaultdict(list)
        for (one, other), mine in self._turns.items():
            turns[one] += [(other, op.start_s, op.end_s if op.acknowledged else None, on) for op, on in mine]
        return {one: Toggles(mine) for one, mine in turns.items()}

    def _judge(self, one: int, other: int, read: Op) -> tuple[set[bool], list[Op]]:
        turns = self._turns.get((one, other))
        if turns is None:
            return self._begin(one, other), []
        past = [(op, on) for op, on in turns if op.acknowledged and op.before(read)]
        maybe = {
            on
            for op, on in turns
            if not (op.acknowledged and op.before(read)) and (read.end_s is None or op.start_s <= read.end_s)
        }
        latest = [(op, on) for op, on in past if not any(op.before(later) for later, _ in past)]
        state = {on for _, on in latest} if latest else self._begin(one, other)
        return state | maybe, [op for op, _ in latest]

    def _begin(self, one: int, other: int) -> set[bool]:
        if (one, other) in self.first:
            return self.first[one, other]
        return {True, False} if self.known is not None and one not in self.known else self.otherwise


@lru_cache(maxsize=1)
def _world(history: History) -> _World:
    """All laws read the same history one after the other: what it says is put together once."""
    return _World(history)


class _World:
    """A history, read once: who wrote what, who could see whom when, and every look that anybody had."""

    def __init__(self, history: History) -> None:
        self.following, self.blocking, self.liking, self.muting = _Pairs(), _Pairs(), _Pairs(), _Pairs()
        self.posts: dict[int, _Posted] = {}
        self.by_author: defaultdict[int, list[_Posted]] = defaultdict(list)
        self.deletions: defaultdict[int, list[Op]] = defaultdict(list)
        self._follows: defaultdict[int, set[int]] = defaultdict(set)
        self._given: list[Op] = []
        self.sampled_above: int | None = None
        self._others: dict[int, int] = {}  # post → likes that no call changes
        for op in history:
            if op.call == "given":
                self._given.append(op)
                self._take_given(op.answer or {})
            else:
                self._take(op)
        for post, deletions in self.deletions.items():
            if post in self.posts:
                self.posts[post].deletions = deletions
        self._ids = sorted(self.posts)
        everybodys = history.of("trending", "latest", "newer", outcome=Outcome.OK)
        self.everybodys = [_Look(op, self) for op in everybodys if op.answer is not None]
        looked = ("home", "posts", "read")
        self.looks = [_Look(op, self) for op in history.of(*looked, outcome=Outcome.OK) if op.answer is not None]
        self.same_list: defaultdict[tuple[str, int, int | None], list[_Look]] = defaultdict(list)
        for look in self.looks:
            self.same_list[look.list].append(look)
        self.homes = [look for look in self.looks if look.kind == "home"]
        self.last_looks = [look for look in self.looks if look.op.final]
        self.walks = _walks(self.looks)
        self.last_walks = [walk for walk in self.walks if walk[0].op.final and walk[0].kind == "home"]
        self._likers = self.liking.toggles()

    def numbers(self) -> Iterator[tuple[_Look, int, int, int, int]]:
        """Yield every number of likes that was shown at the end of a post of which enough is known, and what it is."""
        for look in self.last_looks:
            for post, shown in look.likes.items():
                written = post in self.posts and self.posts[post].write is not None
                others = self._others.get(post, 0 if written else None)
                if others is not None and look.op.end_s is not None:
                    low, high = 0, 0
                    if post in self._likers:
                        low, high = self._likers[post].bounds(look.op.start_s, look.op.end_s)
                    yield look, post, shown, others + low, others + high

    @property
    def looked_for(self) -> int:
        """How many acknowledged posts somebody should find at the end."""
        found = {id for look in self.last_looks for id in look.ids}
        written = [post for post in self.posts.values() if post.write is not None and not post.may_be_deleted]
        return sum(post.id in found or any(look.should_show(post) for look in self.last_looks) for post in written)

    @property
    def looked_at_oneself(self) -> int:
        """How often somebody looked at a list that has their own posts in it."""
        return sum(look.own and bool(self.by_author.get(look.viewer)) for look in self.looks if look.kind != "read")

    def follows_most(self, reader: int) -> int:
        """Return how many authors a reader may follow at some time."""
        return len(self._follows.get(reader, ()))

    def may_be_sampled(self, reader: int) -> bool:
        """Whether a reader may follow so many that not every post is pushed to them."""
        return self.sampled_above is not None and self.follows_most(reader) > self.sampled_above

    def between(self, above: int, ended: int) -> list[_Posted]:
        """Return all posts with ids above `above`, up to `ended`."""
        return [self.posts[id] for id in self._ids[bisect_right(self._ids, above) : bisect_right(self._ids, ended)]]

    def why_followed(self, reader: int, author: int, read: Op) -> list[Op]:
        """Return the calls after which a reader follows an author; else what was there before any."""
        begun = self._given if self.following.first.get((reader, author)) == {True} else []
        return self.following.last(reader, author, read) or begun

    def authors_of(self, reader: int) -> set[int]:
        """Return whom a reader may follow at some time, and the reader."""
        return self._follows[reader] | {reader}

    def _take_given(self, given: dict[str, Any]) -> None:
        follows = given.get("follows", {})
        self.following.known = {int(reader) for reader in follows}
        for reader, authors in follows.items():
            for author in authors:
                self.following.first[int(reader), int(author)] = {True}
                self._follows[int(reader)].add(int(author))
        self.sampled_above = given.get("sampled_above")
        for id, author, at_ms in given.get("latest", ()):
            self._know(_Posted(int(id), int(author), at_ms=int(at_ms)))
        for author, ids in given.get("posts", {}).items():
            for post in ids:
                self._know(_Posted(int(post), int(author)))
        self._others = {int(post): int(n) for post, n in given.get("likes", {}).items()}

    def _take(self, op: Op) -> None:
        asked = op.asked or []
        match op.call:
            case "post" if op.acknowledged:
                self._know(_Posted(int(op.answer["id"]), int(asked[0]), write=op, at_ms=op.answer.get("at_ms")))
            case "delete" if op.outcome is not Outcome.FAILED:
                self.deletions[int(asked[1])].append(op)
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
            case "like" | "unlike":
                self.liking.turn(int(asked[1]), int(asked[0]), op, on=op.call == "like")
            case _:
                pass

    def _know(self, post: _Posted) -> None:
        if post.id not in self.posts:  # the same key gives the same post again
            self.posts[post.id] = post
            self.by_author[post.author].append(post)


def _walks(looks: list[_Look]) -> list[list[_Look]]:
    """Return the walks: each page asked for from where the same caller's page before it had ended."""
    walks: list[list[_Look]] = []
    open_walks: dict[tuple[str, tuple[str, int, int | None]], list[_Look]] = {}
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


def _left_out(world: _World, walk: list[_Look], met: dict[int, _Look]) -> Iterator[Broken]:
    """Yield what a walk at the end passes over although the same reader had been shown it before."""
    first = walk[0]
    for earlier in world.same_list[first.list]:
        if not earlier.op.before(first.op):
            continue
        for post, author in earlier.by:
            if post in earlier.boosts:
                continue  # it goes when the post itself comes into the home
            known = world.posts.get(post) or _Posted(post, author, deletions=world.deletions.get(post, []))
            look = next((look for look in walk if look.should_show(known)), None)
            if post not in met and look is not None:
                yield _broken(
                    "paging_visits_each_post_once",
                    f"{look} passes over post {post} by {author}, which {earlier.viewer} had seen before",
                    earlier.op,
                    look.op,
                    posts=[post],
                )


def _upward(world: _World) -> Iterator[Broken]:
    """Yield what pages asked for from below do wrong: each has what lies between where it began and where it ended.

    The next one begins there; so pages that are each right, together are all that lies above the first one's beginning.
    """
    law = "paging_visits_each_post_once"
    for look in world.looks:
        if look.above is None:
            continue
        for post in look.listed:
            if post <= look.above:
                says = f"{look} was asked for posts above {look.above} and has {post}"
                yield _broken(law, says, look.op, posts=[post])
        if not look.op.final or look.newer is None:
            continue
        ended = look.newer if look.below is None else min(look.newer, look.below - 1)
        for post in world.between(look.above, ended):
            if post.id not in look.ids and look.has_place_for(post):
                yield _broken(
                    law,
                    f"{look} passes over post {post.id} by {post.author} on the way up from {look.above} to {ended}",
                    *([post.write] if post.write else []),
                    look.op,
                    posts=[post.id],
                )


def _page(op: Op) -> dict[str, int]:
    page = op.asked[-1] if op.call in ("home", "posts") else {}
    return {key: value for key, value in page.items() if value is not None} if isinstance(page, dict) else {}


def _repeated(items: Iterable[int]) -> list[int]:
    seen: set[int] = set()
    return sorted({item for item in items if item in seen or seen.add(item)})


def _broken(law: str, says: str, *ops: Op, **about: Any) -> Broken:
    return Broken(law=law, says=says, ops=tuple(dict.fromkeys(op.index for op in ops[:5])), about=about)
