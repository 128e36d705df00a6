"""Exponential gaps, exponential times, one clerk or three: theory knows the mean wait, and a load has to measure it.

How long they wait on average varies by chance from one day to another, far more than the lab may be off. So what was
measured is held against two things: what these very arrivals with these very times must wait, which is exact, and the
range in which days like this one lie around the theory's mean. The way to an empty desk and back is no wait: it is
measured first, and taken off.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import numpy as np

from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.known import desk
from fathom.cli.trust.theory import chance, mean_wait_s, waits_s
from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.wire import Answer, Wire, request
from fathom.history import Outcome
from fathom.lab import gates
from fathom.lab.load import Samples, Schedule, drive
from fathom.web.served import Served

LASTS_S = 25.0
NEAR = 0.05
EMPTY, EMPTY_S = 40, 0.004  # so often one goes to an empty desk, and stays there for so long
DAYS, OUTSIDE = 2_000, 0.0005  # of the days lie beyond either end of the range


class Queue(NamedTuple):
    """A queue of which theory knows everything."""

    row: str
    approach: str
    clerks: int
    rate: float
    mean_s: float

    @property
    def theory_s(self) -> float:
        return mean_wait_s(self.clerks, self.rate, self.mean_s)


QUEUES = (Queue("mm1", "one", 1, 87.5, 0.008), Queue("mm3", "three", 3, 87.5, 0.024))


def _row(queue: Queue) -> Row:
    busy, many = queue.rate * queue.mean_s / queue.clerks, "clerk" if queue.clerks == 1 else "clerks"
    return Row(
        name=queue.row,
        truth=f"M/M/{queue.clerks}: at {100 * busy:g} % of what {queue.clerks} {many} can do, "
        f"the mean wait is {queue.theory_s * 1e3:.1f} ms",
        counts=f"measured within {100 * NEAR:g} % of what these arrivals must wait, and as theory allows",
        short=Wants(1, least=1),
        full=Wants(12, least=1),
    )


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with Keeper.open() as keeper, AsyncExitStack() as up:
        wires: list[Wire] = []
        for queue in QUEUES:
            served = Served.start(
                keeper,
                desk(),
                choices={"clerks": Choice(queue.approach)},
                cores=set(shop.placement.system),
                name=queue.row,
            )
            wire = Wire((await up.enter_async_context(served)).where, connections=256)
            await up.enter_async_context(wire.open())
            wires.append(wire)

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            with shop.placement.pinned():
                return await _once(wires, seed), None

        yield once


async def _way_s(wire: Wire) -> float:
    """Return how long it takes to an empty desk and back, beside what one stays there for."""
    took = []
    for _ in range(EMPTY):
        begun = time.perf_counter()
        await wire.ask(_hold(EMPTY_S))
        took.append(time.perf_counter() - begun - EMPTY_S)
    return statistics.median(took)


def _hold(held_s: float) -> bytes:
    return request("POST", "/hold", body=b"[%.6f]" % held_s)


async def _once(wires: list[Wire], seed: int) -> dict[str, Said]:
    ways_s = [await _way_s(wire) for wire in wires]
    schedule = Schedule.draw({queue.row: queue.rate for queue in QUEUES}, LASTS_S, seed)
    dice = np.random.default_rng([seed, len(QUEUES)])
    means = np.array([queue.mean_s for queue in QUEUES])
    took_s = np.round(dice.exponential(means[schedule.op]), 6)
    asked = [_hold(each) for each in took_s]
    samples = await drive(
        schedule,
        lambda index, done: wires[schedule.op[index]].fire(asked[index], done),
        drain_s=10,
        judge=lambda what: Outcome.OK if type(what) is Answer and what.status == 200 else Outcome.UNKNOWN,
    )
    p50_s = {queue.row: samples.quantile(queue.row, 0.5) / 1e9 for queue in QUEUES}
    if broken := gates.broken(gates.arrivals(samples.lag_p99 / 1e9, p50_s)):
        return experiment.void(f"void: {broken[0].says}: {broken[0].value:.2g}")
    return {queue.row: judge(queue, samples, took_s[schedule.op == at], ways_s[at]) for at, queue in enumerate(QUEUES)}


def judge(queue: Queue, samples: Samples, took_s: np.ndarray, way_s: float) -> Said:
    mine = samples.of(queue.row)
    if (samples.outcome[mine] != 0).any():
        return Said(False, "not every request was answered")
    came_s = samples.intended_ns[mine] / 1e9
    waited_s = float((samples.took_ns(queue.row) / 1e9 - took_s).mean()) - way_s
    must_s = float(waits_s(came_s, took_s, queue.clerks).mean())
    low_s, high_s = _range_s(queue, len(came_s))
    says = f"mean wait {waited_s * 1e3:.2f} ms; these arrivals must wait {must_s * 1e3:.2f}, theory "
    says += f"{queue.theory_s * 1e3:.2f} (a day like this: {low_s * 1e3:.1f} to {high_s * 1e3:.1f}); "
    says += f"the way there and back: {way_s * 1e3:.2f}"
    return Said(abs(waited_s / must_s - 1) <= NEAR and low_s <= waited_s <= high_s, says)


@functools.cache
def _range_s(queue: Queue, n: int) -> tuple[float, float]:
    """Return between which mean waits days like this one lie."""
    days = chance(queue.clerks, n, LASTS_S, queue.mean_s, draws=DAYS, seed=1)
    beyond = round(OUTSIDE * DAYS)
    return float(days[beyond]), float(days[-1 - beyond])


experiment = Experiment("queues", tuple(_row(queue) for queue in QUEUES), LASTS_S + 4, ready)
