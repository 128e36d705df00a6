"""In a small town where everybody follows everybody's star: what does a way to push cost more than another?"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from __future__ import annotations

import random
import time
from typing import Any

from fathom.lab.dive import Dive, Load, op

from ..api import Page, Post, Slice, Timeline
from ..decisions.fanout import Fanout

FANS = 40
ORDINARY, FOLLOWED, POSTS_EACH = 100, 20, 10
DAY_MS = 86_400_000


class Town(Dive[Timeline]):
    """Forty readers, one star whom all of them follow, and twenty ordinary accounts for each."""

    decision = Fanout
    load = Load(home=200, post=20, lasts_s=0.5)

    async def prepare(self, stores: Any, approach: Any) -> None:
        dice = random.Random("town")
        names = [f"reader_{n}" for n in range(FANS)] + [f"ordinary_{n}" for n in range(ORDINARY)] + ["star"]
        ids = list(await stores.accounts.bulk(names))
        self.readers, ordinary, self.star = ids[:FANS], ids[FANS:-1], ids[-1]
        follows = [(reader, author) for reader in self.readers for author in dice.sample(ordinary, FOLLOWED)]
        await stores.graph.bulk([*follows, *((reader, self.star) for reader in self.readers)])
        written = [(author, f"post {n} of {author}") for n in range(POSTS_EACH) for author in ordinary]
        until_ms = int(time.time() * 1_000) - DAY_MS
        await stores.posts.bulk(written, from_ms=until_ms - DAY_MS, until_ms=until_ms)
        async with stores.memory.beside():  # it is shut here: only the service opens it
            await approach.warm(self.readers)

    @op
    async def post(self, timeline: Timeline, turn) -> Post:
        """The star writes a post."""
        return await timeline.post(self.star, f"number {turn.index}: {turn.dice.random()}")

    @op(reads=True)
    async def home(self, timeline: Timeline, turn) -> Slice:
        """One of the readers reads the first page of their home."""
        return await timeline.home(turn.dice.choice(self.readers), Page())

    watch = (home.p50,)
