"""What a measured thing is given: a clock around its work, a folder on the disk, engines on cores of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from fathom.lab.machine import Placement

if TYPE_CHECKING:
    from fathom.engines.engine import Engine
    from fathom.engines.keeper import Keeper

__all__ = ["Bench", "NotHere", "Samples"]

BATCH_S = 0.0005  # a batch is long against the clock's own 50 ns, and short against the scheduler's milliseconds
TRIES = 3
SAMPLES_MIN, SAMPLES_MAX = 20, 50_000

E = TypeVar("E", bound="Engine")


class NotHere(Exception):
    """Says why a thing cannot be measured on this machine."""


@dataclasses.dataclass(frozen=True)
class Samples:
    """Seconds per operation, one of them for each batch of `batch` operations, and what is to be known of them."""

    seconds: list[float]
    batch: int = 1
    note: str = ""


class Bench:
    """Times what it is handed for `lasts_s`; opens what is asked for once, and ends it with the block."""

    def __init__(self, folder: Path, lasts_s: float, placement: Placement, ends: AsyncExitStack) -> None:
        self.folder, self.lasts_s, self.placement = folder, lasts_s, placement
        self._ends = ends
        self._keeper: Keeper | None = None
        self._clients: dict[type[Engine], Any] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder: Path, lasts_s: float):
        """Lend a bench whose caller runs on the generator's core; `folder` is on the disk that is asked about."""
        placement = Placement.here()
        async with AsyncExitStack() as ends:
            ends.enter_context(placement.pinned())
            yield cls(folder, lasts_s, placement, ends)

    async def client(self, kind: type[Engine]) -> Any:
        """Return a connected client of an engine of our own, on the cores that the placement gives a system."""
        if kind not in self._clients:
            if self._keeper is None:
                from fathom.engines.keeper import Keeper

                self._keeper = await self._ends.enter_async_context(Keeper.open())
            cores = set(self.placement.system)
            engine = await self._ends.enter_async_context(
                kind.start(self._keeper, name=f"latency-{kind.kind}", cores=cores)
            )
            self._clients[kind] = await self._ends.enter_async_context(engine.connected())
        return self._clients[kind]

    def batches(self, work: Callable[[int], object], *, most: int = 1 << 40) -> Samples:
        """Time work that is too short for a clock: `work(n)` does it n times; n is chosen here, up to `most`."""
        n, clock = 1, time.perf_counter

        def timed() -> float:
            start = clock()
            work(n)
            return clock() - start

        while n < most:
            took = timed()
            if took >= BATCH_S:  # perhaps for once, since something else ran: then a few tries are not all so slow
                took = min(took, *(timed() for _ in range(TRIES - 1)))
            if took >= BATCH_S:
                break
            n = min(most, n * 2 if took <= 0 else max(n + 1, min(n * 10, round(n * 1.3 * BATCH_S / took))))
        seconds: list[float] = []
        until = clock() + self.lasts_s
        while len(seconds) < SAMPLES_MIN or (clock() < until and len(seconds) < SAMPLES_MAX):
            seconds.append(timed() / n)
        return Samples(seconds, n)

    def each(self, work: Callable[[], object], *, before: Callable[[], object] | None = None) -> Samples:
        """Time each call of some work by itself; what `before` does is not timed."""
        seconds: list[float] = []
        clock = time.perf_counter
        work()
        until = clock() + self.lasts_s
        while len(seconds) < SAMPLES_MIN or (clock() < until and len(seconds) < SAMPLES_MAX):
            if before is not None:
                before()
            start = clock()
            work()
            seconds.append(clock() - start)
        return Samples(seconds)

    async def each_awaited(self, work: Callable[[int], Awaitable[object]]) -> Samples:
        """Time each awaited call by itself, one after the other; `work` is told its number."""
        seconds: list[float] = []
        clock = time.perf_counter
        for warm in range(SAMPLES_MIN):
            await work(-1 - warm)
        until = clock() + self.lasts_s
        while len(seconds) < SAMPLES_MIN or (clock() < until and len(seconds) < SAMPLES_MAX):
            start = clock()
            await work(len(seconds))
            seconds.append(clock() - start)
        return Samples(seconds)
