"""Offer requests at times that were drawn beforehand, whatever becomes of them, and keep a sample of each."""

from __future__ import annotations

import asyncio
import gc
import math
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fathom.errors import FathomError
from fathom.history import Outcome
from fathom.lab.garbage import set_aside
from fathom.lab.histogram import Histogram

__all__ = ["CENSORED", "COLUMNS", "OUTCOMES", "Done", "Fire", "Samples", "Schedule", "drive"]

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int8]

OUTCOMES = (*Outcome, "censored")  # an outcome's code is its place here
OK, FAILED, UNKNOWN, CENSORED = range(4)
COLUMNS = ("op", "intended_ns", "sent_ns", "done_ns", "outcome")
NEVER = np.iinfo(np.int64).max  # how long a request took that did not succeed: longer than anything

SLEEP_UNTIL_NS = 1_500_000  # event loops wake up to a millisecond late; the last half is spun through, I/O going on
OVERDUE_NS = 1_000_000  # sent this much later than intended, a request is marked
BURST = 64  # so many overdue requests are sent before answers get their turn again

Done = Callable[[Outcome], None]
Fire = Callable[[int, Callable[[Any], None]], None]


class Schedule:
    """When each request is to be sent, in nanoseconds from the start, and which operation it is.

    What draws them is not its business: `draw` makes independent users (open arrivals). Sessions, whose next request
    waits for an answer (partly open), would be another way to make one.
    """

    def __init__(self, ops: Iterable[str], op: npt.ArrayLike, intended_ns: npt.ArrayLike, lasts_s: float) -> None:
        self.ops = tuple(ops)
        self.op: Codes = np.asarray(op, np.int8)
        self.intended_ns: Ints = np.asarray(intended_ns, np.int64)
        self.lasts_s = lasts_s
        if self.op.shape != self.intended_ns.shape or (np.diff(self.intended_ns) < 0).any():
            raise ValueError("a schedule has one time for each request, in order")

    @classmethod
    def draw(cls, rates: Mapping[str, float], lasts_s: float, seed: int) -> Schedule:
        """Return exactly rate x length requests of each operation, at times as independent users would choose them.

        The times of one operation depend on its name, its rate, the length and the seed: not on its neighbours.
        """
        if lasts_s <= 0 or min(rates.values(), default=0) < 0 or len(rates) > 100:
            raise ValueError(f"no load can be drawn for {dict(rates)} over {lasts_s} s")
        times = []
        for op, rate in rates.items():
            dice = np.random.default_rng([seed % 2**64, zlib.crc32(op.encode())])
            times.append(np.sort(dice.random(math.floor(rate * lasts_s + 0.5)) * (lasts_s * 1e9)).astype(np.int64))
        intended = np.concatenate(times) if times else np.empty(0, np.int64)
        op = np.repeat(np.arange(len(times), dtype=np.int8), [len(each) for each in times])
        order = np.argsort(intended, kind="stable")
        return cls(rates, op[order], intended[order], lasts_s)

    def __len__(self) -> int:
        return len(self.intended_ns)


