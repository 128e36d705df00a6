"""Home timelines in Redis: bounded sorted sets of post ids that know how far down they are complete.

A feed is `feed:{generation}:{reader}`; the lists of stars' posts have the same form, `author:{generation}:{author}`.
Its members are post ids, each its own score, so to add one twice changes nothing, and these marks, at score +inf:

    =<id>  made whole: every post above this id is here. Without it the feed is a fragment and nobody reads it
    -<id>  trimmed: complete only above this id (the higher of the two counts)
    !<id>  never show posts of this author: the reader stopped following, and a push may still be under way
    *<id>  this author's posts are pulled: look into their list as well

A push never makes a feed whole, so a post pushed to a feed that was lost leaves a fragment, not a short home.
`live:{generation}` says who has a feed: only they are pushed to. Whoever makes a feed whole enters it there *first*;
whoever removes one from there removes the feed in the same step. So no feed is ever whole and not pushed to.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import msgspec

from fathom.engines.ledger import RESIDUAL, charge, charging

from ..api import Page, PostId, UserId
from .chores import Chores
from .memory import Memory

if TYPE_CHECKING:
    from fathom.engines.redis_connection import Command

__all__ = ["Feed", "Feeds", "Marks"]

LIFE_S = 8 * 86_400  # Redis may drop a feed when memory is short; untouched ones go anyway, after SLEEPY_MS
SLEEPY_MS = 7 * 86_400_000  # who has not come for so long has no feed, and is not pushed to
TOUCH_S = 600.0  # a reader's coming is noted once in so long
KEPT_MAX = 200_000  # readers whose last note and pushes are kept in mind
MARKS_AT_ONCE = 8  # marks read together with the first page; more of them cost a second look
WARM_MEMBERS = 5_000  # added together in bulk: more would keep others, and ourselves, waiting too long
HIDDEN_MAX = 64  # a feed that hides more authors than this is made anew

_EQUAL, _MINUS, _BANG, _STAR = b"=-!*"
_ZERO = 48  # '0': what begins below it is a mark, what does not is an id; only '=' comes after the digits

# Only who has not come back in the meantime is put to sleep, in one step with the feed.
_SLEEP = """
    local n = 0
    for i, reader in ipairs(ARGV) do
        if i > 1 then
            local came = redis.call('ZSCORE', KEYS[1], reader)
            if came and tonumber(came) <= tonumber(ARGV[1]) then
                redis.call('ZREM', KEYS[1], reader)
                redis.call('UNLINK', KEYS[i])
                n = n + 1
            end
        end
    end
    return n
"""

# A fragment grows, and cannot be trimmed. It is removed, unless its reader has one made just now, which would lack what
# was pushed meanwhile; then it goes when it is not made whole.
_CLEAR = """
    if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return redis.call('EXPIRE', KEYS[2], ARGV[2]) end
    return redis.call('UNLINK', KEYS[2])
