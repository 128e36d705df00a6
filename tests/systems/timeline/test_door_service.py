"""The door before the real service: what only engines can show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from fathom.engines.nats import Nats
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.errors import Refusal
from fathom.systems.timeline.doors import app
from fathom.systems.timeline.service.base import GUESSES
from fathom.web.listen import Listen
from fathom.web.metrics import Metrics
from fathom.web.serve import Settings

from .visitor import Answer, Visitor
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@asynccontextmanager
async def visited(world: World, approach: str = "on-write", **more: Any) -> AsyncIterator[Visitor]:
    """Open a service and its door; yield a stranger before it."""
    async with world.open(approach, **more) as service:
        settings = Settings(listen=Listen(), metrics=Metrics(), stores=world.stores, seed=0, data=None)
        yield Visitor(app(service, world.choices, settings), timeline=service)


@pytest.mark.feature("SOCIAL-10")
@pytest.mark.parametrize("approach", ["on-write", "on-read", "hybrid"])
async def test_the_short_way_and_the_framework_write_the_same_bytes(world: World, approach: str) -> None:
    async with visited(world, approach) as visitor:
        ann, bob = await visitor.joins("ann"), await visitor.joins("bob")
        await ann.put("/api/v1/users/bob/follow")
        posts = [await bob.writes(f'"quoted" \\ and\n{n} 🐘') for n in range(5)]
        await visitor.timeline.settled()
        assert (await home_of(ann)).headers["fathom-source"] == ("pull" if approach == "on-read" else "feed")
        for query in ("", "?limit=2", f"?limit=2&max_id={posts[3]}", f"?limit=2&min_id={posts[0]}", "?limit=40"):
            short, long = await ann.get(f"/api/v1/home{query}"), await ann.get(f"/api/v1/home/{query}")
            assert (short.status, short.body) == (200, long.body)
            for name in ("link", "fathom-source"):
                assert short.headers.get(name) == long.headers.get(name)


@pytest.mark.parametrize("approach", ["on-write", "on-read", "hybrid"])
async def test_what_was_written_of_a_post_before_is_not_shown_again_once_it_has_changed(
    world: World, approach: str
) -> None:
    async with visited(world, approach) as visitor:
        ann, bob = await visitor.joins("ann"), await visitor.joins("bob")
        await ann.put("/api/v1/users/bob/follow")
        post, other = await bob.writes("one"), await bob.writes("other")
        await visitor.timeline.settled()

        async def likes() -> list[tuple[str, int]]:
            shown = (await ann.get("/api/v1/home")).json()["posts"]
            return [(each["id"], each["engagement"]["likes"]) for each in shown]

        assert await likes() == [(other, 0), (post, 0)]
        for n, change in enumerate(("PUT", "DELETE", "PUT")):
            await ann.ask(change, f"/api/v1/posts/{post}/like")
            assert await likes() == [(other, 0), (post, (n + 1) % 2)]
        await bob.delete(f"/api/v1/posts/{other}")
        assert await likes() == [(post, 1)]
        await bob.put("/api/v1/users/ann/block")
        assert await likes() == []


async def test_an_expired_token_is_worthless(world: World) -> None:
    async with visited(world, clock=world.clock) as visitor:
        ann = await visitor.joins("ann")
        assert (await ann.get("/api/v1/me")).status == 200
        world.clock.now_ms += 31 * 86_400_000
        # Another process: this one remembers for seconds whose a token was, and tokens last for days.
        again = Visitor(app(visitor.timeline), ann.token)
        for path in ("/api/v1/me", "/api/v1/home"):
            assert (await again.get(path)).code == "unauthorised"


@pytest.mark.feature("TL-13")
async def test_while_redis_is_down_a_home_comes_from_the_truth_and_says_so(world: World) -> None:
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(Redis.start(world.engines.keeper, name="mortal"))
        cache = Redis.at(own.where)
        await stack.enter_async_context(cache.connected())
        world.stores = replace(world.stores, cache=cache)
        visitor = await stack.enter_async_context(visited(world))
        ann = await visitor.joins("ann")
        post = await ann.writes("before")
        assert (await home_of(ann)).headers["fathom-source"] == "feed"
        await own.kill()
        during = await ann.get("/api/v1/home")
        assert (during.status, during.headers["fathom-source"], during.json()["source"]) == (
            200,
            "fallback",
            "fallback",
        )
        assert [each["id"] for each in during.json()["posts"]] == [post]
        ready = await ann.get("/ready")
        assert (ready.status, ready.json()) == (200, {"ready": True, "degraded": True}), "slower is not absent"
        meanwhile = await ann.writes("meanwhile")
        await own.restart(wiped=True)
        async with asyncio.timeout(10):
            await world.stores.memory.opened()
        after = await home_of(ann)
        assert [each["id"] for each in after.json()["posts"]] == [meanwhile, post]
        assert after.headers["fathom-source"] == "feed"


async def home_of(visitor: Visitor) -> Answer:
    """Read a home that had time to be made: the first read comes from the truth, and has the feed made behind it."""
    await visitor.get("/api/v1/home")
    await visitor.timeline.settled()
    return await visitor.get("/api/v1/home")


@pytest.mark.feature("TL-14")
async def test_metrics_tell_how_far_homes_lag_behind(world: World) -> None:
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(Nats.start(world.engines.keeper, name="mortal-queue"))
        queue = Nats.at(own.where)
        await stack.enter_async_context(queue.connected())
        world.stores = replace(world.stores, queue=queue)
        visitor = await stack.enter_async_context(visited(world))
        ann, bob = await visitor.joins("ann"), await visitor.joins("bob")
        await ann.put("/api/v1/users/bob/follow")
        await visitor.timeline.settled()

        async def told() -> dict[str, float]:
            lines = (await visitor.get("/metrics")).body.decode().splitlines()
            return {name: float(value) for name, value in (line.split() for line in lines if line[:9] == "timeline_")}

        assert await told() == {
            "timeline_pending": 0,
            "timeline_pending_oldest_seconds": 0,
            "timeline_homes_from_redis": 1,
        }
        await own.pause()
        await bob.writes("waits for its delivery")
        during = await told()
        await own.resume()
        assert during["timeline_pending"] == 1
        assert during["timeline_pending_oldest_seconds"] > 0
        await visitor.timeline.settled()
        assert (await told())["timeline_pending"] == 0


async def test_without_the_truth_nothing_is_ready_and_a_write_is_asked_to_come_again(world: World) -> None:
    async with AsyncExitStack() as stack:
        own = await stack.enter_async_context(Postgres.start(world.engines.keeper, name="mortal-truth"))
        truth = Postgres.at(own.where)
        await stack.enter_async_context(truth.connected())
        world.stores = replace(world.stores, truth=truth)
        await world.stores.migrate()
        visitor = await stack.enter_async_context(visited(world))
        ann = await visitor.joins("ann")
        assert (await ann.get("/ready")).status == 200
        await own.kill()
        for answer in (await ann.get("/ready"), await ann.post("/api/v1/posts", {"body": "lost?"})):
            assert (answer.status, answer.code) == (503, "unavailable")
            assert int(answer.headers["retry-after"]) >= 1
        await own.restart()
        async with asyncio.timeout(20):
            await (
                world.stores.seat.held.wait()
            )  # nothing is written before it is sure that no other service has taken it
        assert (await ann.get("/ready")).status == 200
        assert await ann.writes("back again")


async def test_who_guesses_at_one_name_is_told_to_wait_whether_there_is_such_an_account(world: World) -> None:
    async with world.open("on-write") as timeline:
        await timeline.join("ann", "correct horse")
        for _ in range(GUESSES.burst):  # who knows it makes no guess
            assert await timeline.login("ann", "correct horse")
        for name in ("ann", "nobody"):
            codes = []
            for number in range(GUESSES.burst + 2):
                with pytest.raises(Refusal) as refused:
                    await timeline.login(name.upper() if number % 2 else name, f"battery staple {number}")
                codes.append(refused.value.code)
            assert codes == ["unauthorised"] * GUESSES.burst + ["too-many"] * 2
        with pytest.raises(Refusal, match="too many wrong passwords") as told:
            await timeline.login("ann", "correct horse")
        assert 0 < (told.value.retry_s or 0) <= 1 / GUESSES.per_s
