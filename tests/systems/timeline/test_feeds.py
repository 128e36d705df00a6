"""Feeds know where they end: trimmed, evicted, forgotten and stampeded, they never pass for more than they are."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from fathom.systems.timeline.api import Page

from .crowd import until
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def bodies(piece: Any) -> list[str]:
    return [post.body for post in piece.posts]


async def pair(world: World, timeline: Any) -> tuple[int, int, bytes]:
    """Return an author, a reader with a feed, and the key of that."""
    ann, bob = await world.town(timeline, "ann", "bob")
    await timeline.follow(bob, ann)
    await timeline.home(bob, Page())
    await timeline.settled()
    return ann, bob, world.stores.feeds.key(world.choices.fanout.generation, bob)


@pytest.mark.feature("SOCIAL-09")
async def test_a_feed_is_trimmed_and_the_truth_has_the_rest(world: World):
    async with world.open("on-write", {"cap": 20}) as timeline:
        ann, bob, key = await pair(world, timeline)
        for n in range(60):
            await timeline.post(ann, f"post {n}")
        await timeline.settled()
        size = await world.stores.cache.client("ZCARD", key)
        assert size <= 20 + 5 + 2  # the cap, the slack, and its marks
        seen: list[str] = []
        page = Page(limit=7)
        while True:
            there = await timeline.home(bob, page)
            seen += bodies(there)
            if there.older is None:
                break
            page = Page(limit=7, max_id=there.older)
        assert seen == [f"post {n}" for n in reversed(range(60))]


@pytest.mark.feature("SOCIAL-08")
async def test_a_thousand_reads_of_one_lost_feed_make_it_once(world: World):
    async with world.open("on-write") as timeline:
        ann, bob, key = await pair(world, timeline)
        await timeline.post(ann, "hello")
        await timeline.settled()
        await world.stores.cache.client("DEL", key)
        snapshot, made = world.stores.graph.snapshot, []

        async def counted(*args: Any) -> Any:
            made.append(args)
            return await snapshot(*args)

        world.stores.graph.snapshot = counted  # type: ignore[method-assign]
        found = await asyncio.gather(*(timeline.home(bob, Page()) for _ in range(1_000)))
        await timeline.settled()
        assert {tuple(bodies(each)) for each in found} == {("hello",)}
        assert len(made) == 1
        assert (await timeline.home(bob, Page())).source == "feed"


async def test_an_empty_feed_is_made_once_too(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        assert (await timeline.home(ann, Page())).source == "pull"
        await timeline.settled()
        for _ in range(3):
            assert (await timeline.home(ann, Page())).source == "feed"


async def test_a_post_pushed_while_a_feed_is_made_is_in_it(world: World):
    async with world.open("on-write") as timeline:
        ann, bob, key = await pair(world, timeline)
        await timeline.post(ann, "before")
        await timeline.settled()
        await world.stores.cache.client("DEL", key)
        make, waits, go_on = world.stores.feeds.make, asyncio.Event(), asyncio.Event()

        async def make_later(*args: Any, **more: Any) -> None:
            waits.set()
            await go_on.wait()
            await make(*args, **more)

        world.stores.feeds.make = make_later  # type: ignore[method-assign]
        await timeline.home(bob, Page())
        await waits.wait()  # the truth was read, the feed is not yet written
        post = await timeline.post(ann, "meanwhile")
        await until(lambda: world.stores.cache.client("ZSCORE", key, post.id))  # it is delivered
        go_on.set()
        await timeline.settled()
        there = await timeline.home(bob, Page())
        assert (there.source, bodies(there)) == ("feed", ["meanwhile", "before"])


async def test_an_edge_that_changes_while_a_feed_is_made_counts(world: World):
    async with world.open("on-write") as timeline:
        ann, bob, key = await pair(world, timeline)
        (cat,) = await world.town(timeline, "cat")
        await timeline.post(ann, "by ann")
        await timeline.post(cat, "by cat")
        await timeline.settled()
        await world.stores.cache.client("DEL", key)
        make, changes = world.stores.feeds.make, []

        async def make_late(*args: Any, **more: Any) -> None:
            if not changes:  # behind the service's back, as another process would
                changes.append(1)
                await world.stores.graph.unfollow(bob, ann, 0)
                await world.stores.graph.follow(bob, cat, 0)
            await make(*args, **more)

        world.stores.feeds.make = make_late  # type: ignore[method-assign]
        await timeline.home(bob, Page())
        await timeline.settled()
        there = await timeline.home(bob, Page())
        assert (there.source, bodies(there)) == ("feed", ["by cat"])


async def test_readers_who_stay_away_lose_their_feed_and_get_it_back(world: World):
    async with world.open("on-write") as timeline:
        ann, bob, key = await pair(world, timeline)
        generation = world.choices.fanout.generation
        live = world.stores.feeds.live_key(generation)
        await world.stores.cache.client("ZADD", live, 1_000, bob)  # last seen in 1970
        await timeline.post(ann, "hello")
        await timeline.settled()
        assert await world.stores.feeds.put_to_sleep(generation) == 1
        assert await world.stores.cache.client("EXISTS", key) == 0
        await timeline.post(ann, "nobody is pushed to")
        await timeline.settled()
        assert await world.stores.cache.client("EXISTS", key) == 0
        assert bodies(await timeline.home(bob, Page())) == ["nobody is pushed to", "hello"]
        await timeline.settled()
        assert (await timeline.home(bob, Page())).source == "feed"


async def test_whoever_hides_very_many_gets_a_new_feed(world: World):
    async with world.open("on-write") as timeline:
        (bob,) = await world.town(timeline, "bob")
        authors = await world.stores.accounts.bulk([f"author{n}" for n in range(80)])
        await world.stores.graph.bulk([(bob, author) for author in authors])
        for author in authors[::10]:
            await timeline.post(author, f"by {author}")
        await timeline.home(bob, Page())
        await timeline.settled()
        for author in authors[:70]:
            await timeline.unfollow(bob, author)
        there = await timeline.home(bob, Page())
        assert bodies(there) == [f"by {authors[70]}"]


@pytest.mark.feature("TL-14")
async def test_an_ordinary_post_overtakes_a_stars(world: World):
    """Fairness, by count and not by time: while a star's post has pieces left, an ordinary one is delivered whole."""
    async with world.open("on-write", {"chunk": 10}) as timeline:
        star, ann, bob = await world.stores.accounts.bulk(["star", "ann", "bob"])
        fans = await world.stores.accounts.bulk([f"fan{n}" for n in range(400)])
        await world.stores.graph.bulk([*((fan, star) for fan in fans), (bob, ann)])
        await world.choices.fanout.warm([star, ann, bob, *fans])
        push, pieces, at_ordinary = world.stores.feeds.push, [], []

        async def counted(generation: int, readers: list[int], post: int, trim_at: int) -> Any:
            if readers == [bob]:
                at_ordinary.append(len(pieces))
            else:
                pieces.append(post)
            return await push(generation, readers, post, trim_at)

        world.stores.feeds.push = counted  # type: ignore[method-assign]
        for n in range(3):
            await timeline.post(star, f"to all {n}")
        await timeline.post(ann, "to bob")
        await timeline.settled()
        assert len(pieces) == 3 * 40
        assert at_ordinary[0] < 60, at_ordinary
        assert bodies(await timeline.home(bob, Page())) == ["to bob"]


