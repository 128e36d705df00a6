"""When stars write and some readers follow everybody, who waits for whom, and what does it cost to spare whom?

Fifty authors write to forty followers each. Half of these are people like all others; the other half follow `follows`
accounts, five hundred or eight thousand, and most of what is pushed is pushed to them. Beside them a star writes to
twenty thousand, and somebody else writes right behind it. Pushed in pieces that let others pass, the star holds nobody
up; in one line it does, and what pulls stars' posts has no such pieces. Whoever follows more than the limit may be
pushed a sample.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fathom.design import ms, s
from fathom.lab.dive import Dive, Load, Outage, op, probe, sweep

from .. import laws
from ..api import PAGE_POSTS_MAX, Page, Post, PostId, Slice, Timeline, UserId
from ..decisions.fanout import Fanout

AUTHORS, FANS, CROWDED = 50, 20, 20  # of each author: ordinary followers, and such as follow too many
STAR_FANS = 20_000
POSTS_EACH, STAR_POSTS = 4, 10
DAY_MS = 86_400_000
LOOK_PAGES = 5
LOOKING_FANS = 60


class Celebrities(Dive[Timeline]):
    """Four ways to deliver, to readers who follow ever more."""

    decision = Fanout
    among = "hybrid", "on-write", "lossy", "fifo"
    follows: int = sweep(500, 8_000)
    load = Load(home=150, post=12, star=1, lasts_s=2.5)

    async def prepare(self, stores: Any, approach: Any, follows: Sequence[int]) -> None:
        self.sampled_above = getattr(approach, "limit", None)
        dice = random.Random("celebrities")
        names = ["star"] + [f"fan_{n}" for n in range(STAR_FANS)] + [f"silent_{n}" for n in range(max(follows))]
        for point in follows:
            names += [f"author_{point}_{n}" for n in range(AUTHORS)] + [f"crowded_{point}_{n}" for n in range(CROWDED)]
        ids = iter(await stores.accounts.bulk(names))
        self.celebrity = next(ids)
        self.fans = [next(ids) for _ in range(STAR_FANS)]
        silent = [next(ids) for _ in range(max(follows))]
        self.authors: dict[int, list[UserId]] = {}
        self.crowded: dict[int, list[UserId]] = {}
        self.fans_of: dict[UserId, list[UserId]] = {}
        self.follows_of: dict[UserId, list[UserId]] = {fan: [self.celebrity] for fan in self.fans}
        for point in follows:
            mine = self.authors[point] = [next(ids) for _ in range(AUTHORS)]
            self.crowded[point] = [next(ids) for _ in range(CROWDED)]
            for reader in self.crowded[point]:
                self.follows_of[reader] = [*mine, *silent[: point - AUTHORS]]
            for author in mine:
                self.fans_of[author] = dice.sample(self.fans, FANS)
                for fan in self.fans_of[author]:
                    self.follows_of[fan].append(author)
        await stores.graph.bulk([(reader, author) for reader, them in self.follows_of.items() for author in them])
        everybody = [author for mine in self.authors.values() for author in mine]
        written = [(author, f"post {n} of {author}") for n in range(POSTS_EACH) for author in everybody]
        written += [(self.celebrity, f"post {n} of the star") for n in range(STAR_POSTS)]
        dice.shuffle(written)
        until_ms = int(time.time() * 1_000) - DAY_MS
        posts = await stores.posts.bulk(written, from_ms=until_ms - DAY_MS, until_ms=until_ms)
        self.newest_before = max(posts)
        self.posts_of: dict[UserId, list[PostId]] = {}
        for (author, _), post in zip(written, posts, strict=True):
            self.posts_of.setdefault(author, []).append(post)
        async with stores.memory.beside():  # it is shut here: only the service opens it
            await approach.warm(list(self.follows_of))

    def given(self, who: Sequence[UserId]) -> Any:
        follows = {str(reader): self.follows_of[reader] for reader in who}
        authors = sorted({author for them in follows.values() for author in them} & self.posts_of.keys())
        facts = {"follows": follows, "posts": {str(author): self.posts_of[author] for author in authors}}
        return facts if self.sampled_above is None else {**facts, "sampled_above": self.sampled_above}

    @op
    async def post(self, timeline: Timeline, turn) -> Post:
        """One of the fifty writes."""
        return await timeline.post(turn.dice.choice(self.authors[turn.follows]), f"number {turn.index}")

    @op
    async def star(self, timeline: Timeline, turn) -> Post:
        """The star writes, and one of the fifty right behind."""
        await timeline.post(self.celebrity, f"to all of you, number {turn.index}")
        return await timeline.post(turn.dice.choice(self.authors[turn.follows]), f"right behind, number {turn.index}")

    @op(reads=True)
    async def home(self, timeline: Timeline, turn) -> Slice:
        """One of those who follow so many reads the first page."""
        return await timeline.home(turn.dice.choice(self.crowded[turn.follows]), Page())

    @probe(after=post)
    async def told(self, timeline: Timeline, turn, posted: Post) -> bool:
        """The author looks how far the post has come, until all have been told."""
        return (await timeline.reach(posted.author, posted.id)).told

    @probe(after=star)
    async def overtakes(self, timeline: Timeline, turn, posted: Post) -> bool:
        """So does the one who wrote right behind the star."""
        return (await timeline.reach(posted.author, posted.id)).told

    def everyone(self, point: int) -> Sequence[UserId]:
        fans = dict.fromkeys(fan for author in self.authors[point] for fan in self.fans_of[author])
        return [*self.crowded[point], *list(fans)[:LOOKING_FANS]]

    async def look(self, timeline: Timeline, who: UserId) -> None:
        """Go down the home until all lies above that was written since the dive began."""
        page = Page(limit=PAGE_POSTS_MAX)
        for _ in range(LOOK_PAGES):
            seen = await timeline.home(who, page)
            if seen.older is None or seen.older <= self.newest_before:
                return
            page = Page(limit=PAGE_POSTS_MAX, max_id=seen.older)

    def expects(self, approach: str, op: str, point: int) -> Mapping[str, int]:
        """The cache and the author's feed are told, the followers are asked for, each is told."""
        if op != "post" or (approach == "lossy" and point > (self.sampled_above or 0)):
            return {}
        return {"commands": 2 + 1 + FANS + CROWDED}

    watch = post.commands, star.commands, post.cpu_s, star.cpu_s, home.p50
    goals = told.p90 < s(2), overtakes.p50 < s(1), home.p50 < ms(100)
    faults = Outage("cache", from_s=3, until_s=4.5)
    keeps = laws.no_acknowledged_post_is_lost

    def predict(self, found):
        few = {name: found(name, follows=500) for name in ("hybrid", "on-write", "lossy")}
        many = {name: found(name, follows=8_000) for name in ("hybrid", "on-write", "lossy")}
        yield (
            "who follows a quarter of the limit is told of all",
            few["lossy"].post.commands.equals(few["on-write"].post.commands),
        )
        yield (
            "sampled at four times the limit, a post costs over a quarter less",
            (many["lossy"].post.commands < 0.75 * many["on-write"].post.commands),
        )
        yield "and still more than the ordinary followers alone", many["lossy"].post.commands > 3 + FANS
        yield (
            "a star costs as much, for its followers follow few",
            (many["lossy"].star.commands > 0.98 * many["on-write"].star.commands),
        )
        yield (
            "only to pull a star's posts spares them",
            (many["hybrid"].star.commands < many["on-write"].star.commands / 100),
        )
