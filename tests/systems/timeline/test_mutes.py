"""A mute that was to last for a while ends by itself, whatever became of the answer, and who listens hears of it."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.engines.engine import EngineUnknown
from fathom.systems.timeline.api import Page
from fathom.systems.timeline.service.herald import Event
from fathom.systems.timeline.stores.posts import Draft

from .crowd import until
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def followed(world: World, timeline: Any) -> tuple[int, int]:
    """Have ann write, bob follow her, and the housekeeper find that no mute is to be lifted."""
    ann, bob = await world.town(timeline, "ann", "bob")
    await timeline.follow(bob, ann)
    await timeline.post(ann, "hello")
    await timeline._house._lift_mutes()
    return ann, bob


async def hears(timeline: Any, reader: int) -> bool:
    return [post.body for post in (await timeline.home(reader, Page())).posts] == ["hello"]


async def test_a_mute_whose_answer_was_lost_ends_when_it_was_to_end(world: World):
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await followed(world, timeline)
        mute = world.stores.graph.mute

        async def lost(*asked: Any) -> Any:
            await mute(*asked)
            raise EngineUnknown("the answer was lost", why="for the test", fix="look")

        world.stores.graph.mute = lost
        with pytest.raises(TimeoutError):
            await timeline.mute(bob, ann, 10)
        timeline._house._suspected = float("-inf")  # its row is not looked for
        world.clock.now_ms += 10_000
        assert timeline._house._mutes_end_ms <= world.clock()
        await timeline._house._lift_mutes()
        assert await world.stores.graph.next_mute_end() == float("inf")


async def test_a_mute_that_was_committed_behind_a_lost_answer_is_found_with_its_row(world: World):
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await followed(world, timeline)
        await world.stores.graph.mute(bob, ann, world.clock(), world.clock() + 10_000)  # and nobody knows
        world.clock.now_ms += 10_000
        await timeline._house._take_strays()
        await until(lambda: hears(timeline, bob))


async def test_who_listens_hears_again_of_somebody_whose_mute_is_over(world: World):
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await followed(world, timeline)
        herald = timeline.herald
        async with herald.listening(bob) as listener:
            assert await herald.concerns(listener, ann)
            await timeline.mute(bob, ann, 10)
            assert not await herald.concerns(listener, ann)
            world.clock.now_ms += 10_000
            await timeline._house._lift_mutes()
            assert await herald.concerns(listener, ann)


async def test_who_listens_hears_of_a_post_whose_answer_was_lost(world: World):
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await followed(world, timeline)
        async with timeline.herald.listening(bob) as listener:
            ids = timeline._choices.ids
            wrote = await world.stores.posts.write(
                ann, Draft("lost"), world.clock(), lambda above: ids.mint(world.clock(), above)
            )
            world.clock.now_ms += 10_000
            await timeline._house._take_strays()
            told = await listener.next(0.0)
            assert told is not None and told[0] == Event("post", wrote.post.id, ann)


@pytest.mark.parametrize("failure", [ValueError, EngineUnknown])
async def test_mutes_that_could_not_be_lifted_are_lifted_later(world: World, failure: type[Exception]):
    async with world.open(clock=world.clock) as timeline:
        ann, bob = await followed(world, timeline)
        await timeline.mute(bob, ann, 10)
        mutes_over = world.stores.graph.mutes_over

        async def broken(now_ms: int) -> Any:
            raise failure("for the test", why="", fix="") if failure is EngineUnknown else failure("for the test")

        world.stores.graph.mutes_over = broken
        world.clock.now_ms += 10_000
        with pytest.raises(failure):
            await timeline._house._lift_mutes()
        world.stores.graph.mutes_over = mutes_over
        await until(lambda: hears(timeline, bob))
