"""What goes wrong for a while ends nothing for good: the service goes on when it is over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.errors import FathomError, Refusal
from fathom.systems.timeline.api import Page
from fathom.systems.timeline.service import delivery
from fathom.systems.timeline.stores import Stores, seat
from fathom.systems.timeline.stores.deliveries import Delivery

from .crowd import until
from .test_outages import bodies, without
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


async def test_a_service_whose_postgresql_restarted_is_still_the_only_one(world: World):
    async with world.open("on-write") as timeline:
        (ann,) = await world.town(timeline, "ann")
        async with without(world.engines.truth):
            pass
        other = Stores(world.stores.truth, world.stores.cache, world.stores.queue)
        await timeline.post(ann, "hello")  # it is surely alone when it writes
        with pytest.raises(FathomError, match="another timeline serves these data"):
            async with other.alone(within_s=0.3):
                raise AssertionError("there were two")


async def test_a_service_that_lost_its_data_to_another_ends_all_that_it_does(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(seat, "GHOST_S", 0.3)
    async with world.open("on-write") as timeline, world.stores.truth.client.session() as other:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        await timeline.post(ann, "hello")
        await timeline.settled()
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND granted"
        holder = await world.stores.truth.client.fetchval(held, seat.SERVING)
        taking = asyncio.create_task(other.execute("SELECT pg_advisory_lock($1)", seat.SERVING))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await until(lambda: world.stores.truth.client.fetchval(waits))
        await world.stores.truth.client.execute("SELECT pg_terminate_backend($1)", holder)
        await taking  # it stood in line, so no one was quicker
        await until(lambda: world.stores.seat.lost.is_set())  # the end of the connection is news a moment later
        with pytest.raises(Refusal):
            await timeline.post(ann, "nobody should take this")
        await until(lambda: timeline._house._replaced)
        with pytest.raises(Refusal, match="another service has taken over"):
            await timeline.post(ann, "nor this")
        with pytest.raises(Refusal, match="another service has taken over"):
            await timeline.home(bob, Page())
        # What the other one puts in line is left to it.
        await world.stores.deliveries.publish(Delivery(1_000_000, 1, ann, 1))
        await asyncio.sleep(0.2)
        assert await world.stores.deliveries.left() == 1
        await other.execute("SELECT pg_advisory_unlock($1)", seat.SERVING)


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


async def test_what_the_world_is_told_of_an_outage_does_not_say_where_the_stores_lie(
    world: World, caplog: pytest.LogCaptureFixture
):
    async with world.open("on-write") as timeline:
        async with without(world.engines.truth):
            with pytest.raises((Refusal, TimeoutError)) as told:
                await timeline.whoami("made up")
            with pytest.raises((Refusal, TimeoutError)) as also:
                await timeline.profile(1, "ann")
        for said in (str(told.value), str(also.value)):
            assert "127.0.0.1" not in said
            assert "postgres" not in said.lower()
        assert "127.0.0.1" in caplog.text
