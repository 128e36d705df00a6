"""What goes wrong for a while ends nothing for good: the service goes on when it is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.systems.timeline.api import Page
from fathom.systems.timeline.service import delivery

from .crowd import until
from .test_outages import bodies
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


async def test_a_post_whose_message_was_lost_is_delivered_although_the_line_is_never_empty(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(delivery, "LOOK_S", 0.05)
    going_on = asyncio.Event()

    def held(stores: Any, fanout: Any) -> None:
        deliver = fanout.deliver

        async def slow(author: int, post: int, after: int = 0) -> Any:
            if author == ann:
                await going_on.wait()
            return await deliver(author, post, after)

        object.__setattr__(fanout, "deliver", slow)

    ann = 0
    async with world.open("on-write", seed=held) as timeline:
        ann, bob, cat = await world.town(timeline, "ann", "bob", "cat")
        await timeline.follow(cat, bob)
        await timeline.home(cat, Page())
        await timeline.post(ann, "somebody else's, which takes its time")
        courier: Any = timeline._courier
        courier._put = lambda delivery, op: None  # its message is lost
        lost = await timeline.post(bob, "hello")
        del courier._put
        try:
            await until(lambda: lost.id not in {entry.what for entry in world.stores.outbox.pending.values()}, 20.0)
            assert await world.stores.deliveries.left() > 0  # the other is still in hands
            there = await timeline.home(cat, Page())
            assert (there.source, bodies(there)) == ("feed", ["hello"])
        finally:
            going_on.set()
        await timeline.settled()


FULL = """
    CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_ BEFORE DELETE ON outbox FOR EACH STATEMENT EXECUTE FUNCTION full_()
"""


async def test_an_outbox_whose_disk_was_full_for_a_while_is_emptied_afterwards(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        truth = world.stores.truth.client
        await truth.execute(FULL)
        await timeline.post(ann, "hello")
        await timeline.settled()
        await asyncio.sleep(0.6)  # it tries, and is refused
        assert await truth.fetchval("SELECT count(*) FROM outbox") == 1
        await truth.execute("DROP TRIGGER full_ ON outbox")
        async with asyncio.timeout(20):
            while await truth.fetchval("SELECT count(*) FROM outbox"):  # noqa: ASYNC110 (a table gives no sign)
                await asyncio.sleep(0.02)


async def test_a_second_look_that_failed_is_not_the_last(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        courier: Any = timeline._courier
        looks, left = [0], world.stores.deliveries.left

        async def once() -> int:
            looks[0] += 1
            if looks[0] == 1:
                raise ValueError("what nobody thought of")
            return await left()

        world.stores.deliveries.left = once  # pyright: ignore[reportAttributeAccessIssue]
        courier._put = lambda delivery, op: None  # its message is lost
        await timeline.post(ann, "hello")
        del courier._put
        async with asyncio.timeout(20):
            await timeline.settled()
        assert looks[0] > 1
