"""What goes wrong for a while ends nothing for good: the service goes on when it is over."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.engines.redis_connection import RedisError
from fathom.engines.schema import steps
from fathom.errors import FathomError, Refusal
from fathom.systems.timeline.api import Page, UserId
from fathom.systems.timeline.service import delivery
from fathom.systems.timeline.stores import feeds, seat
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
        other = replace(world.stores)
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
        flush, refused = world.stores.outbox.flush, asyncio.Event()

        async def tried() -> None:
            try:
                await flush()
            except Exception:
                refused.set()
                raise

        world.stores.outbox.flush = tried  # type: ignore[method-assign]
        await timeline.post(ann, "hello")
        await timeline.settled()
        async with asyncio.timeout(20):
            await refused.wait()
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
                await timeline.profile(UserId(1), "ann")
        for said in (str(told.value), str(also.value)):
            assert "127.0.0.1" not in said
            assert "postgres" not in said.lower()
        assert "127.0.0.1" in caplog.text


async def test_data_of_the_first_schema_are_opened(world: World):
    stores = world.stores
    first = Postgres.at(await world.engines.database("template0"))
    async with first.connected():
        name, script = steps("fathom.systems.timeline.stores")[0]
        await first.client.execute(script)
        await first.client.execute("CREATE TABLE migrations (version integer PRIMARY KEY, name text NOT NULL)")
        await first.client.execute("INSERT INTO migrations VALUES (1, $1)", name)
        await first.client.execute("INSERT INTO users VALUES (7, 'ann', NULL, 0)")
        await first.client.execute("INSERT INTO counts VALUES (7)")
        world.stores = replace(stores, truth=first)
        assert await world.stores.migrate() == len(steps("fathom.systems.timeline.stores")) > 1
        async with world.open("on-write") as timeline:
            assert (await timeline.profile(UserId(7), "ann")).id == 7
        plan = "EXPLAIN SELECT hash FROM tokens WHERE user_id = 7 ORDER BY expires_ms DESC OFFSET 49"
        await first.client.execute("SET enable_seqscan = off")
        assert "tokens_by_user" in str(await first.client.fetch(plan))


async def test_readers_do_not_notice_that_redis_is_full(world: World):
    async with (
        Redis.start(world.engines.keeper, name="small", memory_bytes=6 << 20, eviction="noeviction") as small,
        (cache := Redis.at(small.where)).connected() as redis,
    ):
        world.stores = replace(world.stores, cache=cache)
        async with world.open("on-write") as timeline:
            ann, bob, cat = await world.town(timeline, "ann", "bob", "cat")
            await timeline.follow(bob, ann)
            await timeline.follow(cat, ann)
            await timeline.post(ann, "hello")
            await timeline.settled()
            await timeline.home(bob, Page())
            await timeline.settled()
            await fill(redis)
            openings = world.stores.memory.openings
            for _ in range(5):
                there = await timeline.home(cat, Page())  # there is no room for a feed of hers
                assert (there.source, bodies(there)) == ("pull", ["hello"])
                await timeline.settled()
                there = await timeline.home(bob, Page())
                assert (there.source, bodies(there)) == ("feed", ["hello"])
            assert world.stores.memory.openings == openings
            assert world.stores.memory.open


async def test_a_full_redis_as_we_start_it_makes_room_and_keeps_who_has_a_feed(world: World):
    async with (
        Redis.start(world.engines.keeper, name="small", memory_bytes=6 << 20) as small,
        (cache := Redis.at(small.where)).connected() as redis,
    ):
        world.stores = replace(world.stores, cache=cache)
        async with world.open("on-write") as timeline:
            ann, bob = await world.town(timeline, "ann", "bob")
            await timeline.follow(bob, ann)
            await timeline.home(bob, Page())
            await timeline.settled()
            openings = world.stores.memory.openings
            for n in range(3_000):  # other readers' feeds
                await redis("SET", f"ballast:{n}", b"x" * 3_000, "EX", 1_000)
            assert int((await redis("INFO", "stats")).split(b"evicted_keys:")[1].split()[0]) > 0
            kept = await timeline.post(ann, "hello")
            await timeline.settled()
            for _ in range(2):
                assert [post.id for post in (await timeline.home(bob, Page())).posts] == [kept.id]
                await timeline.settled()
            assert (await timeline.home(bob, Page())).source == "feed"
            live = world.stores.feeds.live_key(world.choices.fanout.generation)
            assert await redis("ZSCORE", live, bob) is not None
            assert world.stores.memory.openings == openings


async def fill(redis: Any) -> None:
    """Leave no room in a Redis that drops nothing."""
    for size in (20_000, 500, 10):
        n = 0
        with pytest.raises(RedisError, match="OOM"):
            while True:
                await redis("SET", f"ballast:{size}:{n}", b"x" * size)
                n += 1


async def test_the_feed_of_an_author_who_never_reads_stays_small_and_goes_one_day(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    async with world.open("on-write", {"cap": 20}) as timeline:
        (bot,) = await world.town(timeline, "bot")
        redis, key = world.stores.cache.client, world.stores.feeds.key(world.choices.fanout.generation, bot)
        await timeline.post(bot, "first")
        await timeline.settled()
        assert 0 < await redis("TTL", key) <= feeds.LIFE_S
        await redis("UNLINK", key)  # the day has come
        monkeypatch.setattr(feeds, "TOUCH_S", -1.0)  # and it is a while since it was last seen to
        for n in range(60):
            await timeline.post(bot, f"post {n}")
        await timeline.settled()
        assert await redis("ZCARD", key) <= 20 + 5
        assert await redis("EXISTS", key) == 0 or 0 < await redis("TTL", key) <= feeds.LIFE_S
        assert len((await timeline.home(bot, Page(limit=40))).posts) == 40


async def test_feeds_are_trimmed_also_when_there_are_too_many_to_count_their_pushes(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(feeds, "KEPT_MAX", 200)
    random.seed(8)
    keys = [b"feed:1:%d" % reader for reader in range(300)]
    due: Counter[bytes] = Counter()
    for _ in range(2_000):
        due.update(world.stores.feeds._counted(keys, 200))
    assert all(due[key] == 10 for key in keys[:200])
    assert 0.5 < sum(due[key] for key in keys[200:]) / (100 * 10) < 1.5
    assert len(world.stores.feeds._pushed) == 200


async def test_a_call_that_is_given_up_while_redis_is_told_takes_effect_all_the_same(world: World):
    async with world.open("on-write") as timeline:
        ann, bob = await world.town(timeline, "ann", "bob")
        await timeline.follow(bob, ann)
        first = await timeline.post(ann, "first")
        for reader in (ann, bob):
            await timeline.home(reader, Page())
        await timeline.settled()
        await world.engines.cache.pause()
        try:
            given_up = [
                asyncio.create_task(timeline.post(ann, "second", "key")),
                asyncio.create_task(timeline.unfollow(bob, ann)),
                asyncio.create_task(timeline.delete(ann, first.id)),
            ]
            await until(lambda: len(world.stores.outbox.unshown) == 3)  # committed, and Redis is being told
            for task in given_up:
                task.cancel()
            await asyncio.wait(given_up)
        finally:
            await world.engines.cache.resume()
        async with asyncio.timeout(20):
            await timeline.settled()
        await until(lambda: world.stores.memory.open)
        assert bodies(await timeline.home(ann, Page())) == ["second"]
        assert bodies(await timeline.home(bob, Page())) == []
        assert (await timeline.post(ann, "second", "key")).body == "second"
        assert bodies(await timeline.home(ann, Page())) == ["second"]
