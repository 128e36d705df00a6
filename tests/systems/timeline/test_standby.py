"""What stands by for Redis begins, ends and fails at awkward moments, and never passes for more than it knows."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.engines.engine import EngineBusy
from fathom.engines.ledger import charging, work
from fathom.systems.timeline.api import Page
from fathom.systems.timeline.stores import standby as standby_room

from .crowd import until
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


def bodies(posts: Any) -> list[str]:
    return [post.body for post in posts]


class Held:
    """Lets a question to the truth be answered, and holds the answer back until it is let go."""

    def __init__(self, ask: Any) -> None:
        self.ask, self.answered, self.go_on = ask, asyncio.Event(), asyncio.Event()

    async def __call__(self, *args: Any) -> Any:
        answer = await self.ask(*args)
        self.answered.set()
        await self.go_on.wait()
        return answer


async def test_a_read_during_which_it_ends_is_passed_on_to_the_truth(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        await timeline.post(ann, "hello")
        standby = world.stores.standby
        standby.begin()
        await until(lambda: standby._ready)
        held = Held(world.stores.graph.few_followees)
        world.stores.graph.few_followees = held  # type: ignore[method-assign]
        reading = asyncio.create_task(standby.home(ann, Page()))
        await held.answered.wait()
        standby.end()
        held.go_on.set()
        assert await reading is None


async def test_whom_a_reader_followed_before_it_ended_is_not_kept_when_it_begins_again(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        await timeline.post(ann, "hello")
        standby, followees = world.stores.standby, world.stores.graph.few_followees
        standby.begin()
        await until(lambda: standby._ready)
        held = Held(followees)
        world.stores.graph.few_followees = held  # type: ignore[method-assign]
        reading = asyncio.create_task(standby.home(bob, Page()))
        await held.answered.wait()
        standby.end()
        await timeline.unfollow(bob, ann)  # it does not stand by, so it is not told
        standby.begin()
        await until(lambda: standby._ready)
        world.stores.graph.few_followees = followees  # type: ignore[method-assign]
        held.go_on.set()
        await reading
        assert await standby.home(bob, Page()) == []


async def test_a_post_that_was_read_before_it_ended_is_not_kept_when_it_begins_again(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        post = await timeline.post(ann, "hello")
        standby, true = world.stores.standby, world.stores.posts.true
        standby.begin()
        await until(lambda: standby._ready)
        held = Held(true)
        world.stores.posts.true = held  # type: ignore[method-assign]
        liking = asyncio.create_task(timeline.like(ann, post.id))
        await held.answered.wait()
        standby.end()
        world.stores.posts.true = true  # type: ignore[method-assign]
        await timeline.delete(ann, post.id)
        standby.begin()
        await until(lambda: standby._ready)
        held.go_on.set()
        await liking
        assert await standby.home(ann, Page()) == []


async def test_it_begins_again_after_the_newest_posts_could_not_be_read(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        standby, newest = world.stores.standby, world.stores.posts.newest

        async def fails(most: int) -> Any:
            raise EngineBusy("PostgreSQL has no room", why="all read at once", fix="try again")

        world.stores.posts.newest = fails  # type: ignore[method-assign]
        standby.begin()
        await until(lambda: not standby.on)
        world.stores.posts.newest = newest  # type: ignore[method-assign]
        world.stores.memory.shut("it is gone")
        await timeline.home(ann, Page())
        await until(lambda: standby._ready)


@pytest.mark.parametrize("early", [True, False], ids=["while it loads", "afterwards"])
async def test_an_old_post_that_is_liked_does_not_hide_what_lies_between(
    world: World, monkeypatch: pytest.MonkeyPatch, early: bool
):
    monkeypatch.setattr(standby_room, "NEWEST", 3)
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        posts = [await timeline.post(ann, f"post {n}") for n in range(6)]
        standby, held = world.stores.standby, Held(world.stores.posts.newest)
        world.stores.posts.newest = held  # type: ignore[method-assign]
        standby.begin()
        await held.answered.wait()
        if early:
            await timeline.like(ann, posts[0].id)
        held.go_on.set()
        await until(lambda: standby._ready)
        if not early:
            await timeline.like(ann, posts[0].id)
        assert bodies(await standby.home(ann, Page(limit=3))) == ["post 5", "post 4", "post 3"]
        assert await standby.home(ann, Page(limit=4)) is None


async def test_who_follows_too_many_is_left_to_the_truth_without_reading_them(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(standby_room, "FOLLOWEES_MAX", 2)
    async with world.open("on-write") as timeline:
        ann, *followed = await world.town(timeline, "ann", *(f"star{n}" for n in range(10)))
        for star in followed:
            await timeline.follow(ann, star)
        await timeline.follow(followed[1], ann)
        await timeline.follow(followed[1], followed[0])
        await timeline.post(followed[0], "hello")
        standby = world.stores.standby
        standby.begin()
        await until(lambda: standby._ready)
        assert bodies(await standby.home(followed[1], Page())) == ["hello"]
        before = work.snapshot().get("many", {}).get("rows", 0)
        with charging("many"):
            assert await standby.home(ann, Page()) is None
        assert work.snapshot()["many"]["rows"] - before == 1
