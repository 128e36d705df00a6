"""What an operation costs is known in closed form, to the last command, and Redis counts the same."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

import pytest

from fathom.engines.ledger import charging, work
from fathom.systems.timeline.api import Page

from .crowd import until
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

FANS, LIVE = 2_500, 1_700


async def star(world: World, fans: int, live: int, approach: Any = None) -> tuple[int, list[int]]:
    """Let an author have so many followers, the first of whom have feeds."""
    stores = world.stores
    author, *followers = await stores.accounts.bulk(["star", *(f"fan{n}" for n in range(fans))])
    await stores.graph.bulk([(fan, author) for fan in followers])
    await (approach or world.choices.fanout).warm([author, *followers[:live]])
    return author, followers


class Spent:
    """What was counted in a block: by us for an operation and in all, and by Redis."""

    def __init__(self) -> None:
        self.ours: dict[str, int] = {}
        self.all_commands = 0
        self.redis: dict[str, int] = {}


@asynccontextmanager
async def counted(world: World, op: str) -> Any:
    spent = Spent()
    cache = world.engines.cache
    await cache.counters()  # the first look costs something itself: the second shows what a look costs
    before, looked = await cache.counters(), work.snapshot()
    with charging(op):
        yield spent
    since, after = work.snapshot(), await cache.counters()
    spent.ours = {name: n - looked.get(op, {}).get(name, 0) for name, n in since.get(op, {}).items()}
    spent.all_commands = sum(
        counts.get("commands", 0) - looked.get(name, {}).get("commands", 0) for name, counts in since.items()
    )
    spent.redis = {
        name.removeprefix("cmd."): n - before.get(name, 0)
        for name, n in after.items()
        if name.startswith("cmd.") and n != before.get(name, 0)
    }


LOOK = {"auth", "client", "select", "ping", "info"}  # what a look at the counters costs


@pytest.mark.feature("TL-02", "TL-03", "TL-04")
async def test_a_pushed_post_costs_two_commands_one_for_each_active_fan_and_one_for_each_piece(world: World):
    async with world.open("on-write") as timeline:
        author, _ = await star(world, FANS, LIVE)
        await timeline.settled()
        posts = 3
        async with counted(world, "post") as spent:
            for n in range(posts):
                await timeline.post(author, f"post {n}")
            await timeline.settled()
        pieces = 3  # of a thousand
        assert spent.ours["commands"] == posts * (2 + LIVE + pieces)
        assert spent.ours["messages"] == posts * pieces
        assert spent.ours["statements"] == posts * (1 + pieces)
        assert spent.redis["zadd"] == posts * (1 + LIVE)
        assert spent.redis["zmscore"] == posts * pieces
        assert spent.redis["set"] == posts
        assert sum(n for name, n in spent.redis.items() if name not in LOOK) == spent.all_commands


@pytest.mark.feature("TL-07", "TL-08")
async def test_a_stars_post_costs_the_same_however_many_follow(world: World):
    async with world.open("hybrid", {"fame": 1_000}) as timeline:
        author, followers = await star(world, FANS, LIVE)
        await timeline.settled()
        async with counted(world, "post") as spent:
            await timeline.post(author, "hello all")
            await timeline.settled()
        assert (spent.ours["commands"], spent.ours["statements"], spent.ours["messages"]) == (4, 2, 1)
        assert sum(n for name, n in spent.redis.items() if name not in LOOK) == spent.all_commands
        for fan in (followers[0], followers[-1]):
            assert [post.body for post in (await timeline.home(fan, Page())).posts] == ["hello all"]


@pytest.mark.feature("TL-06")
async def test_a_pulled_post_costs_one_command_and_no_message(world: World):
    async with world.open("on-read") as timeline:
        author, followers = await star(world, 500, 0)
        async with counted(world, "post") as spent:
            await timeline.post(author, "hello all")
            await timeline.settled()
        assert (spent.ours["commands"], spent.ours["statements"]) == (1, 1)
        assert spent.ours.get("messages", 0) == 0
        assert [post.body for post in (await timeline.home(followers[0], Page())).posts] == ["hello all"]


@pytest.mark.feature("TL-05", "SOCIAL-10")
@pytest.mark.parametrize(
    ("approach", "commands", "statements"), [("on-write", 2, 0), ("hybrid", 3, 0), ("on-read", 1, 1)]
)
async def test_a_home_costs_a_lookup_or_a_pull(world: World, approach: str, commands: int, statements: int):
    knobs = {"fame": 40} if approach == "hybrid" else {}
    async with world.open(approach, knobs) as timeline:
        author, followers = await star(world, 50, 50)
        for n in range(30):
            await timeline.post(author, f"post {n}")
        await timeline.settled()
        for _ in range(2):  # the first reads find out who is there
            await timeline.home(followers[0], Page())
            await timeline.settled()
        async with counted(world, "home") as spent:
            for _ in range(10):
                assert len((await timeline.home(followers[0], Page())).posts) == 20
        assert spent.ours["commands"] == 10 * commands
        assert spent.ours.get("statements", 0) == 10 * statements


async def touched(world: World, approach: str, readers: list[int], timeline: Any) -> float:
    """Return how many rows PostgreSQL touches for a home."""
    for reader in readers:
        await timeline.home(reader, Page())
    await timeline.settled()
    await timeline._outbox.flush()
    first, before = await world.stores.truth.counters(), await world.stores.truth.counters()
    asking = before["tup_returned"] - first["tup_returned"]
    for reader in readers:
        assert len((await timeline.home(reader, Page())).posts) == 20
    after = await world.stores.truth.counters()
    return (after["tup_returned"] - before["tup_returned"] - asking) / len(readers)


async def test_pulling_touches_a_hundred_times_the_rows_of_pushing_at_500_follows(world: World):
    stores = world.stores
    people = await stores.accounts.bulk([f"user{n}" for n in range(520)])
    readers, authors = people[:20], people[20:]
    await stores.graph.bulk([(reader, author) for reader in readers for author in authors])
    await stores.posts.bulk(
        [(author, "old") for author in authors for _ in range(5)], from_ms=1_790_000_000_000, until_ms=1_790_086_400_000
    )
    rows: dict[str, float] = {}
    for approach in ("on-write", "on-read"):
        async with world.open(approach) as timeline:
            await world.choices.fanout.warm(readers)
            rows[approach] = await touched(world, approach, readers, timeline)
    print(rows)
    assert rows["on-read"] >= 500
    assert rows["on-read"] >= 100 * max(1.0, rows["on-write"])


async def test_a_slow_redis_costs_the_reader_who_notices_nothing_more(world: World):
    async with world.open("on-write") as timeline:
        _, followers = await star(world, 5, 5)
        for _ in range(2):
            await timeline.home(followers[0], Page())
            await timeline.settled()
        async with counted(world, "home") as spent:
            await world.engines.cache.pause()
            try:
                assert (await timeline.home(followers[0], Page())).source == "fallback"
            finally:
                await world.engines.cache.resume()
            await until(lambda: world.stores.memory.readable)
        assert spent.ours["commands"] == 1


@pytest.mark.feature("TL-02")
async def test_what_is_asked_for_while_redis_is_away_costs_the_same_afterwards(world: World):
    async with world.open("on-write") as timeline:
        author, followers = await star(world, 5, 5)
        old = await timeline.post(author, "old")
        await timeline.home(author, Page())
        await timeline.settled()
        spent: dict[str, list[dict[str, int]]] = {"post": [], "like": [], "unfollow": []}
        for away in (False, True):
            for op, counts in spent.items():
                before = work.snapshot().get(op, {})
                if away:
                    await world.engines.cache.kill()
                    await until(lambda: not world.stores.memory.open)
                with charging(op):
                    if op == "post":
                        await timeline.post(author, f"away: {away}")
                    elif op == "like":
                        await timeline.like(followers[away], old.id)
                    else:
                        await timeline.unfollow(followers[away], author)
                if away:
                    await world.engines.cache.restart()
                    await until(lambda: world.stores.memory.open)
                await timeline.settled()
                counts.append({name: n - before.get(name, 0) for name, n in work.snapshot()[op].items()})
        for op, (calm, away) in spent.items():
            del calm["bytes"], away["bytes"]
            fan_left = -1 if op == "post" else 0  # the first round's unfollow: one feed less is pushed to
            assert away["commands"] == calm["commands"] + fan_left, op
            assert away["statements"] == calm["statements"], op


async def test_a_change_costs_the_same_while_something_stands_by_for_redis(world: World):
    async with world.open("on-write") as timeline:
        author, followers = await star(world, 5, 5)
        post = await timeline.post(author, "hello")
        await timeline.settled()
        await timeline.like(followers[2], post.id)
        costs: list[dict[str, int]] = []
        for fan in followers[:2]:
            async with counted(world, "like") as spent:
                await timeline.like(fan, post.id)
            costs.append({name: n for name, n in spent.ours.items() if name != "bytes"})
            world.stores.standby.begin()
        assert costs[0] == costs[1]


async def test_what_a_script_does_within_redis_is_counted_by_us_as_well(world: World):
    async with world.open("on-write") as timeline:
        _, (one, other, *_) = await star(world, FANS, LIVE)
        await timeline.settled()
        feeds, generation = world.stores.feeds, world.choices.fanout.generation
        cache, live = world.stores.cache.client, feeds.live_key(generation)
        key = feeds.key(generation, other)
        async with counted(world, "work") as spent:
            await cache("ZADD", live, 1_000, one)  # last seen in 1970
            assert await feeds.put_to_sleep(generation) == 1
            await cache("ZREM", live, other)
            await cache("DEL", key)
            await cache("ZADD", key, 1, "1")  # a push into a feed that is not there
            await feeds.trim(key, 20)
            assert await cache("EXISTS", key) == 0
        assert spent.redis["eval"] == 2
        assert spent.all_commands == sum(n for name, n in spent.redis.items() if name not in LOOK)
