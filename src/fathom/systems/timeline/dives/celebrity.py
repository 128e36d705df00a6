"""When a celebrity posts, who pays: the writer or the readers?

Three stars share one town: a thousand readers who follow two hundred ordinary accounts each and come back all the
time, and the stars' fans beside them. A tenth of a star's fans, a thousand at most, are among these readers, so that
a bigger star is followed by more of those who read. All of them have been there lately, so a pushed post is pushed to
every one of a star's fans.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fathom.design import ms, s
from fathom.lab.dive import Dive, Load, Outage, Target, op, probe, sweep
from fathom.lab.scale import Pareto

from .. import laws
from ..api import PAGE_POSTS_MAX, Page, Post, PostId, Slice, Timeline, UserId
from ..decisions.fanout import Fanout

READERS, ORDINARY, FOLLOWED = 1_000, 1_000, 200
POSTS_EACH = 5  # of an ordinary account; a reader follows a thousand of them, more than a feed begins with
STAR_POSTS = 20
DAY_MS = 86_400_000
LOOK_PAGES = 2  # of 40 posts: a trial of sixteen seconds writes at most five a second


class Celebrity(Dive[Timeline]):
    """Pushing and pulling a star's posts, at three sizes of a star."""

    decision = Fanout
    among = "hybrid", "on-read", "on-write"  # the others are about what they lose, not about who pays
    comes_first = "on-read"  # it lays out nothing for the readers
    fans: int = sweep(100, 3_000, 30_000)
    load = Load(home=400, post=2, lasts_s=2.5)

    async def prepare(self, stores: Any, approach: Any, fans: Sequence[int], times: int = 1) -> None:
        """With more `times`, more readers and ordinary accounts; each of them follows and writes as much as before."""
        readers, authors = READERS * times, ORDINARY * times
        dice = random.Random("celebrity")
        names = [f"reader_{n}" for n in range(readers)]
        names += [f"ordinary_{n}" for n in range(authors)]
        names += [f"star_{n}" for n in fans]
        names += [f"fan_{n}" for n in range(max(fans))]
        ids = iter(await stores.accounts.bulk(names))
        self.readers = [next(ids) for _ in range(readers)]
        ordinary = [next(ids) for _ in range(authors)]
        self.stars = {n: next(ids) for n in fans}
        others = list(ids)
        self.fans_of = {n: self.readers[: times * min(n // 10, READERS)] for n in fans}
        self.fans_of = {n: mine + others[: n - len(mine)] for n, mine in self.fans_of.items()}
        self.follows: dict[UserId, list[UserId]] = {
            reader: [ordinary[at] for at in dice.sample(range(authors), FOLLOWED)] for reader in self.readers
        }
        for n, star in self.stars.items():
            for fan in self.fans_of[n]:
                self.follows.setdefault(fan, []).append(star)
        await stores.graph.bulk([(reader, author) for reader, them in self.follows.items() for author in them])
        written = [(author, f"post {n} of {author}") for n in range(POSTS_EACH) for author in ordinary]
        written += [(star, f"post {n} of {star}") for n in range(STAR_POSTS) for star in self.stars.values()]
        dice.shuffle(written)
        until_ms = int(time.time() * 1_000) - DAY_MS
        posts = await stores.posts.bulk(written, from_ms=until_ms - 30 * DAY_MS, until_ms=until_ms)
        self.posts_of: dict[UserId, list[PostId]] = {}
        self.newest_before = max(posts)
        for (author, _), post in zip(written, posts, strict=True):
            self.posts_of.setdefault(author, []).append(post)
        async with stores.memory.beside():  # it is shut here: only the service opens it
            await approach.warm(list(self.follows))

    def users(self, points: Sequence[int]) -> tuple[int, int]:
        """A reader's home is full; that of a fan beside them holds the star's posts alone."""
        return READERS, READERS + ORDINARY + len(points) + max(points)

    def given(self, who: Sequence[UserId]) -> Any:
        follows = {str(reader): self.follows[reader] for reader in who}
        authors = sorted({author for them in follows.values() for author in them})
        return {"follows": follows, "posts": {str(author): self.posts_of[author] for author in authors}}

    @op
    async def post(self, timeline: Timeline, turn) -> Post:
        """A star writes a post."""
        return await timeline.post(self.stars[turn.fans], f"number {turn.index}: {turn.dice.random()}")

    @op(reads=True)
    async def home(self, timeline: Timeline, turn) -> Slice:
        """One of the thousand reads the first page of their home."""
        return await timeline.home(turn.dice.choice(self.readers), Page())

    @probe(after=post)
    async def seen(self, timeline: Timeline, turn, posted: Post) -> bool:
        """One of the star's fans looks until the post is there."""
        fan = turn.dice.choice(self.fans_of[turn.fans])
        there = await timeline.home(fan, Page(limit=PAGE_POSTS_MAX))
        if there.older is not None and there.older > posted.id:  # a page and more was written since: it lies below
            there = await timeline.home(fan, Page(limit=1, max_id=PostId(posted.id + 1)))
        return any(post.id == posted.id for post in there.posts)

    def everyone(self, point: int) -> Sequence[UserId]:
        return list(dict.fromkeys([*self.readers, *self.fans_of[point]]))

    async def look(self, timeline: Timeline, who: UserId) -> None:
        """Go down the home until what a trial writes lies above, or all that was written since the dive began."""
        page = Page(limit=PAGE_POSTS_MAX)
        for _ in range(LOOK_PAGES):
            seen = await timeline.home(who, page)
            if seen.older is None or seen.older <= self.newest_before:
                return
            page = Page(limit=PAGE_POSTS_MAX, max_id=seen.older)

    def degraded(self, op: str, answer: Any) -> bool:
        return isinstance(answer, Slice) and answer.source == "fallback"

    def expects(self, approach: str, op: str, point: int) -> Mapping[str, int]:
        """A pushed post: the cache and the author's feed are told; then each piece of fans is asked, each fan told."""
        if (approach, op) != ("on-write", "post"):
            return {}
        return {"commands": 2 + point + -(-point // 1_000)}

    watch = home.p99, home.cpu_s, post.p50, post.cpu_s, post.commands
    goals = home.p99 < ms(200), post.p50 < ms(50), seen.p90 < s(5)
    faults = Outage("cache", from_s=4, until_s=7), Outage("cache", from_s=4, until_s=7, wiped=True)
    keeps = laws.no_acknowledged_post_is_lost
    target = Target(
        users=200e6,
        per_s={post: 14_000, home: 300_000},
        peak=(2, 3),  # 400 million posts a day are 4,600 a second
        swept={
            post: Pareto(
                mean=403,
                most=22e6,
                tail=(1.1, 1.5),
                source="mean and most as in twitter-scale-mastodon; the exponent as published of several networks",
            )
        },
        turns_at="fame",
        copies=3,
        keeps={post: (300, 1_000)},
        keeps_s=5 * 365 * DAY_MS / 1_000,
    )

    def predict(self, found):
        push, pull, both = (found(approach, fans=30_000) for approach in ("on-write", "on-read", "hybrid"))
        yield "pushing a star's post costs over 1,000x the commands", push.post.commands > 1_000 * pull.post.commands
        yield "pulling costs every reader more than twice the CPU", pull.home.cpu_s > 2 * push.home.cpu_s
        yield "doing both costs a star's post less than a fiftieth of pushing", both.post.cpu_s < push.post.cpu_s / 50
        yield "and every reader less than pulling does", both.home.cpu_s < pull.home.cpu_s
