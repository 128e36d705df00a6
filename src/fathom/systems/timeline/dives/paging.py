"""When a list grows at its head all the time, what does it cost to go down it, and what does who goes down it miss?

Everybody's posts of a busy network: fourteen in each millisecond, as many as two hundred million users write when they
write most. Some write, some read the page at a certain depth, and some go down the first pages one by one. Skipping
and the time alone are controls: what they miss is for the law to tell, and what they cost is counted beside.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from fathom.blocks.ids import Ids
from fathom.blocks.places import Place
from fathom.design import ms
from fathom.lab.dive import Dive, Load, Outage, Target, op, sweep

from ..api import Piece, Post, Timeline, UserId
from ..decisions.paging import Paging as Answers

AUTHORS, READERS = 500, 100
POSTS_PER_MS = 14
MORE = 1_000  # posts below the deepest page
WALK_PAGES, WALK_POSTS = 10, 20
JUDGED = 2_000  # of the newest posts are told to the laws: nobody's walk goes further down
DAY_MS = 86_400_000


class Paging(Dive[Timeline]):
    """Three ways to begin the next page, at three depths."""

    decision = Answers
    depth: int = sweep(100, 3_000, 30_000)
    load = Load(post=40, page=40, walk=10, lasts_s=2.5)
    weighs = "offset", "time-cursor"

    async def prepare(self, stores: Any, approach: Any, depth: Sequence[int]) -> None:
        names = [f"author_{n}" for n in range(AUTHORS)] + [f"reader_{n}" for n in range(READERS)]
        people = await stores.accounts.bulk(names)
        self.authors, self.readers = people[:AUTHORS], people[AUTHORS:]
        dice = random.Random("paging")
        count = max(depth) + MORE
        written = [(dice.choice(self.authors), f"post {n}") for n in range(count)]
        until_ms = int(time.time() * 1_000) - DAY_MS
        from_ms = until_ms - count // POSTS_PER_MS
        ids = await stores.posts.bulk(written, from_ms=from_ms, until_ms=until_ms)
        times = [Ids.at_ms(id) for id in ids]
        self.newest = [[id, author, at_ms] for id, (author, _), at_ms in zip(ids, written, times, strict=True)][
            -JUDGED:
        ]
        # Where somebody stands who has seen so many: the same word in every approach.
        self.cursors = {each: Place(times[-each], ids[-each], each).word() for each in depth}

    def given(self, who: Sequence[UserId]) -> Any:
        return {"latest": self.newest}

    @op
    async def post(self, timeline: Timeline, turn) -> Post:
        """Somebody writes a post: the whole list moves down by one."""
        return await timeline.post(turn.dice.choice(self.authors), f"number {turn.index}: {turn.dice.random()}")

    @op(reads=True)
    async def page(self, timeline: Timeline, turn) -> Piece:
        """Somebody reads one page at this depth."""
        return await timeline.latest(turn.dice.choice(self.readers), self.cursors[turn.depth], WALK_POSTS)

    @op(reads=True)
    async def walk(self, timeline: Timeline, turn) -> None:
        """Somebody goes down the first ten pages, while others write."""
        await self._down(timeline, turn.dice.choice(self.readers), WALK_PAGES)

    async def _down(self, timeline: Timeline, who: UserId, pages: int) -> None:
        cursor: str | None = None
        for _ in range(pages):
            piece = await timeline.latest(who, cursor, WALK_POSTS)
            if (cursor := piece.next) is None:
                return

    def everyone(self, point: int) -> Sequence[UserId]:
        return self.readers

    async def look(self, timeline: Timeline, who: UserId) -> None:
        await self._down(timeline, who, WALK_PAGES)

    watch = page.p90, page.cpu_s, walk.p50, walk.cpu_s, page.rows
    goals = page.p90 < ms(100), walk.p50 < ms(200)
    faults = Outage("truth", from_s=2, until_s=3)
    target = Target(users=200e6, per_s={post: 14_000, page: 50_000, walk: 10_000}, peak=(2, 3))

    def predict(self, found):
        near, far = found("offset", depth=100), found("offset", depth=30_000)
        yield "skipping 30,000 posts costs over five times the CPU of 100", far.page.cpu_s > 5 * near.page.cpu_s
        near, far = found("keyset", depth=100), found("keyset", depth=30_000)
        yield "by (time, number) the depth does not matter", far.page.cpu_s < 1.5 * near.page.cpu_s
        time_alone = found("time-cursor", depth=30_000)
        yield "to be exact costs no more than the time alone", far.page.cpu_s < 1.5 * time_alone.page.cpu_s
        yield (
            "all receive the same rows: what is skipped is read and thrown away",
            far.page.rows.equals(found("offset", depth=30_000).page.rows),
        )
