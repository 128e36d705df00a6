"""When everybody likes the same post, who pays: those who like it or those who look at it?

Sixteen people like one post in the same moment, then sixteen take it back, and so on, while its author's followers
read their homes, which have it in them. What is swept is how many liked it long ago. A moment is over when the last
of the sixteen was told so: who waits in a line waits for all those before them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from fathom.design import ms
from fathom.lab.dive import Dive, Load, Outage, op, sweep

from .. import laws
from ..api import Page, PostId, Slice, Timeline, UserId
from ..decisions.counters import Counters
from ..decisions.fanout.hybrid import Hybrid

AT_ONCE = 16  # the connections to the truth: more would wait for one of these whatever the approach
CROWD = 3_000
READERS, POSTS = 100, 25  # that follow an author; a home's first page has twenty posts
DAY_MS = 86_400_000


class HotPost(Dive[Timeline]):
    """Four ways to count likes, on a post that few, many, or very many liked before."""

    decision = Counters
    likes: int = sweep(100, 3_000, 30_000)
    load = Load(like=10, home=150, lasts_s=1.5)

    async def prepare(self, stores: Any, approach: Any, likes: Sequence[int]) -> None:
        names = [f"author_{n}" for n in likes] + [f"reader_{n}_{of}" for n in likes for of in range(READERS)]
        names += [f"crowd_{n}" for n in range(CROWD)] + [f"fan_{n}" for n in range(max(likes))]
        ids = iter(await stores.accounts.bulk(names))
        authors = {n: next(ids) for n in likes}
        self.readers = {n: [next(ids) for _ in range(READERS)] for n in likes}
        crowd = [next(ids) for _ in range(CROWD)]
        fans = list(ids)
        self.follows = {reader: authors[n] for n, readers in self.readers.items() for reader in readers}
        await stores.graph.bulk(list(self.follows.items()))
        until_ms = int(time.time() * 1_000) - DAY_MS
        written = [(author, f"post {n}") for n in range(POSTS) for author in authors.values()]
        posts = await stores.posts.bulk(written, from_ms=until_ms - DAY_MS, until_ms=until_ms)
        self.posts_of: dict[UserId, list[PostId]] = {}
        for (author, _), post in zip(written, posts, strict=True):
            self.posts_of.setdefault(author, []).append(post)
        self.hot = {n: self.posts_of[author][-1] for n, author in authors.items()}  # on everybody's first page
        await stores.likes.bulk([(post, fan) for n, post in self.hot.items() for fan in fans[:n]])
        self.late_s = approach.late_s
        self.crowds = {n: _Crowd(crowd) for n in likes}
        # The likes are what is compared; the homes are the same for all, and made before they are read.
        await Hybrid(**{noun: getattr(stores, noun) for noun in Hybrid.nouns()}).warm(list(self.follows))

    def given(self, who: Sequence[UserId]) -> Any:
        return {
            "follows": {str(reader): [self.follows[reader]] for reader in who},
            "posts": {str(author): posts for author, posts in self.posts_of.items()},
            "likes": {str(post): n for n, post in self.hot.items()},
            "counted_within_s": self.late_s,
        }

    @op
    async def like(self, timeline: Timeline, turn) -> None:
        """Sixteen like a post at once; the next sixteen take it back."""
        await self.crowds[turn.likes].moment(timeline, self.hot[turn.likes], take_back=turn.index % 2 == 1)

    @op(reads=True)
    async def home(self, timeline: Timeline, turn) -> Slice:
        """A reader looks at the first page of their home, which has the post on it."""
        return await timeline.home(turn.dice.choice(self.readers[turn.likes]), Page())

    def everyone(self, point: int) -> Sequence[UserId]:
        return self.readers[point]

    async def look(self, timeline: Timeline, who: UserId) -> None:
        await timeline.home(who, Page())

    def degraded(self, op: str, answer: Any) -> bool:
        return isinstance(answer, Slice) and answer.source == "fallback"

    def expects(self, approach: str, op: str, point: int) -> Mapping[str, int]:
        """A like is a statement; its post is read for a new copy, unless that is left for later or never done."""
        if op == "home":
            return {"statements": 1, "commands": 2} if approach == "on-read" else {"commands": 2}
        each = {"row-lock": 2, "sharded": 2, "on-read": 1}.get(approach)
        return {} if each is None else {"statements": AT_ONCE * each}

    watch = like.p50, like.cpu_s, home.p90, home.cpu_s
    goals = like.p90 < ms(250), home.p90 < ms(50)
    faults = Outage("truth", from_s=1.5, until_s=2.5), Outage("cache", from_s=1.5, until_s=2.5)
    keeps = laws.likes_equal_the_likers

    def predict(self, found):
        row, shards, later, counted = (
            found(approach, likes=3_000) for approach in ("row-lock", "sharded", "asynchronous", "on-read")
        )
        yield "in one line sixteen take half as long again as in several", row.like.p50 > 1.5 * shards.like.p50
        yield "adding up later takes them less than two thirds of the work", later.like.cpu_s < row.like.cpu_s / 1.5
        kept = row.home.cpu_s <= 1.1 * shards.home.cpu_s
        yield "and a number that is kept is no dearer to read than one that is added up", kept
        few, many = (found(approach, likes=30_000) for approach in ("row-lock", "on-read"))
        yield "counting 30,000 likes makes a home over three times as dear", many.home.cpu_s > 3 * few.home.cpu_s
        yield "and counting 3,000 over one and a half times", counted.home.cpu_s > 1.5 * row.home.cpu_s


class _Crowd:
    """Who may like a post, and who of them likes it now."""

    def __init__(self, users: Sequence[UserId]) -> None:
        self._free, self._liking = deque(users), deque[UserId]()
        self._unsure = deque[UserId]()  # nobody heard what became of their last call

    async def moment(self, timeline: Timeline, post: PostId, *, take_back: bool) -> None:
        """Have sixteen do the same at once; raise what one of them was told, if that was no yes."""
        take_back = take_back and len(self._liking) >= AT_ONCE
        come, go = (self._liking, self._free) if take_back else (self._free, self._liking)
        while len(come) < AT_ONCE and self._unsure:
            come.append(self._unsure.popleft())
        them = [come.popleft() for _ in range(min(AT_ONCE, len(come)))]
        verb = timeline.unlike if take_back else timeline.like
        said = await asyncio.gather(*(verb(user, post) for user in them), return_exceptions=True)
        for user, answer in zip(them, said, strict=True):
            (self._unsure if isinstance(answer, BaseException) else go).append(user)
        for answer in said:
            if isinstance(answer, BaseException):
                raise answer