"""


# Structs, because a named tuple takes three times as long to make, and each read makes several of these.


class Marks(msgspec.Struct, frozen=True, gc=False):
    """What a feed says about itself."""

    floor: int  # complete above this id
    hidden: frozenset[UserId]
    stars: tuple[UserId, ...]


NO_ONE: frozenset[UserId] = frozenset()


class Feed(msgspec.Struct, frozen=True, gc=False):
    """A page of a feed: the ids that were scanned, newest first, all above its floor."""

    ids: list[PostId]
    marks: Marks


class Feeds:
    """All feeds of all generations."""

    def __init__(self, memory: Memory, chores: Chores) -> None:
        self._memory, self._chores = memory, chores
        self._noted: dict[tuple[int, UserId], float] = {}  # (generation, reader) → when its coming was last noted
        self._owned: dict[UserId, float] = {}  # author → when it was last seen to that its own feed goes one day
        self._pushed: dict[bytes, int] = {}  # key → pushes since it was last trimmed

    @staticmethod
    def key(generation: int, reader: UserId) -> bytes:
        return b"feed:%d:%d" % (generation, reader)

    @staticmethod
    def author_key(generation: int, author: UserId) -> bytes:
        return b"author:%d:%d" % (generation, author)

    @staticmethod
    def live_key(generation: int) -> bytes:
        return b"live:%d" % generation

    # Reading

    async def read(self, key: bytes, page: Page) -> Feed | None:
        """Return a page of a feed; None: it is not whole."""
        if page.max_id is None and page.min_id is None:
            return await self._first(key, page)
        # Marks and ids must be of one moment: between two commands a feed could be lost and made again.
        return (await self.read_all([key], page))[0]

    async def _first(self, key: bytes, page: Page) -> Feed | None:
        """Read marks and the newest ids with one command: marks have the highest score."""
        above = b"-inf" if page.since_id is None else b"(%d" % page.since_id
        want = page.limit + MARKS_AT_ONCE
        got = await self._memory.ask("ZREVRANGEBYSCORE", key, "inf", above, "LIMIT", 0, want)
        at = _marks_at_head(got)
        if not at:
            return None
        if len(got) == want and want - at < page.limit:
            return (await self.read_all([key], page))[0]  # more marks than were expected
        found = list(map(int, got[at : at + page.limit]))
        if at == 1:
            floor = int(got[0][1:])
            return Feed(_above(floor, found), Marks(floor, NO_ONE, ()))
        marks = _marks(got[:at])
        assert marks is not None
        return Feed(_above(marks.floor, found), marks)

    async def lists(self, generation: int, stars: Sequence[UserId], page: Page) -> list[Feed | None]:
        """Return the same page of several stars' lists."""
        keys = [self.author_key(generation, star) for star in stars]
        if page.max_id is not None or page.min_id is not None:
            return await self.read_all(keys, page)
        above = b"-inf" if page.since_id is None else b"(%d" % page.since_id
        want = page.limit + 2  # a list has no other marks than '=' and '-'
        found: list[Feed | None] = []
        for got in await self._memory.look([("ZREVRANGEBYSCORE", key, "inf", above, "LIMIT", 0, want) for key in keys]):
            at = _marks_at_head(got)
            marks = _marks(got[:at])
            found.append(marks and Feed(_above(marks.floor, list(map(int, got[at : at + page.limit]))), marks))
        return found

    async def read_all(self, keys: Sequence[bytes], page: Page) -> list[Feed | None]:
        """Return the same page of several feeds, all of one moment."""
        commands: list[Command] = []
        for key in keys:
            commands += (("ZREVRANGEBYSCORE", key, "inf", "inf"), self._scan(key, page))
        answers = await self._memory.look(commands, atomic=True)
        feeds: list[Feed | None] = []
        for marked, ids in zip(answers[::2], answers[1::2], strict=True):
            marks = _marks(marked)
            found = list(map(int, ids if page.min_id is None else reversed(ids)))
            feeds.append(None if marks is None else Feed(_above(marks.floor, found), marks))
        return feeds

    def _scan(self, key: bytes, page: Page) -> Command:
        below = b"(inf" if page.max_id is None else b"(%d" % page.max_id
        if page.min_id is not None:
            above = b"(%d" % max(page.min_id, page.since_id or 0)
            return ("ZRANGEBYSCORE", key, above, below, "LIMIT", 0, page.limit)
        above = b"-inf" if page.since_id is None else b"(%d" % page.since_id
        return ("ZREVRANGEBYSCORE", key, below, above, "LIMIT", 0, page.limit)

    async def marks(self, key: bytes) -> Marks | None:
        """Return what a feed says about itself, to whoever is about to change it; None: it is not whole."""
        (marked,) = await self._memory.tell([("ZREVRANGEBYSCORE", key, "inf", "inf")])
        return _marks(marked)

    # Pushing

    async def push(self, generation: int, fans: Sequence[UserId], post: PostId, trim_at: int) -> list[bytes]:
        """Add a post to the feeds of those fans who have one; return the feeds that should be trimmed now."""
        if not fans:
            return []
        (seen,) = await self._memory.work([("ZMSCORE", self.live_key(generation), *fans)])
        keys = [self.key(generation, fan) for fan, score in zip(fans, seen, strict=True) if score is not None]
        if not keys:
            return []
        member = b"%d" % post
        await self._memory.work([("ZADD", key, member, member) for key in keys])
        return self._counted(keys, trim_at)

    async def own(self, generation: int, author: UserId, post: PostId, trim_at: int) -> list[bytes]:
        """Add a post to its author's own feed, whether or not there is one."""
        key = self.key(generation, author)
        member = b"%d" % post
        await self._memory.tell([("ZADD", key, member, member)])
        now = time.monotonic()
        if now - self._owned.get(author, float("-inf")) > TOUCH_S:
            # It may be a fragment of one who never comes: nobody else would remove it. And it may be gone again by now.
            _remember(self._owned, author, now)
            self._chores.once(("keep", key), lambda: self._keep(key))
        return self._counted([key], trim_at)

    async def add(self, key: bytes, post: PostId, trim_at: int) -> list[bytes]:
        """Add a post to the list of a star's posts; if the author just stops being one, what is left goes by itself."""
        member = b"%d" % post
        await self._memory.work([("ZADD", key, member, member), ("EXPIRE", key, LIFE_S)])
        return self._counted([key], trim_at)

    def _counted(self, keys: Iterable[bytes], trim_at: int) -> list[bytes]:
        pushed = self._pushed
        due = []
        for key in keys:
            n = pushed.get(key, 0) + 1
            if n == 1 and len(pushed) >= KEPT_MAX and key not in pushed:  # too many to count; it comes to the same
                if random.random() * trim_at < 1:
                    due.append(key)
                continue
            if n >= trim_at:
                due.append(key)
                n = 0
            pushed[key] = n
        return due

    async def trim(self, key: bytes, cap: int) -> None:
        """Keep the `cap` newest posts of a feed, and say so: by score, the floor first, both in one step.

        A post below the floor that arrives late is not shown from here but from the truth, where it is as well.
        """
        over, marked = await self._memory.work(
            [
                ("ZREVRANGEBYSCORE", key, "(inf", "-inf", "LIMIT", cap, 1),
                ("ZREVRANGEBYSCORE", key, "inf", "inf"),
            ]
        )
        marks = _marks(marked)
        if marks is None and key.startswith(b"feed:"):
            _, generation, reader = key.split(b":")
            clear: Command = ("EVAL", _CLEAR, 2, self.live_key(int(generation)), key, reader, LIFE_S)
            await self._memory.work([clear])
            charge("commands", 2)  # the script's own: Redis carries them out, and counts them
        if not over or marks is None:
            return
        floor = max(int(over[0]), marks.floor)
        old = [mark for mark in marked if mark[0] == _MINUS and int(mark[1:]) < floor]
        # Should the feed be lost just now, this leaves a '-' without a '=', which is a fragment.
        commands: list[Command] = [
            ("ZADD", key, "inf", b"-%d" % floor),
            ("ZREMRANGEBYSCORE", key, "-inf", floor),
        ]
        if old:
            commands.append(("ZREM", key, *old))
        await self._memory.work(commands, atomic=True)

    # Making feeds

    async def begin(self, generation: int, reader: UserId) -> None:
        """Before the truth is read to make a feed: be pushed to from now on, and keep no fragment from before.

        A post that is not in what is then read was committed later, and its delivery finds the reader live.
        """
        commands: list[Command] = [
            ("ZADD", self.live_key(generation), _now_ms(), reader),
            ("UNLINK", self.key(generation, reader)),
        ]
        await self._memory.work(commands)
        self._note(generation, reader)

    async def make(
        self,
        key: bytes,
        ids: Sequence[PostId],
        floor: int,
        *,
        hidden: Iterable[UserId] = (),
        stars: Iterable[UserId] = (),
    ) -> None:
        """Make a feed whole: merge what was read with what was pushed meanwhile, and replace all marks, in one step."""
        await self._memory.work(self._making(key, ids, floor, hidden, stars), atomic=True)
        self._pushed.pop(key, None)

    def _making(
        self, key: bytes, ids: Sequence[PostId], floor: int, hidden: Iterable[UserId], stars: Iterable[UserId]
    ) -> list[Command]:
        members: list[bytes] = [b"inf", b"=%d" % floor]
        for author in hidden:
            members += (b"inf", b"!%d" % author)
        for author in stars:
            members += (b"inf", b"*%d" % author)
        for id in ids:
            member = b"%d" % id
            members += (member, member)
        return [("ZREMRANGEBYSCORE", key, "inf", "inf"), ("ZADD", key, *members), ("EXPIRE", key, LIFE_S)]

    async def warm(
        self, generation: int, feeds: Sequence[tuple[UserId, Sequence[PostId], int, Sequence[UserId]]]
    ) -> None:
        """Make many feeds at once: (reader, ids, floor, stars). Readers must be live already (`enlist`)."""
        commands: list[Command] = []
        members = 0
        for reader, ids, floor, stars in feeds:
            if members > WARM_MEMBERS:
                await self._memory.work(commands)
                commands, members = [], 0
            commands += self._making(self.key(generation, reader), ids, floor, (), stars)
            members += len(ids)
        await self._memory.work(commands)

    async def enlist(self, generation: int, readers: Sequence[UserId]) -> None:
        """Have many readers pushed to from now on."""
        now = _now_ms()
        pairs = [part for reader in readers for part in (now, reader)]
        commands: list[Command] = [("ZADD", self.live_key(generation), *pairs)]
        commands.append(("UNLINK", *[self.key(generation, reader) for reader in readers]))
        await self._memory.work(commands)

    # Changing feeds

    async def show(self, key: bytes, author: UserId, ids: Sequence[PostId], *, star: bool, raise_to: int = 0) -> None:
        """Let a feed have an author's posts from now on; of a `star` it also looks into the list."""
        star_mark = b"*%d" % author
        commands: list[Command] = [("ZREM", key, b"!%d" % author, *(() if star else (star_mark,)))]
        members: list[bytes] = [b"inf", star_mark] if star else []
        for id in ids:
            member = b"%d" % id
            members += (member, member)
        if raise_to:
            members += (b"inf", b"-%d" % raise_to)
        if members:
            commands.append(("ZADD", key, *members))
        await self._memory.tell(commands, atomic=True)

    async def hide(self, key: bytes, author: UserId, ids: Sequence[PostId]) -> None:
        """Let a feed have none of an author's posts from now on, also if one is just being pushed."""
        commands: list[Command] = [
            ("ZADD", key, "inf", b"!%d" % author),
            ("ZREM", key, b"*%d" % author, *[b"%d" % id for id in ids]),
        ]
        await self._memory.tell(commands, atomic=True)

    async def live(self, generation: int, readers: Sequence[UserId]) -> list[UserId]:
        """Return those of these readers who have a feed."""
        if not readers:
            return []
        (seen,) = await self._memory.work([("ZMSCORE", self.live_key(generation), *readers)])
        return [reader for reader, score in zip(readers, seen, strict=True) if score is not None]

    async def mark_star(self, generation: int, readers: Sequence[UserId], author: UserId) -> None:
        """Tell these readers' feeds that an author's posts are pulled."""
        if readers:
            star = b"*%d" % author
            commands: list[Command] = [("ZADD", self.key(generation, reader), "inf", star) for reader in readers]
            await self._memory.work(commands)

    async def merge_star(
        self, generation: int, readers: Sequence[UserId], author: UserId, ids: Sequence[PostId], floor: int
    ) -> None:
        """Give these readers' feeds an author's posts, complete above `floor`: they are pushed from now on."""
        for reader in readers:
            await self.show(self.key(generation, reader), author, ids, star=False, raise_to=floor)

    async def drop(self, key: bytes) -> None:
        """Remove a feed; the next read makes it anew."""
        await self._memory.work([("UNLINK", key)])

    def aside(self) -> AbstractAsyncContextManager[None]:
        """Let this block use Redis in bulk beside the service, whose shutter this process does not know."""
        return self._memory.beside()

    # Coming and going

    def came(self, generation: int, reader: UserId) -> None:
        """Note now and then that a reader comes, so that its feed is kept and pushed to."""
        noted = self._noted.get((generation, reader))
        if noted is None or time.monotonic() - noted > TOUCH_S:
            self._note(generation, reader)
            self._chores.once(("came", generation, reader), lambda: self._touch(generation, reader))

    def _note(self, generation: int, reader: UserId) -> None:
        _remember(self._noted, (generation, reader), time.monotonic())

    async def _touch(self, generation: int, reader: UserId) -> None:
        key = self.key(generation, reader)
        commands: list[Command] = [
            ("ZADD", self.live_key(generation), _now_ms(), reader),
            ("EXPIRE", key, LIFE_S),
        ]
        added, _ = await self._memory.work(commands)
        if added:  # it was not pushed to until now, whatever it says: it may lack something
            await self.drop(key)

    async def _keep(self, key: bytes) -> None:
        (left,) = await self._memory.work([("TTL", key)])
        if left == -1:  # a whole feed's own, or an earlier one, holds
            await self._memory.work([("EXPIRE", key, LIFE_S)])

    async def put_to_sleep(self, generation: int, most: int = 200) -> int:
        """Remove the feeds of readers who have not come for long; return how many of them there were."""
        with charging(RESIDUAL):
            live, until = self.live_key(generation), _now_ms() - SLEEPY_MS
            (sleepy,) = await self._memory.work([("ZRANGEBYSCORE", live, "-inf", until, "LIMIT", 0, most)])
            if not sleepy:
                return 0
            keys = [live, *[self.key(generation, UserId(int(reader))) for reader in sleepy]]
            (asleep,) = await self._memory.work([("EVAL", _SLEEP, len(keys), *keys, until, *sleepy)])
            charge("commands", len(sleepy) + 2 * asleep)  # the script's own
            return asleep

    async def remove(self, generation: int, authors: Sequence[UserId], most: int = 500) -> None:
        """Remove all feeds of a generation that nobody reads any more."""
        with charging(RESIDUAL):
            live = self.live_key(generation)
            while True:
                (popped,) = await self._memory.work([("ZPOPMIN", live, most)])
                if not popped:
                    break
                await self._memory.work(
                    [("UNLINK", *[self.key(generation, UserId(int(reader))) for reader in popped[::2]])]
                )
            for first in range(0, len(authors), most):
                keys = [self.author_key(generation, author) for author in authors[first : first + most]]
                await self._memory.work([("UNLINK", *keys)])
        for note in [note for note in self._noted if note[0] == generation]:
            del self._noted[note]

    def forget(self) -> None:
        """Redis is another than before: note everybody's coming anew."""
        self._noted.clear()
        self._owned.clear()
        self._pushed.clear()


