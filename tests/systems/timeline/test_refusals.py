"""A refusal says that nothing was changed: nobody is told so when PostgreSQL is lost just after it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.history import Outcome
from fathom.systems.timeline.api import Page, PostId, UserId

from .crowd import Crowd, until
from .test_outages import bodies
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@asynccontextmanager
async def lost_after(world: World, store: Any, verb: str) -> AsyncIterator[None]:
    """Have PostgreSQL die as soon as a store has committed something, and be back when the block has ended."""
    does = getattr(store, verb)

    async def then_lost(*args: Any, **named: Any) -> Any:
        done = await does(*args, **named)
        await world.engines.truth.kill()
        await world.stores.seat.lost.wait()  # we have seen it
        return done

    setattr(store, verb, then_lost)
    try:
        yield
    finally:
        delattr(store, verb)
        await world.engines.truth.restart()


@pytest.mark.parametrize("blocker", ["author", "reader"])
@pytest.mark.parametrize("approach", ["on-write", "on-read"])
async def test_a_block_is_not_refused_once_it_is_committed(world: World, approach: str, blocker: str):
    async with world.open(approach) as timeline:
        author, reader = await world.town(timeline, "ann", "bob")
        one, other = (author, reader) if blocker == "author" else (reader, author)
        crowd = Crowd(timeline, [author, reader], [author, reader], seed=0)
        await crowd.as_(reader).follow(reader, author)
        for n in range(10):
            await crowd.as_(author).post(author, f"post {n}")
        await timeline.settled()
        assert len((await crowd.as_(reader).home(reader, Page())).posts) == 10
        async with lost_after(world, world.stores.graph, "block"):
            with suppress(Refusal):
                await crowd.as_(one).block(one, other)
        await until(lambda: world.stores.memory.open)
        await crowd.look_around([author, reader])
        crowd.check()
        assert crowd.count("block", outcome=Outcome.OK) == 1
        assert bodies(await timeline.home(reader, Page())) == []


async def boost(world: World, timeline: Any, user: UserId, post: PostId) -> Any:
    async with lost_after(world, world.stores.boosts, "boost"):
        await timeline.boost(user, post)


async def describe(world: World, timeline: Any, user: UserId, post: PostId) -> Any:
    async with lost_after(world, world.stores.accounts, "describe"):
        await timeline.describe(user, "Bob", None)


async def like(world: World, timeline: Any, user: UserId, post: PostId) -> Any:
    world.stores.likes.reading = "counted"  # as while another way of counting them takes over
    async with lost_after(world, world.stores.likes, "change"):
        await timeline.like(user, post)


async def redeem(world: World, timeline: Any, user: UserId, post: PostId) -> Any:
    there = "https://program.example/back"
    app = await timeline.register("program", [there], ["read"])
    code = await timeline.authorise(app.id, user, ["read"], there)
    async with lost_after(world, world.stores.grants, "take_code"):
        await timeline.redeem(app.id, app.secret, code, there)


@pytest.mark.parametrize("change", [boost, describe, like, redeem])
async def test_what_is_done_and_cannot_be_shown_is_not_refused(world: World, change: Any):
    async with world.open("on-read") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        post = await timeline.post(ann, "hello")
        with pytest.raises(TimeoutError):
            await change(world, timeline, bob, post.id)
