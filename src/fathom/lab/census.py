"""What does an operation cost: pure slices of one operation each, so that its demands are told from the others'.

Counts are deterministic and compared exactly; CPU carries the spread of its slices. Each approach is counted as soon
as it is up, so that there is something to read early; the later rounds go round the approaches, so that an hour of the
machine that is slower for all falls on all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import random
import time
from collections.abc import Sequence
from typing import Any, Literal

from fathom.engines.engine import EngineError
from fathom.errors import Refusal
from fathom.lab import figures, gates
from fathom.lab.bench import Bench, Void
from fathom.lab.body import Contender
from fathom.lab.dive import Operation, Turn
from fathom.lab.runs import IDLE, MIX, Part, Segment

__all__ = ["Census", "Need"]

UTILISATION = 0.5  # of the system's cores: what is counted must not queue
OPS_MIN, OPS_MAX = 3, 1_000
WARM = 3  # operations before anything is counted: connections, plans and caches
HEAVY_S = 0.05  # an operation that takes more CPU than this is let finish before the next
IDLE_S, IDLES = 0.6, 5
AGAIN = 2  # how often a disturbed slice is done again


@dataclasses.dataclass(frozen=True)
class Need:
    """What one operation needs, roughly, and how many of it make a slice."""

    cpu_s: float
    n: int

    @classmethod
    def of(cls, cpu_s: float, slice_s: float) -> Need:
        return cls(cpu_s, max(OPS_MIN, min(OPS_MAX, int(slice_s * UTILISATION / max(cpu_s, 1e-6)))))


class Census:
    """Counts every approach at every point, round by round."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.needs: dict[tuple[str, Any, str], Need] = {}
        self.last_no = ""  # what the last operation that did not succeed was told

    async def first(self, contender: Contender) -> None:
        """Count a contender that has just come up and is running: sit idle, then warm up and count as one goes."""
        await contender.body.tidy()
        await self._idle(contender)
        await self._round(contender, 0)

    async def later(self, contenders: Sequence[Contender]) -> None:
        """Go round the contenders until every slice has been repeated."""
        plan = self.bench.plan
        dice = random.Random(f"{plan.seed}/rounds")
        for number in range(1, plan.pace.rounds):
            self.bench.tell(f"counted once; again, in another order: round {number + 1} of {plan.pace.rounds}")
            for contender in dice.sample(contenders, len(contenders)):
                async with self.bench.turn(contender):
                    await self._round(contender, number)

    async def aside(self, part: Part, contenders: Sequence[Contender], point: Any) -> None:
        """Count contenders that hold other data than the planned, at one swept value, round by round."""
        plan = self.bench.plan
        for number in range(plan.pace.rounds):
            for contender in contenders:
                async with self.bench.turn(contender):
                    for op in plan.dive.operations.values():
                        if number == 0:
                            await self._warm(contender, point, op)
                        await self._slice(contender, point, op, number, part)
                    await self.bench.judge(contender, self.bench.segments[-1])

    def utilisation(self, contender: Contender, point: Any, rates: dict[str, float]) -> float:
        """Return the share of the system's cores that these rates would take."""
        demand = sum(rate * self.needs[contender.approach, point, op].cpu_s for op, rate in rates.items())
        return demand / len(self.bench.placement.system)

    # ── slices ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _warm(self, contender: Contender, point: Any, op: Operation) -> None:
        """Learn roughly what the operation needs, and let whatever happens only once happen now."""
        for part in ("warm", "try"):
            meter = self.bench.meter(contender)
            await meter.start()
            for index in range(WARM):
                await self._ask(contender, op, self._turn(f"{part}/{op.name}", index, point), f"{part}/{index}")
            await self._settle(contender, op)
            used = await meter.stop()
            need = Need.of(used.system_s / WARM, self.bench.plan.pace.slice_s)
            self.needs[contender.approach, point, op.name] = need
            if need.cpu_s > HEAVY_S:
                break  # seen well enough, and too dear to do again

    async def _idle(self, contender: Contender) -> None:
        """See what is used while nothing is asked; a machine that others use already is given a few moments."""
        point, share = self.bench.plan.points[0], 0.0
        for _ in range(IDLES):
            meter = self.bench.meter(contender)
            await meter.start()
            await asyncio.sleep(IDLE_S)
            used = await meter.stop()
            checks = gates.idle(used, os.cpu_count() or 1, counting=not self.bench.plan.order)
            self.bench.write(
                self.bench.segment(contender, "census", IDLE, point, IDLE_S, done={}, used=used, checks=checks)
            )
            share = used.foreign_s / used.covers_s
            if not gates.broken(checks):
                self.bench.idle_s = min(self.bench.idle_s, share)
                return
        says = f"other programs use {share:.2g} of a core while nothing is asked"
        raise Void(f"{says}: end them, or dive when they are done")

    async def _round(self, contender: Contender, number: int) -> None:
        plan = self.bench.plan
        dice = random.Random(f"{plan.seed}/round/{number}")
        for point in plan.points:
            ops = list(plan.dive.operations.values())
            dice.shuffle(ops)
            for op in ops:
                if number == 0:
                    await self._warm(contender, point, op)
                segment = await self._slice(contender, point, op, number)
                if number == 0:
                    self.bench.tell(_row(segment, op.name))
            if number == 0 and len(ops) > 1 and plan.pace.mix_s:
                await self._mix(contender, point)
            await self.bench.judge(contender, self.bench.segments[-1])

    async def _slice(
        self, contender: Contender, point: Any, op: Operation, number: int, part: Part = "census"
    ) -> Segment:
        for again in range(AGAIN + 1):
            segment = await self._pure(contender, point, op, number, part)
            self.bench.write(segment)
            if segment.valid or again == AGAIN or self.bench.spare_s() < segment.seconds:
                return segment
        raise AssertionError("a slice is done at least once")

    async def _pure(self, contender: Contender, point: Any, op: Operation, number: int, part: Part) -> Segment:
        need = self.needs[contender.approach, point, op.name]
        gap_s = need.cpu_s / UTILISATION
        key = f"census/{number}/{op.name}"
        done = lesser = 0
        meter = self.bench.meter(contender)
        await meter.start()
        start = time.perf_counter()
        for index in range(need.n):
            wait_s = start + index * gap_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            answered = await self._ask(contender, op, self._turn(key, index, point), f"{key}/{index}")
            done += answered is not None
            lesser += answered == "degraded"
            if need.cpu_s > HEAVY_S:
                await self._settle(contender, op)
        lasted_s = time.perf_counter() - start
        await self._settle(contender, op)
        used = await meter.stop()
        checks = [
            *gates.machine(used, self.bench.placement, idle_s=self.bench.idle_s, counting=True),
            *gates.work({op.name: need.n}, {op.name: done}),
            *gates.whole(done, lesser, counting=True),
        ]
        return self.bench.segment(
            contender,
            part,
            op.name,
            point,
            lasted_s,
            done={op.name: done},
            used=used,
            checks=checks,
            rates={op.name: need.n / max(lasted_s, 1e-9)},
        )

    async def _mix(self, contender: Contender, point: Any) -> None:
        """Offer the whole load for a moment: its latencies judge goals, never approaches against each other."""
        plan = self.bench.plan
        assert plan.load is not None
        rates = dict(plan.load.rates)
        slow = min(1.0, UTILISATION / max(self.utilisation(contender, point, rates), 1e-9))
        rates = {op: max(rate * slow, 1.01 / plan.pace.mix_s) for op, rate in rates.items()}
        segment = await self.bench.measured(contender, "census", MIX, point, rates, plan.pace.mix_s, "census/mix")
        self.bench.write(segment)

    # ── one operation ─────────────────────────────────────────────────────────────────────────────────────────────

    def _turn(self, key: str, index: int, point: Any) -> Turn:
        return Turn(f"{self.bench.plan.seed}/{key}/{point}", index, self.bench.plan.dive.swept, point)

    async def _ask(
        self, contender: Contender, op: Operation, turn: Turn, caller: str
    ) -> Literal["whole", "degraded"] | None:
        """Carry out one operation; a dive in which the calm system refuses every one is void, and says why."""
        try:
            answer = await contender.ask(op, turn, caller, kept=not op.reads)
        except (Refusal, EngineError, TimeoutError, OSError) as said:
            self.last_no = str(said).partition("\n")[0] or type(said).__name__
            return None
        except Exception:
            contender.no_faults()
            raise
        return "degraded" if contender.dive.degraded(op.name, answer) else "whole"

    async def _settle(self, contender: Contender, op: Operation) -> None:
        if not await contender.settled():
            raise Void(contender.unsettled(op.name))


def _row(segment: Segment, op: str) -> str:
    """One line of what was just counted, to be read while the rest goes on."""
    n = segment.done.get(op, 0)
    if not n:
        return f"{segment.approach}: not one {op} succeeded"
    counts = ", ".join(
        f"{total / n:,.6g} {resource.removesuffix('s') if total == n else resource}"
        for resource, total in segment.counts.get(op, {}).items()
        if resource != "bytes"
    )
    cpu_ms, at = 1000 * segment.used_s() / n, figures.point(segment.point)
    return f"{segment.approach}: {op} at {at} takes {counts or 'no engine'}, {cpu_ms:.3g} ms of CPU"