class Samples:
    """What came of each request, as columns; times are in nanoseconds from the start.

    `sent_ns` is 0 for a request that was never sent, `done_ns` for one that was not answered while anybody waited:
    its outcome is censored. Nothing is left out.
    """

    def __init__(
        self,
        ops: Iterable[str],
        op: npt.ArrayLike,
        intended_ns: npt.ArrayLike,
        sent_ns: npt.ArrayLike,
        done_ns: npt.ArrayLike,
        outcome: npt.ArrayLike,
        *,
        ended_ns: int = 0,
    ) -> None:
        self.ops = tuple(ops)
        self.op: Codes = np.asarray(op, np.int8)
        self.intended_ns: Ints = np.asarray(intended_ns, np.int64)
        self.sent_ns: Ints = np.asarray(sent_ns, np.int64)
        self.done_ns: Ints = np.asarray(done_ns, np.int64)
        self.outcome: Codes = np.asarray(outcome, np.int8)
        last = max((int(each.max()) for each in (self.intended_ns, self.sent_ns, self.done_ns) if each.size), default=0)
        self.ended_ns = max(ended_ns, last)  # until when answers were waited for

    def __len__(self) -> int:
        return len(self.op)

    def of(self, op: str | None) -> npt.NDArray[np.bool_]:
        """Return which rows are of this operation; all for None."""
        return np.ones(len(self), bool) if op is None else self.op == self.ops.index(op)

    def took_ns(self, op: str | None = None) -> Ints:
        """Return how long each took from when it was due; NEVER for what did not succeed."""
        return np.where(self.outcome == OK, self.done_ns - self.intended_ns, NEVER)[self.of(op)]

    def served_ns(self, op: str | None = None) -> Ints:
        """Return how long each took from when it was sent (its service time); NEVER for what did not succeed."""
        return np.where(self.outcome == OK, self.done_ns - self.sent_ns, NEVER)[self.of(op)]

    def waited_ns(self, op: str | None = None) -> Ints:
        """Return how long each had waited from when it was due until it ended in any way, or until nobody waited."""
        return (np.where(self.done_ns > 0, self.done_ns, self.ended_ns) - self.intended_ns)[self.of(op)]

    @cached_property
    def lag_ns(self) -> Ints:
        """How late each was sent: the generator's own fault, kept apart from the latency that includes it."""
        return np.maximum(np.where(self.sent_ns > 0, self.sent_ns, self.ended_ns) - self.intended_ns, 0)

    @property
    def overdue(self) -> npt.NDArray[np.bool_]:
        """Which were sent more than a millisecond late."""
        return self.lag_ns > OVERDUE_NS

    @property
    def lag_p99(self) -> float:
        """The 99th percentile of the lag, in nanoseconds."""
        return _quantile(self.lag_ns, 0.99)

    def quantile(self, op: str | None, q: float) -> float:
        """Return a quantile of the latency from the intended start, in nanoseconds: nearest rank on raw samples.

        What did not succeed took longer than anything, so that failing fast looks slow: infinity where it falls there.
        """
        return _quantile(self.took_ns(op), q)

    def histogram(self, op: str | None = None) -> Histogram:
        """Return the histogram of the waits from when each was due, whatever their outcome."""
        return Histogram.of(self.waited_ns(op))

    def lag(self) -> Histogram:
        return Histogram.of(self.lag_ns)

    def plus(self, rows: Iterable[tuple[str, int, int, int, Outcome | None]]) -> Samples:
        """Return these samples and more: (operation, intended, sent, done, outcome or None for censored) each."""
        rows = list(rows)
        ops = (*self.ops, *dict.fromkeys(row[0] for row in rows if row[0] not in self.ops))
        codes = {None: CENSORED, Outcome.OK: OK, Outcome.FAILED: FAILED, Outcome.UNKNOWN: UNKNOWN}
        more = np.array([(ops.index(op), *times, codes[outcome]) for op, *times, outcome in rows], np.int64)
        columns = more.reshape(-1, 5).T
        mine = (self.op, self.intended_ns, self.sent_ns, self.done_ns, self.outcome)
        return Samples(ops, *(np.concatenate(pair) for pair in zip(mine, columns, strict=True)), ended_ns=self.ended_ns)

    def write_csv(self, path: Path) -> None:
        """Write one line for each request, readable with nothing but Python's own library."""
        rows = zip(
            [self.ops[code] for code in self.op.tolist()],
            self.intended_ns.tolist(),
            self.sent_ns.tolist(),
            self.done_ns.tolist(),
            [OUTCOMES[code] for code in self.outcome.tolist()],
            strict=True,
        )
        with path.open("w", encoding="ascii", newline="\n") as file:
            file.write(",".join(COLUMNS) + "\n")
            file.writelines(map("%s,%d,%d,%d,%s\n".__mod__, rows))

    @classmethod
    def read_csv(cls, path: Path) -> Samples:
        """Read what `write_csv` wrote."""
        ops: dict[str, int] = {}
        codes = {str(outcome): code for code, outcome in enumerate(OUTCOMES)}
        flat: list[int] = []
        with path.open(encoding="ascii") as file:
            if file.readline().rstrip("\n") != ",".join(COLUMNS):
                raise _unreadable(path, 1)
            for number, line in enumerate(file, 2):
                try:
                    op, intended, sent, done, outcome = line.rstrip("\n").split(",")
                    flat += (ops.setdefault(op, len(ops)), int(intended), int(sent), int(done), codes[outcome])
                except (ValueError, KeyError):
                    raise _unreadable(path, number) from None
        return cls(ops, *np.array(flat, np.int64).reshape(-1, 5).T)


def _unreadable(path: Path, number: int) -> FathomError:
    return FathomError(
        f"{path} holds no samples",
        why=f"line {number} is not {','.join(COLUMNS)}",
        fix="it was changed or cut off: run the dive again",
    )


def _quantile(values: Ints, q: float) -> float:
    """Return the nearest-rank quantile, infinity for NEVER; an empty sample has none."""
    if not values.size:
        raise ValueError("no samples, no quantile")
    rank = min(max(math.ceil(q * values.size), 1), values.size) - 1
    found = int(np.partition(values, rank)[rank])
    return math.inf if found == NEVER else float(found)


