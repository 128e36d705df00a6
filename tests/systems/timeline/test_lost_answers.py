"""A call is made again because its answer was lost: what the first one changed takes effect with the second."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fathom.engines.engine import EngineDown
from fathom.systems.timeline.api import Manner, Page
from fathom.systems.timeline.service import mending
from fathom.systems.timeline.stores.posts import Draft

from .crowd import until
from .test_outages import without
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def numbered(timeline: Any) -> Any:
    """Return what numbers a post of this timeline that is written behind its back."""
    return lambda above: timeline._choices.ids.mint(timeline._clock(), above)


def bodies(piece: Any) -> list[str]:
    return [post.body for post in piece.posts]


@asynccontextmanager
async def followed(world: World, **more: Any) -> AsyncIterator[tuple[Any, Any, Any]]:
    """Open a service with an author and a follower who both have feeds."""
    async with world.open("on-write", **more) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        for reader in (ann, bob):
            await timeline.home(reader, Page())
        await timeline.settled()
        yield timeline, ann, bob


async def test_a_post_whose_answer_was_lost_is_delivered_when_its_key_is_used_again(world: World):
    async with followed(world) as (timeline, ann, bob):
        clock_ms = timeline._clock()
        await world.stores.posts.write(ann, Draft("hello"), clock_ms, numbered(timeline), "key")  # and nobody knows
        post = await timeline.post(ann, "hello", "key")
        assert bodies(await timeline.home(ann, Page())) == ["hello"]  # an author sees their own at once
        await timeline.settled()
        there = await timeline.home(bob, Page())
        assert (there.source, bodies(there)) == ("feed", ["hello"])
        assert (await timeline.post(ann, "hello", "key")).id == post.id
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["hello"]


async def test_a_key_that_is_used_again_does_not_bring_back_a_post_that_was_deleted_since(world: World):
    async with followed(world) as (timeline, ann, bob):
        post, *_ = await world.stores.posts.write(ann, Draft("hello"), timeline._clock(), numbered(timeline), "key")
        await timeline.delete(ann, post.id)
        await timeline.post(ann, "hello", "key")
        await timeline.settled()
        for reader in (ann, bob):
            assert bodies(await timeline.home(reader, Page())) == []


async def like(world: World, timeline: Any, bob: Any, post: Any) -> None:
    await world.stores.likes.change(bob, post.id, timeline._clock(), "row", take_back=False)


async def delete(world: World, timeline: Any, bob: Any, post: Any) -> None:
    await world.stores.posts.delete(post.author, post.id, timeline._clock())


async def unfollow(world: World, timeline: Any, bob: Any, post: Any) -> None:
    await world.stores.graph.unfollow(bob, post.author, timeline._clock())


async def block(world: World, timeline: Any, bob: Any, post: Any) -> None:
    await world.stores.graph.block(post.author, bob, timeline._clock())


@pytest.mark.parametrize("outage", [False, True], ids=["calm", "outage"])
@pytest.mark.parametrize("lost", [like, delete, unfollow, block])
async def test_a_change_whose_answer_was_lost_is_seen_when_it_is_asked_for_again(
    world: World, lost: Callable[..., Awaitable[None]], outage: bool
):
    async with followed(world) as (timeline, ann, bob):
        post = await timeline.post(ann, "hello")
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["hello"]
        await lost(world, timeline, bob, post)

        async def again() -> None:
            if lost is like:
                assert await timeline.like(bob, post.id) == 1
            elif lost is delete:
                await timeline.delete(ann, post.id)
            elif lost is block:
                await timeline.block(ann, bob)
            else:
                await timeline.unfollow(bob, ann)

        if outage:
            async with without(world.engines.cache):
                await timeline.home(bob, Page())
                await again()
            await until(lambda: world.stores.memory.open)
        else:
            await again()
        there = (await timeline.home(bob, Page())).posts
        assert [each.likes for each in there] == ([1] if lost is like else [])


@pytest.mark.parametrize("what", ["an answer", "a boost"])
async def test_what_was_deleted_behind_a_lost_answer_is_no_longer_counted_when_it_is_deleted_again(
    world: World, what: str
):
    async with followed(world) as (timeline, ann, bob):
        post = await timeline.post(ann, "hello")
        if what == "a boost":
            other = await timeline.boost(bob, post.id)
        else:
            other = await timeline.post(bob, "an answer", None, Manner(reply_to=post.id))
        await timeline.settled()
        (there,) = [it for it in (await timeline.home(ann, Page())).posts if it.id == post.id]
        assert there.boosts + there.replies == 1
        if what == "a boost":
            await world.stores.boosts.unboost(bob, post.id, timeline._clock())  # and nobody knows
        else:
            await world.stores.posts.delete(bob, other.id, timeline._clock())
        await timeline.delete(bob, other.id)
        (there,) = [it for it in (await timeline.home(ann, Page())).posts if it.id == post.id]
        assert there.boosts + there.replies == 0


async def test_what_a_process_left_is_shown_before_redis_is_read_also_when_the_clock_steps_back(world: World):
    ahead_ms = time.time_ns() // 1_000_000 + 3_600_000
    async with followed(world, clock=lambda: ahead_ms) as (timeline, ann, bob):
        post = await timeline.post(ann, "deleted")
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["deleted"]
        await delete(world, timeline, bob, post)  # … and the process dies
    async with world.open("on-write") as timeline:
        assert bodies(await timeline.home(bob, Page())) == []


async def test_all_that_a_process_left_is_known_before_redis_is_read_however_much_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async with followed(world) as (timeline, ann, bob):
        post = await timeline.post(ann, "deleted")
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["deleted"]
        await world.stores.truth.client.execute(
            "INSERT INTO outbox (kind, who, what, at_ms) SELECT 'tally', $1, n, 0 FROM generate_series(1, 10001) n", bob
        )
        await delete(world, timeline, bob, post)
    monkeypatch.setattr(mending, "UNSHOWN_MAX", 1_000)
    async with world.open("on-write") as timeline:
        assert bodies(await timeline.home(bob, Page())) == []
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == []


async def test_a_stray_row_is_taken_up_also_when_the_clock_has_stepped_back(world: World):
    async with followed(world) as (timeline, ann, bob):
        ahead_ms = timeline._clock() + 3_600_000
        await world.stores.posts.write(ann, Draft("hello"), ahead_ms, numbered(timeline))
        await timeline._house._take_strays()
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["hello"]


async def test_all_strays_are_taken_up_though_the_truth_fails_when_the_first_is_to_be_told(world: World):
    async with followed(world) as (timeline, ann, bob):
        house, ahead_ms = timeline._house, timeline._clock() + 3_600_000
        for body in ("first", "second"):
            await world.stores.posts.write(ann, Draft(body), ahead_ms, numbered(timeline))
        await world.stores.graph.mute(ann, bob, ahead_ms, ahead_ms + 10_000)

        async def down(entry: Any) -> None:
            assert set(world.stores.outbox.undelivered()) <= house._courier._left.keys()
            assert house._mutes_end_ms == 0
            raise EngineDown("gone", why="for the test", fix="look")

        house._tell, house._mutes_end_ms = down, float("inf")
        with pytest.raises(EngineDown):
            await house._take_strays()
        await timeline.settled()
        assert bodies(await timeline.home(bob, Page())) == ["second", "first"]
