"""Which is faster when all is calm: short segments at one operating point, in balanced blocks, beside an A/A twin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fathom.lab import gates
from fathom.lab.bench import Bench, Void
from fathom.lab.body import Contender
from fathom.lab.census import Census
from fathom.lab.findings import unit_cost
from fathom.lab.plan import TURN_S
from fathom.lab.runs import MIX, Segment
from fathom.lab.stats import BLOCKS_MIN

__all__ = ["Duel", "Ground", "operating_point"]

UTILISATION = 0.6  # of the slower approach's capacity: beyond it the race is about queues
STUMBLES = 2  # segments that one block may do again before it is void as a whole


class Ground:
    """Where the race is run: a swept value, and rates that every approach can take."""

    def __init__(self, point: Any, rates: Mapping[str, float], says: str = "") -> None:
        self.point, self.rates, self.says = point, dict(rates), says


def demand_s(census: Census, contender: Contender, point: Any, rates: Mapping[str, float]) -> float:
    """Return the CPU seconds per second that a load takes of a contender's engines and service."""
    bench = census.bench
    raw, whole = bench.raw, 0.0
    for op, rate in rates.items():
        cost = unit_cost(raw, bench.segments, contender.approach, point, op)
        each = cost.total.high if cost else census.needs[contender.approach, point, op].cpu_s
        whole += rate * max(each, 0.0)
    return whole


def operating_point(census: Census, contenders: Mapping[str, Contender]) -> Ground:
    """Return the planned point, or the largest before it at which the slowest approach keeps room to breathe."""
    plan = census.bench.plan
    assert plan.load is not None
    room_s = UTILISATION * len(plan.placement.system)

    def fits(point: Any, rates: Mapping[str, float]) -> float:
        worst = max(demand_s(census, contender, point, rates) for contender in contenders.values())
        return room_s / max(worst, 1e-9)

    upto = plan.points[: plan.points.index(plan.middle) + 1]
    for point in reversed(upto):
        if fits(point, plan.duel_rates) >= 1:
            moved = "" if point == plan.middle else f"{plan.dive.swept}={plan.middle} is too dear; raced at {point}"
            return Ground(point, plan.duel_rates, moved)
        share = fits(point, plan.load.rates)
        if share >= 1:
            rates = {op: max(rate, min(plan.duel_rates[op], rate * share)) for op, rate in plan.load.rates.items()}
            share = min(1.0, fits(point, rates))
            rates = {op: plan.load.rates[op] + (rate - plan.load.rates[op]) * share for op, rate in rates.items()}
            return Ground(point, rates, f"at {plan.dive.swept}={point} a higher rate than {_said(rates)} would queue")
    point = upto[0]
    share = fits(point, plan.load.rates)
    rates = {op: rate * share for op, rate in plan.load.rates.items()}
    return Ground(point, rates, f"the load is more than the slowest approach can take: raced at {_said(rates)}")


class Duel:
    """Runs the blocks in their order; a disturbed one is void as a whole and done again while time is left."""

    def __init__(self, bench: Bench, ground: Ground) -> None:
        self.bench, self.ground = bench, ground
        self._tripped: Counter[str] = Counter()

    async def run(self, contenders: Mapping[str, Contender]) -> None:
        plan = self.bench.plan
        valid = ran = 0
        for number, row in enumerate(plan.order):
            cost_s = len(row) * (plan.segment_s + TURN_S)
            if self.bench.left_s() < cost_s:  # the clock decides, which knows nothing of who is ahead
                self.bench.tell(f"no time is left for {len(plan.order) - ran} of {len(plan.order)} blocks")
                break
            ran += 1
            while not await self._block(number, [contenders[name] for name in row]):
                if self.bench.spare_s() < cost_s:
                    break
                self.bench.tell(f"block {number + 1} was disturbed ({self._why()}); again")
            else:
                valid += 1
                self.bench.tell(f"block {number + 1} of {len(plan.order)} raced")
        if valid < min(BLOCKS_MIN, ran):
            raise Void(f"only {valid} of {ran} blocks of the duel were undisturbed: {self._why()}")

    async def _block(self, number: int, row: list[Contender]) -> bool:
        """Run one block; return whether it stands. Who was disturbed may run again at once, while all are near."""
        ran: list[Segment] = []
        stumbles = 0
        try:
            for contender in row:
                while True:
                    async with self.bench.turn(contender):
                        segment = await self._segment(contender, number)
                    ran.append(segment)
                    if segment.valid:
                        break
                    self._tripped.update(gate.name for gate in gates.broken(segment.gates))
                    stumbles += 1
                    if stumbles > STUMBLES:
                        return False
            stands = True
        except BaseException:
            stands = False
            raise
        finally:
            whole = len([segment for segment in ran if segment.valid]) == len(row)
            for segment in ran:
                segment.valid = segment.valid and whole
                self.bench.write(segment)
        return stands

    async def _segment(self, contender: Contender, number: int) -> Segment:
        plan = self.bench.plan
        return await self.bench.measured(
            contender,
            "duel",
            MIX,
            self.ground.point,
            self.ground.rates,
            plan.segment_s,
            f"duel/{number}",
            block=number,
        )

    def _why(self) -> str:
        return ", ".join(f"{name} {n} times" for name, n in self._tripped.most_common(3)) or "nothing"


def _said(rates: Mapping[str, float]) -> str:
    return ", ".join(f"{op} {rate:.3g}/s" for op, rate in rates.items())
