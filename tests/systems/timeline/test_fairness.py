"""Whose followers are told first, and what becomes of a post for who follows more than anybody can read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.timeline.api import Page
from fathom.systems.timeline.stores.progress import Progress

from .bugs import one_post_at_a_time
from .bugs.crowded_are_told_nothing import POSTS, crowded
from .crowd import Crowd, until
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

LAW = "no_post_waits_for_the_rest_of_others"


def nothing_wrong(stores: Any, fanout: Any) -> None:
    """Put no bug anywhere."""


def reach_of(crowd: Crowd) -> Any:
    """Return what the last who asked was told of how far their post has come."""
    return next(call.answer for call in reversed(crowd.recorder.calls) if call.verb == "reach")


@pytest.mark.parametrize("approach", ["on-write", "lossy", "hybrid"])
async def test_an_ordinary_post_overtakes_the_rest_of_a_stars(world: World, approach: str):
    crowd = await one_post_at_a_time.story(world, nothing_wrong, approach)
    reach = reach_of(crowd)
    assert reach.told and reach.pieces == 1 and reach.behind <= 8
    crowd.check()


async def test_one_line_of_whole_posts_lets_an_ordinary_one_wait_and_is_caught(world: World):
    crowd = await one_post_at_a_time.story(world, nothing_wrong, "fifo")
    reach = reach_of(crowd)
    assert reach.told and reach.behind == 19, "all of the star's pieces but the first"
    assert {broken.law for broken in crowd.broken()} == {LAW}


async def test_only_its_author_is_told_how_far_a_post_has_come(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        post = await timeline.post(ann, "mine")
        await timeline.settled()
        assert (await timeline.reach(ann, post.id)).told
        with pytest.raises(Refusal) as refused:
            await timeline.reach(bob, post.id)
        assert refused.value.code == "forbidden"
        await timeline.block(ann, bob)
        with pytest.raises(Refusal) as refused:
            await timeline.reach(bob, post.id)
        assert refused.value.code == "not-found"


async def test_a_post_whose_followers_were_not_told_yet_says_so(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        await timeline.home(bob, Page())
        await timeline.settled()
        push, go_on = world.stores.feeds.push, asyncio.Event()

        async def waits(*asked: Any) -> Any:
            await go_on.wait()
            return await push(*asked)

        world.stores.feeds.push = waits  # type: ignore[method-assign]
        post = await timeline.post(ann, "on its way")
        assert not (await timeline.reach(ann, post.id)).told
        go_on.set()
        await until(lambda: told(timeline, ann, post.id))


async def told(timeline: Any, author: int, post: int) -> bool:
    return (await timeline.reach(author, post)).told


async def test_what_is_kept_of_late_posts_is_bounded():
    progress = Progress(kept_max=2)
    for post in range(4):
        progress.accepted(post)  # type: ignore[arg-type]
        progress.piece(post)  # type: ignore[arg-type]
    assert [progress.of(post).pieces for post in range(4)] == [0, 0, 1, 1]  # type: ignore[arg-type]
    assert progress.of(0).told  # type: ignore[arg-type]


# Who follows too many ------------------------------------------------------------------------------------------------


@pytest.mark.feature("TL-16")
async def test_who_follows_too_many_is_pushed_their_share_and_nobody_else_loses_anything(world: World):
    async with world.open("lossy", {"limit": 3}) as timeline:
        crowd = await crowded(world, timeline)
        many, few = crowd.readers
        await crowd.look_around([many, few])
        crowd.check()
        feeds, generation = world.stores.feeds, world.choices.fanout.generation
        pushed = [m for m in await world.stores.cache.client("ZRANGE", feeds.key(generation, many), 0, -1)]
        ids = [int(member) for member in pushed if member.isdigit()]
        assert POSTS * 0.25 - 45 < len(ids) - 1 < POSTS * 0.25 + 45, "three twelfths, give or take six deviations"
        assert len([1 for member in await world.stores.cache.client(
            "ZRANGE", feeds.key(generation, few), 0, -1) if member.isdigit()]) == POSTS // 6  # fmt: skip


async def test_a_delivery_that_is_repeated_tells_the_same_ones(world: World):
    async with world.open("lossy", {"limit": 3}) as timeline:
        crowd = await crowded(world, timeline)
        many, _ = crowd.readers
        await timeline.settled()
        before = await timeline.home(many, Page(limit=40))
        for author in crowd.actors:
            for post in (await timeline.posts(author, author, Page(limit=40))).posts:
                await world.choices.fanout.deliver(author, post.id, 0)
        assert await timeline.home(many, Page(limit=40)) == before


async def test_the_truth_has_all_that_a_sampled_feed_has_not(world: World):
    async with world.open("lossy", {"limit": 3}) as timeline:
        crowd = await crowded(world, timeline)
        many, _ = crowd.readers
        await timeline.settled()
        assert len((await timeline.home(many, Page(limit=40))).posts) == 40
        await world.switch("on-write")
        found: list[int] = []
        page = Page(limit=40)
        while True:
            piece = await timeline.home(many, page)
            found += [post.id for post in piece.posts]
            if piece.older is None:
                break
            page = Page(limit=40, max_id=piece.older)
        assert len(set(found)) == len(found) == POSTS + 1
        crowd.given = {**crowd.given, "sampled_above": 10**9}
        await crowd.look_around([many])
        crowd.check()
