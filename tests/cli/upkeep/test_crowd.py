"""The demo's people: they come at their own rate, and go on coming when the system does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fathom.cli.upkeep import crowd as crowds
from fathom.cli.upkeep.crowd import Crowd
from fathom.errors import FathomError, Refusal

WITHIN_S = 10.0


class Street:
    """A demo whose people knock: what it answers is for the test to say."""

    def __init__(self) -> None:
        self.rates = {"knock": 400.0, "ring": 100.0}
        self.choices = self.knobs = self.spared = {}
        self.open = asyncio.Event()
        self.open.set()
        self.knocked = asyncio.Semaphore(0)
        self.refuses = False

    async def knock(self, client: Any, dice: random.Random) -> None:
        self.knocked.release()
        if self.refuses:
            raise Refusal("unavailable", "not now")
        await self.open.wait()

    ring = knock


@contextlib.asynccontextmanager
async def people(street: Street) -> AsyncIterator[Crowd]:
    crowd = Crowd(street, contextlib.nullcontext(object()), seed=1)  # pyright: ignore[reportArgumentType]
    living = asyncio.create_task(crowd.living())
    try:
        yield crowd
    finally:
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living


async def knocks(street: Street, n: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        for _ in range(n):
            await street.knocked.acquire()


async def nobody_knocks(street: Street) -> None:
    """Let those go who are on their way, and see that nobody comes after them."""
    await asyncio.sleep(0)
    while not street.knocked.locked():
        await street.knocked.acquire()
    for _ in range(50):
        await asyncio.sleep(0)
    assert street.knocked.locked()


@pytest.mark.slow
async def test_each_operation_comes_in_proportion_to_its_rate():
    street = Street()
    async with people(street) as crowd:
        await knocks(street, 300)
        knock, ring = crowd.flows()
    assert (knock.op, ring.op) == ("knock", "ring")
    assert 2 * ring.per_s < knock.per_s < 8 * ring.per_s, "four to one"
    assert knock.p50_ms is not None and knock.p99_ms is not None and knock.p50_ms <= knock.p99_ms
    assert not knock.failed_per_s


async def test_what_is_refused_is_counted_as_failed():
    street = Street()
    street.refuses = True
    async with people(street) as crowd:
        await knocks(street, 50)
        await asyncio.sleep(0)
        flow = crowd.flows()[0]
    assert flow.failed_per_s > 0 and not flow.per_s and flow.p99_ms is None


async def test_people_go_on_coming_while_nobody_answers_and_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crowds, "UNDER_WAY_MAX", 20)
    street = Street()
    street.open.clear()
    async with people(street) as crowd:
        await knocks(street, 20)
        async with asyncio.timeout(WITHIN_S):
            while not crowd.unsent:  # noqa: ASYNC110 (it is counted, and told to nobody)
                await asyncio.sleep(0.01)
        assert len(crowd._tasks) == 20
        street.open.set()
        await knocks(street, 20)


async def test_a_pause_stops_them_and_its_end_lets_them_come_again():
    street = Street()
    async with people(street) as crowd:
        await knocks(street, 5)
        crowd.pause("somebody measures")
        await nobody_knocks(street)
        crowd.pause("")
        await knocks(street, 5)


@pytest.mark.slow
async def test_a_pause_that_comes_in_the_moment_somebody_is_due_stops_them():
    """The loop is told of both in one turn: that time is up, and that there is a reason to send nothing."""
    street = Street()
    street.rates = {"knock": 50.0}
    async with people(street) as crowd:
        await knocks(street, 1)
        for _ in range(20):
            waits = asyncio.get_running_loop().time()
            while asyncio.get_running_loop().time() - waits < 0.03:  # somebody is due meanwhile, and nothing runs
                pass
            await asyncio.sleep(0)  # now both are due in one turn: this, and then the alarm of the loop
            crowd.pause("somebody measures")
            await nobody_knocks(street)
            crowd.pause("")
            await knocks(street, 1)


@pytest.mark.parametrize("factor", [-1.0, 11.0, float("nan")])
async def test_a_load_that_makes_no_sense_is_refused(factor: float):
    crowd = Crowd(Street(), contextlib.nullcontext(object()), seed=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(FathomError, match="cannot be"):
        crowd.turn(factor)


async def test_latencies_are_told_by_nearest_rank():
    crowd = Crowd(Street(), contextlib.nullcontext(object()), seed=1)  # pyright: ignore[reportArgumentType]
    now = asyncio.get_running_loop().time()
    crowd._ends.extend(crowds._End(now, "knock", took_s) for took_s in (0.002, 0.001))
    flow = crowd.flows()[0]
    assert (flow.p50_ms, flow.p99_ms) == (1.0, 2.0), "half of them took no more than the smaller"


async def test_a_demo_that_breaks_ends_the_traffic_with_what_broke_it(monkeypatch: pytest.MonkeyPatch):
    street = Street()
    monkeypatch.setattr(street, "ring", lambda client, dice: 1 / 0)
    crowd = Crowd(street, contextlib.nullcontext(object()), seed=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(WITHIN_S):
            await crowd.living()
