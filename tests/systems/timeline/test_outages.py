"""Redis, NATS and PostgreSQL are killed, wiped and paused, and nobody sees what they must not see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from fathom.design import Choice
from fathom.engines.redis import Redis
from fathom.errors import Refusal
from fathom.systems.timeline.api import Page

from .crowd import Crowd, until
from .world import SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@asynccontextmanager
async def without(engine: Any, *, wiped: bool = False) -> AsyncIterator[None]:
    """Have an engine dead for the length of a block."""
    await engine.kill()
    try:
        yield
    finally:
        await engine.restart(wiped=wiped)


def bodies(piece: Any) -> list[str]:
    return [post.body for post in piece.posts]


@pytest.mark.feature("TL-13")
@pytest.mark.parametrize("wiped", [False, True], ids=["returned", "wiped"])
@pytest.mark.parametrize("approach", ["on-write", "hybrid"])
async def test_what_happened_while_redis_was_gone_is_seen_when_it_is_back(world: World, approach: str, wiped: bool):
    async with world.open(approach) as timeline:
        ann, bob, cat = await world.town(timeline, "ann", "bob", "cat")
        for author in (ann, bob):
            await timeline.follow(cat, author)
        by_ann = await timeline.post(ann, "ann's first")
        by_bob = await timeline.post(bob, "bob's first")
        await timeline.settled()
        await timeline.home(cat, Page())
        await timeline.settled()
        assert (await timeline.home(cat, Page())).source == "feed"
        async with without(world.engines.cache, wiped=wiped):
            kept = await timeline.post(ann, "ann's second")
            own = await timeline.post(cat, "cat's own")
            await timeline.delete(ann, by_ann.id)
            await timeline.unfollow(cat, bob)
            await timeline.like(cat, kept.id)
            there = await timeline.home(cat, Page())
            assert (there.source, bodies(there)) == ("fallback", ["cat's own", "ann's second"])
            assert there.posts[1].likes == 1
        await until(lambda: world.stores.memory.open)
        first = await timeline.home(cat, Page())  # own posts, deletes and unfollows are there with the first read
        assert own.id in [post.id for post in first.posts]
        assert by_ann.id not in [post.id for post in first.posts]
        assert by_bob.id not in [post.id for post in first.posts]
        await timeline.settled()
        there = await timeline.home(cat, Page())
        assert (there.source, bodies(there)) == ("feed", ["cat's own", "ann's second"])
        assert there.posts[1].likes == 1


@pytest.mark.quiet
async def test_a_paused_redis_is_waited_for_once_and_not_by_everyone(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        await timeline.post(ann, "hello")
        await timeline.home(ann, Page())
        await timeline.settled()
        redis = world.engines.cache
        await redis.pause()
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            first = await timeline.home(ann, Page())
            assert loop.time() - began < 1.0  # 0.15 s and a read of the truth; the rest is the machine's noise
            assert (first.source, bodies(first)) == ("fallback", ["hello"])
            assert not world.stores.memory.readable
            await timeline.post(ann, "again")  # waits until it is clear that Redis does not hear of it
            assert not world.stores.memory.open
            await timeline.post(ann, "and again")  # nobody waits for it a second time
            assert bodies(await timeline.home(ann, Page())) == ["and again", "again", "hello"]
        finally:
            await redis.resume()
        await until(lambda: world.stores.memory.open)
        assert bodies(await timeline.home(ann, Page())) == ["and again", "again", "hello"]


async def test_a_redis_that_was_only_slow_is_believed_as_soon_as_it_answers(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        await timeline.post(ann, "hello")
        await timeline.home(ann, Page())
        await timeline.settled()
        openings = world.stores.memory.openings
        await world.engines.cache.pause()
        try:
            assert (await timeline.home(ann, Page())).source == "fallback"
        finally:
            await world.engines.cache.resume()
        await until(lambda: world.stores.memory.readable)
        assert (await timeline.home(ann, Page())).source == "feed"
        assert world.stores.memory.openings == openings  # nothing had to be mended


async def test_what_lay_in_the_socket_of_a_paused_redis_undoes_nothing(world: World):
    """An unfollow times out; Redis gets to it only after the follow that was acknowledged later."""
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        await timeline.post(ann, "hello")
        await timeline.settled()
        await timeline.home(bob, Page())
        await timeline.settled()
        redis = world.engines.cache
        await redis.pause()
        try:
            await timeline.unfollow(bob, ann)
            await timeline.follow(bob, ann)
        finally:
            await redis.resume()
        await until(lambda: world.stores.memory.open)
        await timeline.settled()
        there = await timeline.home(bob, Page())
        assert (there.source, bodies(there)) == ("feed", ["hello"])
        await timeline.unfollow(bob, ann)
        assert bodies(await timeline.home(bob, Page())) == []


async def test_a_queue_that_lost_everything_is_started_again_from_the_outbox(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        await timeline.home(bob, Page())
        await timeline.settled()
        async with without(world.engines.queue, wiped=True):
            await timeline.post(ann, "into the void")
        async with asyncio.timeout(20):
            await timeline.settled()
        there = await timeline.home(bob, Page())
        assert (there.source, bodies(there)) == ("feed", ["into the void"])


async def test_without_the_truth_nothing_is_acknowledged_and_afterwards_all_goes_on(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        before = await timeline.post(ann, "before")
        await timeline.settled()
        await timeline.home(bob, Page())
        await timeline.settled()
        async with without(world.engines.truth):
            with pytest.raises((Refusal, TimeoutError)):
                await timeline.post(ann, "nobody will see this")
            there = await timeline.home(bob, Page())  # feeds and copies are in Redis
            assert [post.id for post in there.posts] == [before.id]
        await timeline.post(ann, "after")
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["after", "before"]


@pytest.mark.feature("TL-13", "TL-14", "SOCIAL-22")
@pytest.mark.parametrize("approach", ["on-write", "hybrid", "on-read"])
async def test_every_law_holds_while_all_engines_come_and_go(world: World, approach: str):
    async with world.open(approach, SMALL[approach]) as timeline:
        people = await world.town(timeline, *(f"user{n}" for n in range(12)))
        crowd = Crowd(timeline, people, people, seed=11)
        rates = {
            "home": 120, "page": 30, "post": 30, "follow": 30, "unfollow": 12, "delete": 8, "like": 15, "unlike": 6,
            "block": 2, "unblock": 3,
        }  # fmt: skip
        going_on = asyncio.create_task(crowd.live(4.5, rates))
        engines = world.engines
        for engine, wiped in (
            (engines.cache, False),
            (engines.queue, False),
            (engines.cache, True),
            (engines.truth, False),
            (engines.queue, True),
        ):
            await asyncio.sleep(0.3)  # some of the load in between
            async with without(engine, wiped=wiped):
                await asyncio.sleep(0.2)
        await going_on
        await until(lambda: world.stores.memory.open)
        await crowd.look_around(people)
        crowd.check()
        assert crowd.sources["fallback"] > 0 or approach == "on-read", crowd.sources


async def test_a_redis_that_restarts_while_nobody_asks_is_not_believed_unless_it_keeps_all(world: World):
    async with (
        Redis.start(world.engines.keeper, name="forgetful", sync="no") as forgetful,
        (cache := Redis.at(forgetful.where)).connected() as redis,
    ):
        world.stores = replace(world.stores, cache=cache)
        async with world.open("on-write") as timeline:
            ann, bob, cat = await world.town(timeline, "ann", "bob", "cat")
            for author in (ann, cat):
                await timeline.follow(bob, author)
            deleted = await timeline.post(ann, "deleted")
            await timeline.post(cat, "unfollowed")
            await timeline.home(bob, Page())
            await timeline.settled()
            assert bodies(await timeline.home(bob, Page())) == ["unfollowed", "deleted"]
            await redis("CONFIG", "SET", "appendonly", "no")  # what comes now will not have been written when it dies
            await timeline.delete(ann, deleted.id)
            await timeline.unfollow(bob, cat)
            await timeline.settled()
            made, openings = redis.connections, world.stores.memory.openings
            await forgetful.restart()
            await until(lambda: redis.connections > made)
            assert bodies(await timeline.home(bob, Page())) == []
            await until(lambda: world.stores.memory.open and world.stores.memory.openings > openings)
            assert bodies(await timeline.home(bob, Page())) == []
            await timeline.settled()
            assert bodies(await timeline.home(bob, Page())) == []


@pytest.mark.parametrize("approach", ["hybrid", "on-read"])
async def test_homes_are_prepared_in_bulk_however_slow_redis_is(world: World, approach: str):
    people = await world.stores.accounts.bulk(["ann", "bob"])
    await world.stores.graph.bulk([(people[1], people[0])])
    await world.stores.posts.bulk([(people[0], "hello")], from_ms=1_790_000_000_000, until_ms=1_790_086_400_000)
    beside = world.system.decision("fanout").build(Choice(approach), world.stores)
    redis = world.engines.cache
    await redis.pause()
    warming = asyncio.create_task(beside.warm(people))
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4.5):  # longer than a request waits, and than a silent connection is kept
                await asyncio.shield(warming)
    finally:
        await redis.resume()
    await warming
    assert await world.stores.cache.client("KEYS", "post:*")
    async with world.open(approach) as timeline:
        there = await timeline.home(people[1], Page())
        assert (there.source, bodies(there)) == ("pull" if approach == "on-read" else "feed", ["hello"])
