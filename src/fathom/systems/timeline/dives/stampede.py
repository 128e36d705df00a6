"""When what everybody reads goes out of date, who waits for it to be made anew, and who makes it in vain?

Hundreds of people a second look at what trends: the posts that are liked most, of the last hours. The more hours, the
dearer it is to find out. Here it lives for three tenths of a second, so that in a short time it goes out of date often;
with a longer life the same happens less often.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fathom.design import ms
from fathom.lab.dive import Dive, Load, Outage, op, sweep

from ..api import Timeline, Trending, UserId
from ..decisions.stampede import Stampede

READERS, AUTHORS, POSTS = 200, 500, 60_000
LIKED = 400  # posts that anybody likes at all
HOUR_MS = 3_600_000


class Rush(Dive[Timeline]):
    """Four ways to make anew what is cheap to make, and what is dear."""

    decision = Stampede
    hours: int = sweep(3, 24)
    load = Load(read=350, lasts_s=2.5)
    turned: ClassVar[Mapping[str, float]] = {"fresh_s": 0.3}

    async def prepare(self, stores: Any, approach: Any, hours: Sequence[int]) -> None:
        dice = random.Random("stampede")
        names = [f"reader_{n}" for n in range(READERS)] + [f"author_{n}" for n in range(AUTHORS)]
        ids = list(await stores.accounts.bulk(names))
        self.readers, authors = ids[:READERS], ids[READERS:]
        written = [(dice.choice(authors), f"post {n}") for n in range(POSTS)]
        now_ms = int(time.time() * 1_000)
        # Spread over more than a day, so that those of a whole one stay about as many for as long as the dive lasts.
        posts = await stores.posts.bulk(written, from_ms=now_ms - 25 * HOUR_MS, until_ms=now_ms)
        liked = dice.sample(posts, LIKED)
        await stores.likes.bulk([(post, user) for n, post in enumerate(liked) for user in ids[: n % 100]])

    @op(reads=True)
    async def read(self, timeline: Timeline, turn) -> Trending:
        """Somebody looks at what trends."""
        return await timeline.trending(turn.dice.choice(self.readers), turn.hours)

    def everyone(self, point: int) -> Sequence[UserId]:
        return self.readers[:50]

    async def look(self, timeline: Timeline, who: UserId) -> None:
        await timeline.trending(who, 24)

    watch = read.p99, read.p50, read.cpu_s
    goals = (read.p99 < ms(100),)
    faults = Outage("cache", from_s=1.5, until_s=2.5, wiped=True), Outage("truth", from_s=1.5, until_s=2.5)

    def predict(self, found):
        flight, lease, early, jitter = (
            found(approach, hours=24) for approach in ("single-flight", "lease", "early-refresh", "jitter")
        )
        slowest = flight.read.p99 > 1.5 * lease.read.p99
        yield "one reader in a hundred waits for a flight 1.5 times as long as with a lease, or longer", slowest
        yield "readers who look early spare the others that wait as well", flight.read.p99 > 1.5 * early.read.p99
        yield "half of all reads notice nothing of it", lease.read.p50 <= 1.2 * flight.read.p50
        dice = jitter.read.cpu_s >= 0.9 * early.read.cpu_s
        yield "patience by even dice makes it no cheaper than dice that know", dice