def _remember(times: dict[Any, float], key: object, now: float) -> None:
    """Keep when something was done last; of too many, a quarter is forgotten, the oldest: those are done once more."""
    if len(times) >= KEPT_MAX:
        for old in list(times)[: KEPT_MAX // 4]:
            del times[old]
    times.pop(key, None)
    times[key] = now


def _marks_at_head(got: Sequence[bytes]) -> int:
    """Return how many marks a feed read from its top begins with; 0: it is not whole.

    They all have the highest score; of equal scores the highest member comes first, and that is '='.
    """
    if not got or got[0][0] != _EQUAL:
        return 0
    at = 1
    while at < len(got) and got[at][0] < _ZERO:
        at += 1
    return at


def _marks(marked: Sequence[bytes]) -> Marks | None:
    """Read marks; None: they do not say that the feed is whole."""
    floors: list[int] = []
    whole = False
    hidden: list[UserId] = []
    stars: list[UserId] = []
    for mark in marked:
        kind, id = mark[0], int(mark[1:])
        if kind in (_EQUAL, _MINUS):
            whole = whole or kind == _EQUAL
            floors.append(id)
        elif kind == _BANG:
            hidden.append(UserId(id))
        elif kind == _STAR:
            stars.append(UserId(id))
    return Marks(max(floors), frozenset(hidden) if hidden else NO_ONE, tuple(stars)) if whole else None


def _above(floor: int, ids: list[int]) -> list[PostId]:
    """Return those of descending ids that lie above a floor."""
    while ids and ids[-1] <= floor:
        ids.pop()
    return ids  # pyright: ignore[reportReturnType]


def _now_ms() -> int:
    # Not the injected clock: it tells readers of one Redis apart, and is compared with nothing else.
    return time.time_ns() // 1_000_000