@pytest.mark.feature("TL-16")
async def test_following_five_thousand_is_served_like_following_one(world: World):
    async with world.open("hybrid") as timeline:
        (bob,) = await world.town(timeline, "bob")
        authors = await world.stores.accounts.bulk([f"author{n}" for n in range(5_000)])
        await world.stores.graph.bulk([(bob, author) for author in authors])
        last = [await timeline.post(author, f"by {author}") for author in authors[::200]]
        await timeline.home(bob, Page())
        await timeline.settled()
        there = await timeline.home(bob, Page(limit=40))
        assert there.source == "feed"
        assert [post.id for post in there.posts] == [post.id for post in reversed(last)]


@pytest.mark.parametrize("strange", [b"00000000|{}", b"", b"null"])
async def test_a_copy_in_another_form_is_no_copy(world: World, strange: bytes):
    async with world.open("on-write") as timeline:
        ann, bob, _ = await pair(world, timeline)
        for n in range(3):
            await timeline.post(ann, f"post {n}")
        await timeline.settled()
        redis = world.stores.cache.client
        keys = sorted(await redis("KEYS", "post:*"))
        assert len(keys) == 3
        await redis("SET", keys[1], strange)
        there = await timeline.home(bob, Page())
        assert (there.source, bodies(there)) == ("feed", ["post 2", "post 1", "post 0"])


async def test_copies_of_an_older_fathom_are_not_found(world: World):
    async with world.open("on-write") as timeline:
        ann, _, _ = await pair(world, timeline)
        await timeline.post(ann, "hello")
        await timeline.settled()
        redis = world.stores.cache.client
        (key,) = await redis("KEYS", "post:*")
        assert key.split(b":")[1] == b"3"  # raise it with every change of what a copy is
        assert json.loads(await redis("GET", key)).keys() == {"v", "id", "author", "name", "body", "at_ms"}
