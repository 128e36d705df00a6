"""Parts are broken on request and healed, by themselves or when told; what dies unasked is started again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from fathom.cli.upkeep.parts import Parts
from fathom.engines.engine import EngineError
from fathom.engines.keeper import Keeper
from fathom.engines.link import Link
from fathom.engines.redis import Redis
from fathom.errors import FathomError
from fathom.web.control import HarmKind

pytestmark = pytest.mark.slow
WITHIN_S = 20.0


class Idle:
    """The service of a system that is not asked anything here."""

    alive = True

    def processes(self) -> tuple[int, ...]:
        return ()


class Stage:
    """A Redis behind a link, as a part; what was told of it, and whether it answers through the link."""

    def __init__(self, parts: Parts, linked: Redis, told: list[tuple[str, str]]) -> None:
        self.parts, self.linked, self.told = parts, linked, told
        self.cache = parts.by_name["cache"]

    async def answers(self) -> bool:
        try:
            await self.linked.ping()
        except (EngineError, TimeoutError):
            return False
        return True

    async def until_it_answers(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not await self.answers():  # noqa: ASYNC110 (an engine tells nobody)
                await asyncio.sleep(0.01)

    async def until(self, true: Callable[[], Any]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def stage(deadline_s: float = 5.0, **spared: str) -> AsyncIterator[Stage]:
    told: list[tuple[str, str]] = []
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(Keeper.open())
        cache = await stack.enter_async_context(Redis.start(keeper, name="cache"))
        link = await stack.enter_async_context(Link.between(keeper, cache.where))
        idle: Any = Idle()
        parts = Parts(idle, {"cache": cache}, {"cache": link}, spared, lambda what, kind: told.append((what, kind)))
        linked = Redis.at(link.where)
        async with parts.kept(), linked.connected(deadline_s=deadline_s):
            yield Stage(parts, linked, told)


@pytest.mark.parametrize("what", ["kill", "pause", "cut"])
async def test_what_is_broken_does_not_answer_until_it_is_healed(what: HarmKind):
    async with stage(deadline_s=0.3) as on:
        assert await on.answers()
        await on.parts.harm("cache", what, None)
        assert not await on.answers()
        await on.parts.look_after()
        assert on.cache.state != "up", "it is broken on purpose: nobody starts it again behind one's back"
        await on.parts.heal("cache")
        await on.until_it_answers()
        assert on.told == [(f"{what} cache", "harm"), ("cache is back", "heal")]


async def test_what_is_slow_answers_late():
    async with stage() as on:
        await on.parts.harm("cache", "slow", None)
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await on.answers()
        assert loop.time() - began >= 0.1, "there and back"


async def test_a_harm_that_lasts_heals_by_itself():
    async with stage() as on:
        await on.parts.harm("cache", "kill", 0.1)
        assert on.cache.heals_at is not None
        await on.until(lambda: on.cache.state == "up")
        assert on.cache.alive and on.cache.heals_at is None


async def test_a_wiped_engine_is_back_at_once_and_empty():
    async with stage() as on:
        await on.linked.client("SET", "a", "1")
        await on.parts.harm("cache", "wipe", 3.0)
        assert on.cache.state == "up"
        await on.until_it_answers()
        assert await on.linked.client("GET", "a") is None


async def test_the_only_copy_is_not_wiped():
    async with stage(cache="it is the only copy") as on:
        await on.linked.client("SET", "a", "1")
        with pytest.raises(FathomError) as told:
            await on.parts.harm("cache", "wipe", 3.0)
        assert told.value.why == "it is the only copy" and "kill" in told.value.fix
        assert await on.linked.client("GET", "a") == b"1"


async def test_what_is_broken_is_not_broken_twice():
    async with stage() as on:
        await on.parts.harm("cache", "pause", None)
        with pytest.raises(FathomError, match="paused already"):
            await on.parts.harm("cache", "kill", None)
        await on.parts.heal("cache")
        await on.parts.heal("cache")
        assert [what for what, _ in on.told] == ["pause cache", "cache is back"], "healing what is whole is nothing"


async def test_a_paused_one_that_dies_is_healed_too():
    async with stage() as on:
        await on.parts.harm("cache", "pause", None)
        for pid in on.cache.body.processes():
            os.kill(pid, signal.SIGKILL)
        await on.until(lambda: not on.cache.alive)
        await on.parts.heal("cache")
        assert on.cache.alive


async def test_what_dies_unasked_is_started_again():
    async with stage() as on:
        for pid in on.cache.body.processes():
            os.kill(pid, signal.SIGKILL)
        await on.until(lambda: not on.cache.alive)
        await on.parts.look_after()
        assert on.cache.alive and on.told == [("cache has ended", "harm"), ("cache is back", "heal")]


async def test_what_ends_again_and_again_is_given_up():
    async with stage() as on:
        with pytest.raises(FathomError, match="again and again"):
            for _ in range(7):
                for pid in on.cache.body.processes():
                    os.kill(pid, signal.SIGKILL)
                await on.until(lambda: not on.cache.alive)
                await on.parts.look_after()


async def test_an_order_that_makes_no_sense_is_refused():
    orders: list[tuple[str, HarmKind, float, str]] = [
        ("cash", "kill", 1.0, "there is no part 'cash'"),
        ("cache", "kill", 0.0, "cannot last 0 s"),
        ("cache", "kill", float("nan"), "cannot last nan s"),
        ("cache", "kill", 601.0, "cannot last 601 s"),
        ("service", "wipe", 1.0, "the service cannot be given a wipe"),
    ]
    async with stage() as on:
        for part, what, lasts_s, says in orders:
            with pytest.raises(FathomError) as told:
                await on.parts.harm(part, what, lasts_s)
            assert says in told.value.what and on.cache.state == "up" and not on.told
