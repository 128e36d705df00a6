"""A service that stands still for a moment: an open load shows what users saw, a closed loop hides it.

Of n requests, those that come while it is frozen wait for what is left of the freeze, so the latencies of the frozen
are evenly spread, and the quantile follows by arithmetic: 1.4 s of 30 s leave 1.4 x (1 - 0.01 / (1.4 / 30)) = 1.10 s
at the 99th percentile, and some of the time that it takes to work off what has piled up on top. That is the mean; of
arrivals that were drawn it can be said exactly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from fathom.cli.trust.known import desk
from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.wire import Answer, Wire, request
from fathom.history import Outcome
from fathom.lab.load import Samples, Schedule, drive
from fathom.lab.machine import Placement
from fathom.lab.stats import nearest_rank
from fathom.web.served import Served

__all__ = ["RATE", "Frozen", "frozen", "service"]

RATE = 200
ASK = request("POST", "/ask", body=b"[]")
SLOW_S = 0.1
AROUND_S = 0.05


@dataclass
class Frozen:
    """What one freeze gave: the open load, when the service was let go again, and the closed twin's latencies."""

    samples: Samples
    planned_ns: np.ndarray  # when requests were due by the schedule, whatever the samples say of it
    until_ns: int
    closed_s: list[float]
    lasts_s: float

    @property
    def from_ns(self) -> int:
        """When it began: that the signal has arrived is known late, but the last answer before it is known."""
        done = self.samples.done_ns
        return int(done[done < self.until_ns].max())

    @property
    def stood_s(self) -> float:
        return (self.until_ns - self.from_ns) / 1e9

    @property
    def drain_s(self) -> float:
        """How long it took to work off what had piled up."""
        due = self.samples.intended_ns
        caught = (due >= self.from_ns) & (due < self.until_ns)
        return max(0, int(self.samples.done_ns[caught].max(initial=0)) - self.until_ns) / 1e9

    @property
    def expected_s(self) -> float:
        """The 99th percentile that these arrivals must have: what was left of the stop when the one in question came.

        By then a share of the others had come, and as much of the pile is worked off before.
        """
        left_s = np.sort(self._left_s())
        waited_s = nearest_rank(left_s, 0.99)
        return waited_s + self.drain_s * (1 - waited_s / self.stood_s)

    def _left_s(self) -> np.ndarray:
        """Return for every request how much of the stop was left when it was due; nothing for those outside."""
        due = self.planned_ns
        return np.where(due >= self.from_ns, np.maximum(self.until_ns - due, 0), 0) / 1e9

    @property
    def p99_s(self) -> float:
        return self.samples.quantile(None, 0.99) / 1e9

    @property
    def closed_p99_s(self) -> float:
        return float(np.quantile(self.closed_s, 0.99))

    @property
    def complete(self) -> bool:
        """Whether every request that was planned is there with an answer, and none was dropped."""
        samples = self.samples
        planned = len(samples) == RATE * self.lasts_s and np.array_equal(samples.intended_ns, self.planned_ns)
        return planned and bool((samples.outcome == 0).all())

    def late(self) -> tuple[int, int]:
        """Return how many waited over a tenth of a second, and how many came early enough in the freeze to have to."""
        due = self.planned_ns
        had_to = (due > self.from_ns) & (due < self.until_ns - SLOW_S * 1e9)
        return int((self.samples.took_ns() > SLOW_S * 1e9).sum()), int(had_to.sum())

    def disturbed(self) -> int:
        """Return how many requests waited long although they were due at another time: the machine's doing."""
        due, around_ns = self.samples.intended_ns, AROUND_S * 1e9
        after = self.until_ns + self.drain_s * 1e9 + around_ns
        around = (due > self.from_ns - around_ns) & (due < after)
        return int((self.samples.waited_ns()[~around] > SLOW_S * 1e9).sum())


@asynccontextmanager
async def service(keeper: Keeper, placement: Placement) -> AsyncIterator[Served]:
    """Open the desk with questions that cost next to nothing."""
    cheap = {"work": Choice("plain", {"ask_us": 1.0})}
    async with Served.start(keeper, desk(), choices=cheap, cores=set(placement.system), name="desk") as served:
        yield served


async def frozen(served: Served, lasts_s: float, frozen_s: float, seed: int) -> Frozen:
    """Offer an open load and a closed loop at once, and stop the service a third of the way."""
    schedule = Schedule.draw({"ask": RATE}, lasts_s, seed)
    planned_ns = schedule.intended_ns.copy()
    async with Wire(served.where).open() as wire, asyncio.TaskGroup() as group:
        closed = group.create_task(_closed(served, lasts_s))
        freeze = group.create_task(_freeze(served, lasts_s / 3, frozen_s))
        samples = await drive(
            schedule,
            lambda index, done: wire.fire(ASK, done),
            drain_s=5,
            judge=lambda what: Outcome.OK if type(what) is Answer and what.status == 200 else Outcome.UNKNOWN,
        )
        began_ns = time.perf_counter_ns() - samples.ended_ns  # the zero of their times, which nobody else knows
    return Frozen(samples, planned_ns, freeze.result() - began_ns, closed.result(), lasts_s)


async def _freeze(served: Served, after_s: float, lasts_s: float) -> int:
    """Stop it for a while; return when it was let go, on this process's clock."""
    await asyncio.sleep(after_s)
    await served.pause()
    await asyncio.sleep(lasts_s)
    until_ns = time.perf_counter_ns()
    await served.resume()
    return until_ns


async def _closed(served: Served, until_s: float) -> list[float]:
    """Measure as most tools do: ask, wait for the answer, and only then think of the next request."""
    latencies = []
    async with served.client(connections=1) as desk:
        begun = time.perf_counter()
        while time.perf_counter() - begun < until_s:
            sent = time.perf_counter()
            await desk.ask()
            latencies.append(time.perf_counter() - sent)
            await asyncio.sleep(1 / RATE)
    return latencies
