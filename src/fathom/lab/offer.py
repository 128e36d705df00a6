"""Operations offered to one contender along a schedule, and the probes that follow what was acknowledged."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fathom.history import Outcome
from fathom.lab.body import Contender, outcome_of
from fathom.lab.dive import Operation, Probe, Turn
from fathom.lab.load import CENSORED, Samples, Schedule, drive

__all__ = ["Offered", "Offering"]

FEW = 20  # fewer have no quickest tenth to speak of
QUICK = 0.1
PROBE_S = 10.0  # a probe that has not come true by then is left open
GAP_S, GAP = 0.004, 0.05  # it asks again after so long, or after this share of the time it has waited


@dataclasses.dataclass(frozen=True)
class Offered:
    """What came of an offering."""

    samples: Samples
    offered: dict[str, int]
    done: dict[str, int]
    degraded_s: list[float]  # when an answer showed users that something was wrong

    @property
    def censored(self) -> int:
        """How many were still under way when nobody waited any longer."""
        return int((self.samples.outcome == CENSORED).sum())

    def p50_s(self, op: str) -> float:
        """Return the median latency; infinity where half of them did not succeed, or there were none."""
        return self.samples.quantile(op, 0.5) / 1e9 if self.offered.get(op) else math.inf

    def thirds_s(self, lasts_s: float) -> list[tuple[float, float]]:
        """Return how long the quickest tenth took in the first and in the last third, by operation.

        A queue that keeps up is empty now and then, however long it grows between; one that does not leaves no request
        quick. So this tells the two apart where a median only says in which third the bursts fell.
        """
        samples, found = self.samples, []
        good = samples.outcome == 0
        for name in self.offered:
            mine = good & (samples.op == samples.ops.index(name))
            took_s = (samples.done_ns - samples.intended_ns) / 1e9
            at_s = samples.intended_ns / 1e9
            first, last = took_s[mine & (at_s < lasts_s / 3)], took_s[mine & (at_s >= lasts_s * 2 / 3)]
            if len(first) >= FEW and len(last) >= FEW:
                found.append((float(np.quantile(first, QUICK)), float(np.quantile(last, QUICK))))
        return found


@dataclasses.dataclass
class _Watch:
    """A probe under way: what it waits for, and since when."""

    probe: Probe
    turn: Turn
    answer: Any
    since_ns: int
    sent_ns: int = 0
    done_ns: int = 0
    outcome: Outcome | None = None


class Offering:
    """One segment's requests to one contender.

    Its dice come from `seed` and `key`; `key` names its callers in the history, of which `kept` is the share of reading
    operations that is kept there.
    """

    def __init__(self, contender: Contender, point: Any, seed: object, key: str, *, kept: float = 0.0) -> None:
        self._contender, self._point, self._key = contender, point, key
        self._seed, self._swept = f"{seed}/{key}/{point}", contender.dive.swept
        self._operations = contender.dive.operations
        self._after = {
            name: [probe for probe in contender.dive.probes.values() if probe.after.name == name]
            for name in self._operations
        }
        self._kept, self._dice = kept, random.Random(f"{self._seed}/kept")
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches: list[_Watch] = []
        self._degraded_ns: list[int] = []

    async def through(self, schedule: Schedule, *, drain_s: float) -> Offered:
        """Offer everything at its time; return when all has ended or `drain_s` after the last was due."""
        self._schedule = schedule
        self._start_ns = time.perf_counter_ns()
        try:
            samples = await drive(schedule, self._fire, drain_s=drain_s)
            await self._probes_end(drain_s)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._contender.no_faults()
        offered = {name: int((samples.op == at).sum()) for at, name in enumerate(samples.ops)}
        good = samples.outcome == 0
        done = {name: int(((samples.op == at) & good).sum()) for at, name in enumerate(samples.ops)}
        rows = [(w.probe.name, w.since_ns, w.sent_ns, w.done_ns, w.outcome) for w in self._watches]
        return Offered(
            samples.plus(rows),
            offered,
            done,
            [ns / 1e9 for ns in self._degraded_ns],
        )

    @property
    def watched(self) -> int:
        """How many probes have begun to look."""
        return len(self._watches)

    async def still_open(self) -> int:
        """Ask every probe that had not come true once more, now that all has settled; return how many still do not."""
        waiting = [watch for watch in self._watches if watch.outcome is not Outcome.OK]
        answers = [await self._ask(watch) for watch in waiting]
        self._contender.no_faults()
        return answers.count(False)

    # ── one request ───────────────────────────────────────────────────────────────────────────────────────────────

    def _fire(self, index: int, done: Callable[[Outcome], None]) -> None:
        name = self._schedule.ops[self._schedule.op[index]]
        self._start(self._one(self._operations[name], index, done))

    def _start(self, body: Any) -> None:
        task = asyncio.get_running_loop().create_task(body)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _one(self, op: Operation, index: int, done: Callable[[Outcome], None]) -> None:
        contender = self._contender
        turn = Turn(f"{self._seed}/{op.name}", index, self._swept, self._point)
        kept = not op.reads or (self._kept > 0 and self._dice.random() < self._kept)
        try:
            answer = await contender.ask(op, turn, f"{self._key}/{op.name}/{index}", kept=kept)
        except asyncio.CancelledError:
            raise  # still under way when nobody waited any longer: the schedule counts it as censored
        except Exception as error:
            done(outcome_of(error))
            return
        done(Outcome.OK)
        if contender.dive.degraded(op.name, answer):
            self._degraded_ns.append(self._now_ns())
        for probe in self._after[op.name]:
            after = Turn(f"{self._seed}/{probe.name}", index, self._swept, self._point)
            watch = _Watch(probe, after, answer, self._now_ns())
            self._watches.append(watch)
            self._start(self._watch(watch))

    async def _watch(self, watch: _Watch) -> None:
        """Ask again until it is true; what could not be asked is asked again too."""
        watch.sent_ns = self._now_ns()
        while not await self._ask(watch):
            waited_s = (self._now_ns() - watch.since_ns) / 1e9
            if waited_s > PROBE_S:
                return
            await asyncio.sleep(max(GAP_S, GAP * waited_s))
        watch.done_ns, watch.outcome = self._now_ns(), Outcome.OK

    async def _ask(self, watch: _Watch) -> bool:
        caller = f"{self._key}/{watch.probe.name}/{watch.turn.index}"
        try:
            return bool(await self._contender.ask(watch.probe, watch.turn, caller, watch.answer, kept=self._kept > 0))
        except Exception:  # the system said no or nothing; or the dive is wrong, which its contender remembers
            return False

    async def _probes_end(self, within_s: float) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)

    def _now_ns(self) -> int:
        return time.perf_counter_ns() - self._start_ns
