"""When a home is not shown as it was written, what does its reader pay for the order, and what for going down it?

People read the first page of their home, some go down three pages, and all the time somebody likes something, so that
no two homes are in the same order for long. What is swept is how many posts a reader has liked in their life: whom they
read is learnt from the newest of these, and should cost the same however many there are.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fathom.design import ms
from fathom.lab.dive import Dive, Load, Outage, op, sweep

from .. import laws
from ..api import Page, PostId, Slice, Timeline, UserId
from ..decisions.fanout.hybrid import Hybrid
from ..decisions.ranking import Ranking as Answers

READERS, AUTHORS, FOLLOWED = 50, 200, 50
POSTS = 4_000  # a reader's home has a quarter of them
WALK_PAGES, WALK_POSTS = 3, 20
DAY_MS = 86_400_000


class Ranking(Dive[Timeline]):
    """Four orders of the same homes."""

    decision = Answers
    liked: int = sweep(100, 3_000)
    load = Load(home=100, walk=15, like=40, lasts_s=2.0)

    async def prepare(self, stores: Any, approach: Any, liked: Sequence[int]) -> None:
        names = [f"author_{n}" for n in range(AUTHORS)]
        names += [f"reader_{n}_{of}" for n in liked for of in range(READERS)]
        ids = list(await stores.accounts.bulk(names))
        authors, readers = ids[:AUTHORS], ids[AUTHORS:]
        self.readers = {n: readers[at * READERS : (at + 1) * READERS] for at, n in enumerate(liked)}
        dice = random.Random("ranking")
        self.follows = {reader: dice.sample(authors, FOLLOWED) for reader in readers}
        await stores.graph.bulk([(reader, author) for reader, them in self.follows.items() for author in them])
        written = [(dice.choice(authors), f"post {n}") for n in range(POSTS)]
        now_ms = int(time.time() * 1_000)
        posts = await stores.posts.bulk(written, from_ms=now_ms - 2 * DAY_MS, until_ms=now_ms - 60_000)
        self.newest = posts[-200:]
        self.posts_of: dict[UserId, list[PostId]] = {}
        for (author, _), post in zip(written, posts, strict=True):
            self.posts_of.setdefault(author, []).append(post)
        pairs = [
            (post, reader) for n, them in self.readers.items() for reader in them for post in dice.sample(posts, n)
        ]
        await stores.likes.bulk(pairs)
        # The order is what is compared; the homes are the same for all, and lie there before they are read.
        await Hybrid(**{noun: getattr(stores, noun) for noun in Hybrid.nouns()}).warm(readers)
        await stores.posts.warm(posts)

    def given(self, who: Sequence[UserId]) -> Any:
        return {
            "follows": {str(reader): self.follows[reader] for reader in who},
            "posts": {str(author): posts for author, posts in self.posts_of.items()},
        }

    @op(reads=True)
    async def home(self, timeline: Timeline, turn) -> Slice:
        """Somebody reads the first page of their home."""
        return await timeline.home(turn.dice.choice(self.readers[turn.liked]), Page())

    @op(reads=True)
    async def walk(self, timeline: Timeline, turn) -> None:
        """Somebody goes down the first three pages, while others like what is on them."""
        await self._down(timeline, turn.dice.choice(self.readers[turn.liked]))

    @op
    async def like(self, timeline: Timeline, turn) -> int:
        """Somebody likes one of everybody's newest posts: the orders of many homes are others from now on."""
        return await timeline.like(turn.dice.choice(self.readers[turn.liked]), turn.dice.choice(self.newest))

    async def _down(self, timeline: Timeline, who: UserId, pages: int = WALK_PAGES) -> None:
        page = Page(limit=WALK_POSTS)
        for _ in range(pages):
            piece = await timeline.home(who, page)
            if piece.older is None:
                return
            page = Page(limit=WALK_POSTS, max_id=piece.older)

    def everyone(self, point: int) -> Sequence[UserId]:
        return self.readers[point]

    async def look(self, timeline: Timeline, who: UserId) -> None:
        """Go down past the posts that were put in order."""
        await self._down(timeline, who, pages=2 * WALK_PAGES)

    def degraded(self, op: str, answer: Any) -> bool:
        return isinstance(answer, Slice) and answer.source == "fallback"

    def expects(self, approach: str, op: str, point: int) -> Mapping[str, int]:
        """Feed and copies; to keep an order, three commands within the two that make them one; whom one reads."""
        if op != "home":
            return {}
        if approach == "chronological":
            return {"commands": 2}
        return {"commands": 7} if approach == "engagement" else {"commands": 7, "statements": 1}

    watch = home.p90, home.cpu_s, home.commands, home.statements, walk.cpu_s, walk.statements
    goals = (home.p90 < ms(50),)
    faults = Outage("cache", from_s=1.5, until_s=2.5), Outage("cache", from_s=1.5, until_s=2.5, wiped=True)
    keeps = laws.paging_visits_each_post_once

    def predict(self, found):
        plain, liked, personal = (found(each, liked=100) for each in ("chronological", "engagement", "personal"))
        yield "to put a hundred posts in order costs over twice the CPU", liked.home.cpu_s > 2 * plain.home.cpu_s
        yield "to ask whom the reader reads costs more still", personal.home.cpu_s > 1.1 * liked.home.cpu_s
        yield "who goes down pays the truth a statement a page", liked.walk.statements > 1.9
        yield "and none where the order is time", plain.walk.statements < 0.1
        many = found("personal", liked=3_000)
        yield "thirty times the likes of a lifetime cost no more", many.home.cpu_s < 1.2 * personal.home.cpu_s
