"""Going down everybody's posts while they move down: one way of beginning the next page is right, two are caught."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.blocks.places import Place
from fathom.errors import Refusal
from fathom.systems.timeline.api import Manner

from .crowd import Crowd
from .world import PAGINGS, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

LAW = "a_walk_meets_once_what_was_there"


async def crowded(world: World, timeline: Any, posts: int, *, each_ms: int = 1) -> Crowd:
    """Return a crowd on a timeline that has so many posts; several share a millisecond where it is `each_ms` apart."""
    ann, bob = await world.town(timeline, "ann", "bob")
    crowd = Crowd(timeline, [bob], [ann], seed=0)
    for n in range(posts):
        world.clock.now_ms += n % each_ms == 0
        await crowd.as_(ann).post(ann, f"post {n}")
    return crowd


async def goes_down(crowd: Crowd, limit: int, *, writes: bool) -> list[int]:
    """Have bob go down page by page, and ann write between two pages; return what he meets."""
    (ann,), (bob,) = crowd.actors, crowd.readers
    met: list[int] = []
    cursor: str | None = None
    while True:
        piece = await crowd.as_(bob).latest(bob, cursor, limit)
        met += [post.id for post in piece.posts]
        if (cursor := piece.next) is None:
            return met
        if writes:
            await crowd.as_(ann).post(ann, "meanwhile")


def opened(world: World, paging: str) -> Any:
    return world.open("on-read", paging=paging, clock=world.clock, mint=world.clock.mint())


async def test_a_walk_is_exact_while_somebody_writes_and_many_posts_share_a_millisecond(world: World):
    async with opened(world, "keyset") as timeline:
        crowd = await crowded(world, timeline, 30, each_ms=7)
        there = [post.id for post in (await timeline.latest(1, None, 40)).posts]
        assert await goes_down(crowd, 4, writes=True) == there
        crowd.check()


@pytest.mark.feature("SOCIAL-07")
async def test_the_offset_repeats_one_post_for_each_that_is_written(world: World):
    async with opened(world, "offset") as timeline:
        crowd = await crowded(world, timeline, 12)
        met = await goes_down(crowd, 4, writes=True)
        broken = [it for it in crowd.broken() if it.law == LAW]
        assert len(met) - len(set(met)) == len(broken) == 3, "three were written while it went down"


async def test_the_offset_passes_over_one_post_for_each_that_is_deleted(world: World):
    async with opened(world, "offset") as timeline:
        crowd = await crowded(world, timeline, 12)
        (ann,), (bob,) = crowd.actors, crowd.readers
        first = await crowd.as_(bob).latest(bob, None, 4)
        await crowd.as_(ann).delete(ann, first.posts[0].id)
        await crowd.as_(bob).latest(bob, first.next, 4)
        (broken,) = crowd.broken()
        assert broken.law == LAW and "passes over" in broken.says


async def test_the_time_cursor_loses_what_shares_a_millisecond_at_a_pages_edge(world: World):
    async with opened(world, "time-cursor") as timeline:
        crowd = await crowded(world, timeline, 20, each_ms=5)
        met = await goes_down(crowd, 4, writes=False)
        broken = [it for it in crowd.broken() if it.law == LAW]
        assert len(set(met)) == 16 and len(broken) == 4, "of five in a millisecond four fit the page"


async def test_a_walk_goes_on_when_another_way_takes_over(world: World):
    async with opened(world, "offset") as timeline:
        crowd = await crowded(world, timeline, 20)
        (bob,) = crowd.readers
        met: list[int] = []
        cursor: str | None = None
        for paging in ("keyset", "time-cursor", "offset", "keyset"):
            piece = await crowd.as_(bob).latest(bob, cursor, 5)
            met, cursor = met + [post.id for post in piece.posts], piece.next
            await world.switch(paging, decision="paging")
        assert len(set(met)) == 20
        crowd.check()


@pytest.mark.parametrize("paging", PAGINGS)
async def test_neither_sees_the_other_once_they_are_parted(world: World, paging: str):
    async with opened(world, paging) as timeline:
        crowd = await crowded(world, timeline, 3)
        (ann,), (bob,) = crowd.actors, crowd.readers
        await timeline.post(bob, "mine")
        await crowd.as_(ann).block(ann, bob)
        mine = await crowd.as_(bob).latest(bob)
        assert [post.body for post in mine.posts] == ["mine"]
        assert [post.author for post in (await timeline.latest(ann)).posts] == [ann] * 3
        crowd.check()


@pytest.mark.parametrize("word", ["", "page 2", "A" * 28, Place(2**53, 1, 1).word(), Place(1, 1, 1).word()[:-1] + "!"])
async def test_a_word_that_is_no_cursor_is_refused(world: World, word: str):
    async with opened(world, "keyset") as timeline:
        with pytest.raises(Refusal, match="no cursor") as refused:
            await timeline.latest(1, word)
        assert refused.value.code == "invalid"


@pytest.mark.parametrize("paging", PAGINGS)
async def test_a_cursor_that_somebody_made_up_shows_nothing_that_is_not_there_for_all(world: World, paging: str):
    async with opened(world, paging) as timeline:
        await crowded(world, timeline, 3)
        for place in (Place(0, 0, 2**32 - 1), Place(2**53 - 1, 2**53 - 1, 0)):
            piece = await timeline.latest(2, place.word(), 2)
            assert len(piece.posts) in (0, 2)


async def test_everybodys_posts_are_without_boosts_and_the_unlisted_and_a_mute_hides_nothing_there(world: World):
    async with opened(world, "keyset") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        world.clock.now_ms += 1
        post = await timeline.post(ann, "for everybody")
        world.clock.now_ms += 1
        await timeline.post(ann, "for who follows", None, Manner(listed=False))
        await timeline.boost(bob, post.id)
        await timeline.mute(bob, ann)
        world.clock.now_ms += 1

        async def lists() -> list[list[int]]:
            found = (
                (await timeline.latest(bob)).posts,
                await timeline.newer(bob, 0),
                (await timeline.trending(bob)).posts,
            )
            return [[post.id for post in posts] for posts in found]

        assert await lists() == [[post.id]] * 3
        await timeline.block(bob, ann)
        assert await lists() == [[]] * 3
