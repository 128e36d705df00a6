"""An author becomes famous, and is forgotten again: nobody's home loses or repeats a post meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.systems.timeline.api import Page
from fathom.systems.timeline.stores.memory import MemoryShut

from .crowd import Crowd
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def bodies(piece: Any) -> list[str]:
    return [post.body for post in piece.posts]


async def mode(world: World, author: int) -> str | None:
    return await world.stores.generations.mode(world.choices.fanout.generation, author)


@pytest.mark.feature("TL-08", "TL-09", "TL-15")
async def test_an_author_crosses_up_and_down_and_every_post_is_found_once(world: World):
    async with world.open("hybrid", {"fame": 5, "chunk": 2}) as timeline:
        star, other, *fans = await world.town(timeline, "star", "other", *(f"fan{n}" for n in range(8)))
        for fan in fans:
            await timeline.home(fan, Page())
            await timeline.follow(fan, other)
        told: list[str] = []

        async def writes(body: str) -> None:
            told.insert(0, body)
            await timeline.post(star if len(told) % 3 else other, body)

        async def agrees(who: list[int]) -> None:
            await timeline.settled()
            for fan in who:
                assert bodies(await timeline.home(fan, Page(limit=40))) == told, fan

        for n, fan in enumerate(fans):
            await timeline.follow(fan, star)
            await writes(f"rising {n}")
        await agrees(fans)
        assert await mode(world, star) == "star"
        feed = await world.stores.feeds.marks(world.stores.feeds.key(world.choices.fanout.generation, fans[0]))
        assert feed is not None and star in feed.stars
        for n in range(5):
            await writes(f"famous {n}")
        await agrees(fans)
        for n, fan in enumerate(fans[:6]):
            await timeline.unfollow(fan, star)
            await writes(f"falling {n}")
        await agrees(fans[6:])
        assert await mode(world, star) is None
        generation = world.choices.fanout.generation
        left_s = await world.stores.cache.client("TTL", f"author:{generation}:{star}")
        assert left_s != -1, "nobody looks there now, and what a post put there meanwhile goes by itself"
        for n in range(3):
            await writes(f"pushed again {n}")
        await agrees(fans[6:])


@pytest.mark.feature("TL-15", "TL-19")
async def test_crossing_up_and_down_all_the_time_under_load_breaks_no_law(world: World):
    async with world.open("hybrid", {"fame": 4, "chunk": 2, "cap": 12, "depth": 6}) as timeline:
        people = await world.town(timeline, *(f"user{n}" for n in range(9)))
        crowd = Crowd(timeline, people, people, seed=21)
        set_mode, crossed = world.stores.generations.set_mode, []

        async def counted(generation: int, author: int, mode: str | None) -> None:
            crossed.append(mode)
            await set_mode(generation, author, mode)

        world.stores.generations.set_mode = counted  # type: ignore[method-assign]
        rates = {
            "home": 60,
            "page": 30,
            "post": 40,
            "follow": 60,
            "unfollow": 45,
            "delete": 5,
            "block": 1,
            "unblock": 2,
        }
        await crowd.live(5.0, rates)
        await crowd.look_around(people)
        crowd.check()
        # Who blocks cannot follow; and a machine that is too busy may say so.
        assert all("follow" in failed or "try again" in failed for failed in crowd.failed), crowd.failed
        assert crossed.count("star") >= 3 and crossed.count(None) >= 3, crossed  # it was worth looking


async def test_a_process_that_dies_while_an_author_crosses_over_is_gone_on_with(world: World):
    knobs = {"fame": 4, "chunk": 1}
    async with world.open("hybrid", knobs) as timeline:
        star, *fans = await world.town(timeline, "star", *(f"fan{n}" for n in range(5)))
        for fan in fans:
            await timeline.home(fan, Page())
        await timeline.settled()
        for fan in fans[:3]:
            await timeline.follow(fan, star)
        mark_star, stuck = world.stores.feeds.mark_star, asyncio.Event()
        marked: list[int] = []

        async def mark_two(generation: int, readers: list[int], author: int) -> None:
            if len(marked) == 2:
                stuck.set()
                await asyncio.Event().wait()
            marked.extend(readers)
            await mark_star(generation, readers, author)

        world.stores.feeds.mark_star = mark_two  # type: ignore[method-assign]
        await timeline.follow(fans[3], star)
        await stuck.wait()
        await timeline.post(star, "in the middle of it")
        assert await mode(world, star) == "rising"
    async with world.open("hybrid", knobs) as timeline:
        await timeline.settled()
        assert await mode(world, star) == "star"
        await timeline.post(star, "afterwards")
        await timeline.settled()
        for fan in fans[:4]:
            assert bodies(await timeline.home(fan, Page())) == ["afterwards", "in the middle of it"]


@pytest.mark.parametrize("way", ["rises", "falls"])
@pytest.mark.parametrize("ends", ["unfollow", "block"])
async def test_who_stops_following_while_an_author_crosses_over_sees_nothing_of_theirs_again(
    world: World, way: str, ends: str
):
    async with world.open("hybrid", {"fame": 10}) as timeline:
        star, *fans = await world.town(timeline, "star", *(f"fan{n}" for n in range(10)))
        for fan in fans[:9]:
            await timeline.follow(fan, star)
        for fan in fans:
            await timeline.home(fan, Page())
        if way == "falls":
            await timeline.follow(fans[9], star)
            await timeline.settled()
            for fan in fans[7:9]:
                await timeline.unfollow(fan, star)
        await timeline.post(star, "hello")
        await timeline.settled()
        assert await mode(world, star) == ("star" if way == "falls" else None)
        live, stopped = world.stores.feeds.live, []
        gone = fans[0]

        async def stops(generation: int, readers: list[int]) -> list[int]:
            found = await live(generation, readers)
            if gone in found and not stopped:  # the crossing knows who follows; now one of them does not any more
                stopped.append(gone)
                await (timeline.unfollow(gone, star) if ends == "unfollow" else timeline.block(star, gone))
            return found

        world.stores.feeds.live = stops  # type: ignore[method-assign]
        await (timeline.unfollow(fans[9], star) if way == "falls" else timeline.follow(fans[9], star))
        await timeline.settled()
        assert stopped == [gone]
        there = await timeline.home(gone, Page())
        assert (there.source, bodies(there)) == ("feed", [])
        key = world.stores.feeds.key(world.choices.fanout.generation, gone)
        marks = await world.stores.feeds.marks(key)
        assert marks is not None and marks.stars == ()
        assert bodies(await timeline.home(fans[1], Page())) == ["hello"]


async def test_a_list_left_by_a_fall_that_was_cut_short_is_not_believed_when_the_author_rises_again(world: World):
    async with world.open("hybrid", {"fame": 3}) as timeline:
        star, *fans, new = await world.town(timeline, "star", "ann", "bob", "cat", "new")
        for fan in fans:
            await timeline.follow(fan, star)
        await timeline.settled()
        await timeline.post(star, "famous")
        await timeline.settled()
        generation, drop = world.choices.fanout.generation, world.stores.feeds.drop
        list_key = world.stores.feeds.author_key(generation, star)

        async def dies(key: bytes) -> None:
            if key == list_key:
                raise MemoryShut("this process dies just here")
            await drop(key)

        world.stores.feeds.drop = dies  # type: ignore[method-assign]
        await timeline.unfollow(fans[2], star)
        await timeline.settled()
        world.stores.feeds.drop = drop  # type: ignore[method-assign]
        assert await mode(world, star) is None
        await timeline.post(star, "forgotten")
        await timeline.settled()
        await timeline.follow(fans[2], star)
        await timeline.settled()
        assert await mode(world, star) == "star"
        await timeline.follow(new, star)
        await timeline.home(new, Page())
        await timeline.settled()
        there = await timeline.home(new, Page())
        assert (there.source, bodies(there)) == ("feed", ["forgotten", "famous"])
