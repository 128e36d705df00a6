"""A thousand reads a second, as two hundred followed accounts each, while Redis dies and approaches take over."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from fathom.history import Outcome
from fathom.systems.timeline.api import Page

from .crowd import Crowd, until
from .test_outages import without
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow, pytest.mark.quiet]

READERS, AUTHORS, FOLLOWED, ACTORS = 600, 300, 200, 20
DAY_MS = 86_400_000


async def town(world: World, seed: int) -> tuple[list[int], list[int], Any]:
    """Fill the truth in bulk; return the readers, those who act among them, and what laws need to know of it."""
    dice = random.Random(seed)
    stores = world.stores
    people = await stores.accounts.bulk([f"user{n}" for n in range(READERS + AUTHORS)])
    readers, authors = people[:READERS], people[READERS:]
    follows = {reader: dice.sample(authors, FOLLOWED) for reader in readers}
    await stores.graph.bulk([(reader, author) for reader in readers for author in follows[reader]])
    written = [(author, f"old {n}") for n in range(4) for author in authors]
    dice.shuffle(written)
    ids = await stores.posts.bulk(written, from_ms=1_790_000_000_000, until_ms=1_790_000_000_000 + DAY_MS)
    posts: dict[int, list[int]] = {}
    for (author, _), post in zip(written, ids, strict=True):
        posts.setdefault(author, []).append(post)
    actors = readers[: ACTORS // 2] + authors[: ACTORS // 2]
    given = {
        "follows": {str(user): follows.get(user, []) for user in people},
        "posts": {str(author): mine for author, mine in posts.items()},
    }
    return readers, actors, given


RATES = {"home": 1_000, "page": 10, "post": 12, "follow": 6, "unfollow": 4, "delete": 3, "like": 4, "unlike": 1}


@pytest.mark.feature("TL-13", "SOCIAL-08")
async def test_redis_killed_and_wiped_under_a_thousand_reads_a_second(world: World):
    readers, actors, given = await town(world, seed=7)
    async with world.open("hybrid") as timeline:  # which fills feeds as on-write does
        await world.choices.fanout.warm(sorted({*readers, *actors}))
        crowd = Crowd(timeline, readers, actors, seed=7, given=given)
        made: Counter[int] = Counter()
        fanout = world.choices.fanout
        rebuild = fanout.rebuild

        async def counted(reader: int) -> bool:
            needed = await rebuild(reader)
            made[reader] += needed
            return needed

        fanout.rebuild = counted
        going_on = asyncio.create_task(crowd.live(6.5, RATES))
        await asyncio.sleep(1.5)  # calm, then the outage: the times are the experiment
        async with without(world.engines.cache, wiped=True):
            await asyncio.sleep(2)
        await going_on
        await until(lambda: world.stores.memory.open)
        await crowd.look_around(readers[::60] + actors)
        reads = crowd.count("home", outcome=Outcome.OK)
        failed = crowd.count("home", outcome=Outcome.FAILED) + crowd.count("home", outcome=Outcome.UNKNOWN)
        print(f"{reads} reads, {failed} failed, {crowd.sources}, {crowd.failed}")
        assert failed <= 50, crowd.failed
        assert max(made.values()) == 1, made.most_common(5)  # once for each reader who came back, however often
        assert len(made) > READERS // 10
        assert crowd.sources["fallback"] > 1_000 and crowd.sources["feed"] > 100, crowd.sources
        crowd.check()


@pytest.mark.feature("TL-15")
async def test_switching_through_all_approaches_under_load_loses_and_repeats_nothing(world: World):
    readers, actors, given = await town(world, seed=8)
    async with world.open("on-write") as timeline:
        await world.choices.fanout.warm(readers)
        crowd = Crowd(timeline, readers, actors, seed=8, given=given)
        going_on = asyncio.create_task(crowd.live(6.0, {**RATES, "home": 700}))
        for approach in ("on-read", "hybrid", "on-write", "hybrid", "on-read", "on-write"):
            await asyncio.sleep(0.8)  # load in between
            await world.switch(approach, {"fame": 150} if approach == "hybrid" else {})
        await going_on
        await crowd.look_around(readers[::60] + actors)
        print(crowd.sources, crowd.failed)
        assert crowd.count("home", outcome=Outcome.FAILED) == 0, crowd.failed
        crowd.check()
        generations = await world.stores.truth.client.fetchval("SELECT count(*) FROM generations WHERE NOT retired")
        keys = await world.stores.cache.client("KEYS", "live:*")
        assert (generations, len(keys)) == (1, 1)  # what no longer serves was put away
        assert (await timeline.home(readers[0], Page())).source == "feed"