async def drive(
    schedule: Schedule, fire: Fire, *, drain_s: float, judge: Callable[[Any], Outcome] | None = None
) -> Samples:
    """Have every request fired at its time, and return what came of each.

    `fire(index, done)` starts request `index` and returns at once; `done(outcome)` may be called at any time after,
    or within. With `judge`, done takes whatever came and `judge` tells its outcome (one closure a request less).

    What is overdue goes at once and nothing is left out or re-paced, so a stall of the service is in the latencies of
    all who would have come meanwhile, and a stall of this process is in their lag. `drain_s` after the last request
    was due, what has not ended is censored. Overdue and waiting requests are all that can pile up: as many as the
    schedule has.
    """
    n = len(schedule)
    sent, done, outcomes = np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, CENSORED, np.int8)
    with _undisturbed():
        run = _Run(schedule, fire, judge, sent, done, outcomes)
        await run.ended(drain_s)
    return Samples(
        schedule.ops, schedule.op, schedule.intended_ns, sent, done, outcomes, ended_ns=run.now_ns()
    )  # fmt: skip


class _Run:
    """One drive under way. Its loops are written for speed: this is the part that must never be the bottleneck."""

    def __init__(
        self,
        schedule: Schedule,
        fire: Fire,
        judge: Callable[[Any], Outcome] | None,
        sent: Ints,
        done: Ints,
        codes: Codes,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: list[int] = schedule.intended_ns.tolist()
        self._fire = fire
        self._sent = memoryview(cast(Any, sent))  # ten times faster to write one number to than the array itself
        self._left = len(schedule)
        self._next = 0
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._finish = self._finisher(memoryview(cast(Any, done)), memoryview(cast(Any, codes)), judge)
        self._handle: asyncio.Handle | None = None
        self._start_ns = time.perf_counter_ns() - 1  # no time is 0: that means never

    def now_ns(self) -> int:
        return time.perf_counter_ns() - self._start_ns

    async def ended(self, drain_s: float) -> None:
        """Return when all have ended, or `drain_s` after the last was due."""
        if not self._due:
            return
        timeout_s = self._due[-1] / 1e9 + drain_s
        self._handle = self._loop.call_soon(self._tick)
        try:
            await asyncio.wait([self._ended], timeout=timeout_s)
            if self._ended.done():
                self._ended.result()  # what `fire` raised is raised here
        finally:
            self._handle.cancel()
            self._ended.cancel()

    def _tick(self) -> None:
        """Send what is due; then sleep, or spin when the next is near, so that answers are read meanwhile."""
        due, sent, fire, finish, clock = self._due, self._sent, self._fire, self._finish, time.perf_counter_ns
        start_ns, index = self._start_ns, self._next
        burst = min(index + BURST, len(due))
        now = clock() - start_ns
        try:
            while index < burst and due[index] <= now:
                sent[index] = now
                index += 1
                fire(index - 1, partial(finish, index - 1))
                now = clock() - start_ns
        except Exception as error:
            if not self._ended.done():
                self._ended.set_exception(error)
            return
        finally:
            self._next = index
        if index == len(due):
            return
        wait_ns = due[index] - now
        if wait_ns > 2 * SLEEP_UNTIL_NS:
            self._handle = self._loop.call_later((wait_ns - SLEEP_UNTIL_NS) // 1_000_000 / 1e3, self._tick)
        else:
            self._handle = self._loop.call_soon(self._tick)

    def _finisher(
        self, done: memoryview, codes: memoryview, judge: Callable[[Any], Outcome] | None
    ) -> Callable[[int, Any], None]:
        """Return what takes a request's number and its end. Later words on a request that has ended are not heard."""
        clock, ended = time.perf_counter_ns, self._ended
        ok, failed = Outcome.OK, Outcome.FAILED

        def finish(index: int, what: Any) -> None:
            now = clock() - self._start_ns
            if codes[index] != CENSORED or ended.done():
                return
            outcome = what if judge is None else judge(what)
            done[index] = now
            codes[index] = OK if outcome is ok else FAILED if outcome is failed else UNKNOWN
            self._left -= 1
            if self._left == 0:
                ended.set_result(None)

        return finish


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector from stopping a measurement: what exists is set aside, and it comes seldom."""
    before = gc.get_threshold()
    with set_aside():
        gc.set_threshold(200_000, 50, 1_000)
        try:
            yield
        finally:
            gc.set_threshold(*before)
