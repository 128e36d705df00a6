"""What a home read is made of, by approach: counted in the ledger, and looked at in Redis itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from fathom.engines.ledger import charging, work
from fathom.systems.timeline.api import Page, UserId

from .world import SMALL, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def read_cost(timeline: Any, reader: UserId, page: Page = Page()) -> tuple[Any, dict[str, int]]:
    """Return a home and the work that it asked for."""
    before = dict(work.snapshot().get("one read", {}))
    with charging("one read"):
        home = await timeline.home(reader, page)
    after = work.snapshot().get("one read", {})
    return home, {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}


async def fed(world: World, timeline: Any, posts: int = 25) -> tuple[UserId, list[int]]:
    """Let one follow two who write in turns; return the reader, with a feed, and the posts, newest first."""
    ann, bob, cleo = await world.town(timeline, "ann", "bob", "cleo")
    for author in (bob, cleo):
        await timeline.follow(ann, author)
    await timeline.home(ann, Page())
    await timeline.settled()
    ids = [(await timeline.post((bob, cleo)[n % 2], f"post {n}")).id for n in range(posts)]
    await timeline.settled()
    await timeline.home(ann, Page(limit=40))  # whoever reads first has the copies made
    return ann, ids[::-1]


@pytest.mark.feature("TL-04", "TL-05", "SOCIAL-08")
async def test_a_pushed_home_is_one_sorted_set_and_a_read_of_it_asks_no_database(world: World) -> None:
    async with world.open("on-write") as timeline:
        ann, ids = await fed(world, timeline)
        home, cost = await read_cost(timeline, ann)
        assert [post.id for post in home.posts] == ids[:20]
        assert home.source == "feed"
        assert cost["commands"] == 2, "one for the ids, one for the posts"
        assert "statements" not in cost
        redis = world.stores.cache.client
        (key,) = [key for key in await redis("KEYS", "feed:*") if key.endswith(b":%d" % ann)]
        assert await redis("TYPE", key) == b"zset"
        newest = await redis("ZREVRANGEBYSCORE", key, "(inf", "-inf", "LIMIT", 0, 20)
        assert list(map(int, newest)) == ids[:20]


@pytest.mark.feature("SOCIAL-08")
async def test_a_home_that_redis_lost_is_made_again_by_reading_it(world: World) -> None:
    async with world.open("on-write") as timeline:
        ann, ids = await fed(world, timeline)
        redis = world.stores.cache.client
        await redis("FLUSHALL")
        first, _ = await read_cost(timeline, ann)
        await timeline.settled()
        second, _ = await read_cost(timeline, ann)
        assert [post.id for post in first.posts] == [post.id for post in second.posts] == ids[:20]
        assert (first.source, second.source) == ("pull", "feed")


@pytest.mark.feature("TL-06")
async def test_a_pulled_home_is_one_statement_and_leaves_no_feed(world: World) -> None:
    async with world.open("on-read") as timeline:
        ann, ids = await fed(world, timeline)
        home, cost = await read_cost(timeline, ann)
        assert [post.id for post in home.posts] == ids[:20]
        assert home.source == "pull"
        assert cost["statements"] == 1
        assert await world.stores.cache.client("KEYS", "feed:*") == []


@pytest.mark.feature("TL-07", "TL-08", "TL-09")
async def test_a_mixed_home_merges_what_was_pushed_with_what_the_famous_wrote(world: World) -> None:
    async with world.open("hybrid", SMALL["hybrid"]) as timeline:
        ann, star, friend, *fans = await world.town(timeline, "ann", "star", "friend", "fan1", "fan2")
        for fan in (ann, *fans):
            await timeline.follow(fan, star)
        await timeline.follow(ann, friend)
        await timeline.settled()
        generation = world.choices.fanout.generation
        assert await world.stores.generations.stars(generation) == {star: "star"}, "famous from three followers on"
        await timeline.home(ann, Page())
        await timeline.settled()
        ids = [(await timeline.post((star, friend)[n % 2], f"post {n}")).id for n in range(6)]
        await timeline.settled()
        home = await timeline.home(ann, Page())
        assert [post.id for post in home.posts] == ids[::-1]
        assert {post.name for post in home.posts} == {"star", "friend"}
        redis = world.stores.cache.client
        pushed = await redis("ZRANGEBYSCORE", world.stores.feeds.key(generation, ann), "-inf", "(inf")
        assert list(map(int, pushed)) == ids[1::2], "only the friend's were pushed"


@pytest.mark.feature("SOCIAL-09")
async def test_a_feed_keeps_its_newest_and_older_ones_are_read_from_the_truth(world: World) -> None:
    cap = SMALL["on-write"]["cap"]
    async with world.open("on-write", SMALL["on-write"]) as timeline:
        ann, ids = await fed(world, timeline, posts=40)
        key = world.stores.feeds.key(world.choices.fanout.generation, ann)
        kept = await world.stores.cache.client("ZCOUNT", key, "-inf", "(inf")
        assert cap <= kept < 40
        seen: list[int] = []
        page = Page(limit=7)
        while True:
            home = await timeline.home(ann, page)
            seen += [post.id for post in home.posts]
            if home.older is None:
                break
            page = Page(limit=7, max_id=home.older)
        assert seen == ids


@pytest.mark.feature("TL-16")
@pytest.mark.parametrize("approach", ["on-write", "on-read", "hybrid"])
async def test_who_follows_a_hundred_thousand_misses_nothing_and_reads_no_more_rows(
    world: World, approach: str
) -> None:
    followed, posts = 100_000, 1_000
    async with world.open(approach) as timeline:
        (ann,) = await world.town(timeline, "ann")
        authors = await world.stores.accounts.bulk([f"author{n}" for n in range(followed)])
        await world.stores.graph.bulk([(ann, author) for author in authors])
        now_ms = time.time_ns() // 1_000_000
        written = [(authors[n * 49 % followed], f"post {n}") for n in range(posts)]
        ids = await world.stores.posts.bulk(written, from_ms=now_ms - 3_600_000, until_ms=now_ms - 60_000)
        newest = sorted(ids, reverse=True)
        for _ in range(2):  # by the truth, and by the feed where there is one
            seen: list[int] = []
            page = Page(limit=40)
            while len(seen) < 200:
                home, cost = await read_cost(timeline, ann, page)
                seen += [post.id for post in home.posts]
                assert cost.get("rows", 0) <= 2 * page.limit
                page = Page(limit=40, max_id=home.older)
            assert seen == newest[:200]
            await timeline.settled()


@pytest.mark.feature("SOCIAL-13")
@pytest.mark.parametrize("approach", ["on-write", "on-read", "hybrid"])
async def test_a_post_reaches_its_followers_within_five_seconds(world: World, approach: str) -> None:
    async with world.open(approach) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(ann, bob)
        await timeline.home(ann, Page())
        post = await timeline.post(bob, "soon")
        async with asyncio.timeout(5):
            while post.id not in [each.id for each in (await timeline.home(ann, Page())).posts]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # a follower who looks again and again, as in life


@pytest.mark.feature("SOCIAL-12")
async def test_likes_are_counted_from_who_likes_and_every_view_of_the_count_agrees(world: World) -> None:
    async with world.open("on-write") as timeline:
        ann, bob, cleo = await world.town(timeline, "ann", "bob", "cleo")
        post = await timeline.post(ann, "like me")
        await asyncio.gather(*(timeline.like(user, post.id) for user in (ann, bob, cleo) for _ in range(5)))
        await timeline.unlike(bob, post.id)
        await timeline.settled()
        shown = (await timeline.home(ann, Page())).posts[0].likes
        assert shown == (await timeline.read(bob, post.id)).likes == len(await timeline.likers(bob, post.id)) == 2
        # Redis may lose its copies: they are not where the likes are.
        await world.stores.cache.client("FLUSHALL")
        assert (await timeline.home(ann, Page())).posts[0].likes == 2
