"""Who walks up everybody's posts misses none while they are numbered by a clock, and some when they are not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.blocks.ids import Ids
from fathom.engines.engine import EngineUnknown
from fathom.errors import Refusal
from fathom.systems.timeline.decisions import ids as numbering

from .bugs import shown_before_those_below
from .crowd import Crowd, until
from .world import NUMBERINGS, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

LAW = "who_walks_up_passes_over_nothing"


class Held:
    """Holds up one author's posts between their number and their commit."""

    def __init__(self, world: World, author: int) -> None:
        self.numbered, self.go_on = asyncio.Event(), asyncio.Event()
        self._write, self._author = world.stores.posts.write, author
        world.stores.posts.write = self.write  # type: ignore[method-assign]

    async def write(self, author: Any, body: str, now_ms: int, number: Any, key: Any) -> Any:
        async def and_waits(above: int) -> int:
            taken = await number(above)
            if author == self._author:
                self.numbered.set()
                await self.go_on.wait()
            return taken

        return await self._write(author, body, now_ms, and_waits, key)


def bodies(posts: list[Any]) -> list[str]:
    return [post.body for post in posts]


async def test_a_post_is_shown_to_who_walks_up_only_when_none_can_come_in_below(world: World):
    async with world.open("on-read") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        held = Held(world, ann)
        slow = asyncio.create_task(timeline.post(ann, "numbered first"))
        await held.numbered.wait()
        await timeline.post(bob, "committed first")
        assert bodies((await timeline.latest(bob)).posts) == ["committed first"], "it is there, for all who look down"
        assert await timeline.newer(bob, 0) == []
        held.go_on.set()
        await slow
        assert bodies(await timeline.newer(bob, 0)) == ["numbered first", "committed first"]


@pytest.mark.parametrize("how", ["refused", "gave up", "nobody knows"])
async def test_a_write_that_failed_holds_nobody_back_for_good(world: World, how: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(numbering, "STRAY_S", 1.0)
    async with world.open("on-read") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        write = world.stores.posts.write

        async def fails(author: Any, body: str, now_ms: int, number: Any, key: Any) -> Any:
            if author == bob:
                return await write(author, body, now_ms, number, key)
            await number(0)
            raise (
                Refusal("conflict", "no")
                if how == "refused"
                else asyncio.CancelledError
                if how == "gave up"
                else (EngineUnknown("lost", why="the answer", fix="look"))
            )

        world.stores.posts.write = fails  # type: ignore[method-assign]
        with pytest.raises((Refusal, asyncio.CancelledError, TimeoutError)):
            await timeline.post(ann, "never")
        await timeline.post(bob, "after it")
        if how != "refused":
            assert await timeline.newer(bob, 0) == [], "it may still be committed"
            await until(lambda: timeline.newer(bob, 0))
        assert bodies(await timeline.newer(bob, 0)) == ["after it"]


@pytest.mark.parametrize("ids", ["sequence", "time-random"])
async def test_numbers_that_are_known_to_lose_posts_are_caught(world: World, ids: str):
    if ids == "sequence":
        opened, world.open = world.open, None  # type: ignore[assignment]

        def with_it(*asked: Any, **more: Any) -> Any:
            return opened(*asked, ids=ids, **more)

        world.open = with_it  # type: ignore[method-assign]
        crowd = await shown_before_those_below.story(world, lambda stores, fanout: None)
    else:
        async with world.open("on-read", ids=ids, clock=world.clock) as timeline:
            ann, bob = await world.town(timeline, "ann", "bob")
            crowd = Crowd(timeline, [bob], [ann], seed=0)
            stands = 0
            for step_ms in (10, 10, -5_000, 10, 6_000):
                world.clock.now_ms += step_ms
                await crowd.as_(ann if step_ms > 0 else bob).post(ann if step_ms > 0 else bob, f"{step_ms}")
                world.clock.now_ms += 1
                for post in await crowd.as_(bob).newer(bob, stands):
                    stands = post.id
    assert {broken.law for broken in crowd.broken()} == {LAW}


@pytest.mark.parametrize("ids", NUMBERINGS)
async def test_another_takes_over_the_numbering_and_numbers_above_all_that_there_are(world: World, ids: str):
    async with world.open("on-read", ids=ids) as timeline:
        ann, *others = await world.town(timeline, "ann", *(f"user{n}" for n in range(7)))
        written: list[int] = []
        for who, other in zip(others, (*NUMBERINGS, *NUMBERINGS[::-1], ids), strict=True):
            written.append((await timeline.post(who, f"before {other}")).id)
            await world.switch(other, decision="ids")
        assert written == sorted(set(written)) and written[-1] < 2**53
        assert [post.id for post in (await timeline.newer(ann, 0))][: len(written) - 1] == written[:-1]


async def test_a_clock_that_steps_back_while_nobody_serves_does_not_number_below(world: World):
    async with world.open("on-read", clock=world.clock) as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        high = await timeline.post(ann, "high")
    world.clock.now_ms -= 5_000
    async with world.open("on-read", clock=world.clock) as timeline:
        assert (await timeline.post(bob, "higher")).id > high.id
        assert bodies(await timeline.newer(ann, high.id)) == ["higher"]


async def test_two_posts_never_share_a_number_though_few_can_be_drawn(world: World):
    async with world.open("on-read", ids="time-random", clock=world.clock) as timeline:
        people = await world.town(timeline, *(f"user{n}" for n in range(20)))
        world.choices.ids.dice.getrandbits = lambda bits: 7
        posts = [await timeline.post(user, "at the same time, with the same dice") for user in people]
        assert len({post.id for post in posts}) == 20
        assert max(posts, key=lambda post: post.id).id < Ids.first_of(world.clock.now_ms + 21)
