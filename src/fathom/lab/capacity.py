"""How much of its load can each approach take while the goals hold: the load is raised until it is too much.

Halving between the last multiple that held and the first that did not (bisection), by ratio, until both are near each
other. It begins where a line through two low multiples says that the cores are full: few steps, if that is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fathom.lab.bench import Bench
from fathom.lab.body import Contender
from fathom.lab.findings.capacity import NEAR, busy, by_costs, foretold, misses, times_of
from fathom.lab.plan import FITS, LOW, PILOTS, STEP_S, TURN_S
from fathom.lab.runs import MIX, Segment

__all__ = ["Bracket", "Capacity", "full_at", "low_rates", "nearer"]

FIRST = 0.8  # of what was foretold: a queue grows before the cores are full
FURTHER = 4.0  # by so much at most does a pilot change where the cores are thought to be full
WIDER = 1.5  # how far it goes on while one side is not known


class Bracket:
    """The multiples of a load between which its capacity lies, as far as they are known."""

    def __init__(self, first: float) -> None:
        self.held, self.failed, self._first = 0.0, math.inf, first

    @property
    def found(self) -> bool:
        return self.held > 0 and self.failed / self.held <= NEAR

    def next(self) -> float:
        """Return the multiple to try next."""
        if not self.held and self.failed == math.inf:
            return self._first
        if self.failed == math.inf:
            return self.held * WIDER
        if not self.held:
            return self.failed / WIDER
        return math.sqrt(self.held * self.failed)

    def saw(self, times: float, held: bool) -> None:
        if held:
            self.held = max(self.held, times)
        else:
            self.failed = min(self.failed, times)


class Capacity:
    """Takes every approach to the rate at which a goal is missed, or it no longer keeps up."""

    def __init__(self, bench: Bench, point: Any) -> None:
        self.bench, self.point = bench, point

    async def run(self, contenders: Sequence[Contender]) -> None:
        """Go on with each until its bracket is narrow, or its steps or the time are used up."""
        for contender in contenders:
            await self._fit(contender)
            bracket = Bracket(FIRST * full_at(self.bench, contender.approach, self.point))
            for step in range(self.bench.plan.pace.steps):
                if bracket.found or self.bench.left_s() < STEP_S + 2 * TURN_S:
                    break
                load, times = self.bench.raw.load.rates, bracket.next()
                segment = await self._step(contender, {op: rate * times for op, rate in load.items()}, str(step))
                if segment.valid:
                    bracket.saw(times, not self._misses(segment))
            self.bench.tell(f"{contender.name} holds its goals up to {_said(bracket)} times the load")

    async def _fit(self, contender: Contender) -> None:
        """Offer little of the load, at two rates, for a line that says where the cores are full; then say it.

        What single operations cost says where to begin. Who is asked more wakes up less often for each, so that this
        alone would look far below: pilots say how busy the cores are there, and with that where they are half busy.
        """
        bench, cores = self.bench, len(self.bench.placement.system)
        full = full_at(bench, contender.approach, self.point)
        for number in range(PILOTS + FITS):
            rates = low_rates(bench.raw.load.rates, full)
            for each in rates if number >= PILOTS else rates[number : number + 1]:
                if bench.left_s() < STEP_S + 2 * TURN_S:
                    return
                segment = await self._step(contender, each, f"fit/{number}/{sum(each.values()):g}", fits=True)
                if number < PILOTS and segment.valid:
                    full = nearer(full, times_of(bench.raw, segment), busy(segment) / cores)
        if told := foretold(bench.raw, bench.segments, contender.approach, self.point, cores):
            ends = f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})"
            bench.tell(f"foretold: {contender.name} fills its cores at {ends} times the load")

    async def _step(self, contender: Contender, rates: Mapping[str, float], key: str, *, fits: bool = False) -> Segment:
        async with self.bench.turn(contender):
            segment = await self.bench.measured(
                contender, "capacity", MIX, self.point, rates, STEP_S, f"capacity/{key}", seeks=True, fits=fits
            )
        self.bench.write(segment)
        return segment

    def _misses(self, segment: Segment) -> str:
        return misses(self.bench.raw, segment, self.bench.run.read().samples(segment))


def low_rates(load: Mapping[str, float], full: float) -> list[dict[str, float]]:
    """Return the rates of the low multiples: whole numbers of requests in a step, and twice as many in the next."""
    below, above = LOW
    few = {op: max(1, round(rate * below * full * STEP_S)) for op, rate in load.items()}
    return [{op: n * times / STEP_S for op, n in few.items()} for times in (1, above / below)]


def nearer(full: float, times: float, share: float) -> float:
    """Return the multiple that would fill the cores if all of it cost what these cost, of which `share` are busy."""
    return min(max(times / share, full / FURTHER), full * FURTHER) if share > 0 else full


def full_at(bench: Bench, approach: str, point: Any) -> float:
    """Return the multiple of the load at which an approach fills the cores, by the best that is known yet."""
    about = (bench.raw, bench.segments, approach, point, len(bench.placement.system))
    for told in (foretold(*about), by_costs(*about)):
        if told is not None and math.isfinite(told.value) and told.value > 0:
            return told.value
    return 1.0


def _said(bracket: Bracket) -> str:
    if bracket.failed == math.inf:
        return f"more than {bracket.held:.3g}"
    return f"{bracket.held:.3g} to {bracket.failed:.3g}" if bracket.held else f"less than {bracket.failed:.3g}"
