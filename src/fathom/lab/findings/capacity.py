"""How much of its load an approach can take while every goal holds, and what was foretold of it.

Capacity is the largest rate at which the goals hold (METHOD, load 5), not the largest throughput. What was foretold is
the utilisation law's bound (Denning & Buzen 1978): the multiple of the load at which the cores are full, by the line
through the mix at two multiples that keep them a quarter and half busy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import fsum
from typing import Any

from fathom.lab.findings.book import Book, at, name_of
from fathom.lab.findings.census import QUANTILES, unit_cost
from fathom.lab.runs import Plan, Point, Samples, Segment
from fathom.lab.scale.forecast import Line
from fathom.lab.stats import Interval, quantile_bounds

__all__ = ["busy", "by_costs", "foretold", "misses", "note_capacity", "times_of"]

WORDS = {
    "drift": "its queue never emptied",
    "left over": "requests were left over",
    "errors": "requests failed",
    "successes": "nothing succeeded",
}
EASE = 1.02  # a step has whole numbers of requests, so its rate is not quite the one that was asked for
NEAR = 1.1  # the first that was too much, over the last that held: nearer need they not be
BEND = 0.33  # of the slope, near full cores: what knees of the timeline were beside their lines (docs/decisions/10)
IDLE = 0.15  # of the cores: who is less busy wakes up for nearly every request, and says little about who is busy
OFF = 0.2  # a knee that is further than this from what was foretold, and outside its interval, was not foretold


def note_capacity(book: Book) -> None:
    """Note the capacity of every approach whose load was raised until it was too much."""
    ran = book.of("capacity")
    for approach in book.plan.names:
        mine = [s for s in ran if s.approach == approach and not s.fits]
        if mine:
            _note(book, approach, mine)


def misses(plan: Plan, segment: Segment, samples: Samples | None) -> str:
    """Say what did not hold in a segment: what it could not keep up with, or a goal that it surely missed."""
    behind = [gate for gate in segment.kept_up if not gate.ok and gate.name != "busy"]
    if behind:
        return WORDS.get(behind[0].name, behind[0].name)
    for aim in plan.goals:
        if samples is None or aim.measure not in QUANTILES or aim.op not in samples.ops:
            continue
        ns = samples.took_ns(aim.op)
        if len(ns) and quantile_bounds(ns, QUANTILES[aim.measure]).low / 1e9 >= aim.less_than:
            return f"the goal for {aim.op}.{aim.measure}"
    return ""


def foretold(plan: Plan, segments: Sequence[Segment], approach: str, point: Point, cores: int) -> Interval | None:
    """Return the multiple of the plan's load at which an approach would fill its cores, by its mix at low multiples."""
    low = [s for s in at(segments, approach, point) if s.part == "capacity" and s.fits and s.valid]
    points = [(times_of(plan, s), busy(s)) for s in low if all(gate.ok for gate in s.kept_up)]
    line = Line.through([it for it in points if it[1] >= IDLE * cores]) or Line.through(points)
    return line.reaches(cores, BEND) if line else None


def by_costs(plan: Plan, segments: Sequence[Segment], approach: str, point: Point, cores: int) -> Interval | None:
    """Return the same from the costs of single operations alone, before any mix was run; None without them."""
    whole = Interval(0.0, 0.0, 0.0)
    for op, rate in plan.load.rates.items():
        cost = unit_cost(plan, segments, approach, point, op)
        if cost is None:
            return None
        whole += cost.sure.scaled(rate)
    if whole.value <= 0:
        return None
    low = cores / whole.high if math.isfinite(whole.high) else 0.0
    return Interval(cores / whole.value, low, cores / whole.low if whole.low > 0 else math.inf, whole.level)


def _note(book: Book, approach: str, ran: list[Segment]) -> None:
    """Note the last multiple that held and the first that did not; between them lies the capacity."""
    plan, point = book.plan, ran[0].point
    held: list[float] = []
    failed: dict[float, str] = {}
    for segment in ran:
        why = misses(plan, segment, book.run.samples(segment))
        times = times_of(plan, segment)
        if why:
            failed[times] = why
        else:
            held.append(times)
    low = max((times for times in held if times < min(failed, default=math.inf)), default=0.0)
    high = min(failed, default=math.inf)
    bracketed = low > 0 and high < math.inf
    cores = len(ran[0].placement.get("system", [])) or 1
    told = foretold(plan, book.segments, approach, point, cores)
    middle = math.sqrt(low * high) if bracketed else None
    off = middle / told.value - 1 if middle and told else None
    near = off is not None and told is not None and (abs(off) <= OFF or told.meets(low, high))
    detail: dict[str, Any] = {"cores": cores, "off": off, "why": failed.get(high, "")}
    if told is not None:
        detail["foretold"] = [_finite(end) for end in (told.value, told.low, told.high)]
    if costs := by_costs(plan, book.segments, approach, point, cores):
        detail["by costs"] = _finite(costs.value)
    book.add(
        name_of("capacity", approach),
        part="capacity",
        how="capacity",
        approach=approach,
        point=point,
        unit="x",
        value=middle,
        low=low,
        high=high,
        n=sum(sum(segment.done.values()) for segment in ran),
        over=f"{len(ran)} steps",
        verdict="can't tell" if off is None or high / low > NEAR * EASE else "held" if near else "failed",
        says="" if bracketed else "no rate that held was found" if not held else "no rate was too much",
        detail=detail,
        sources=[segment.id for segment in ran],
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON knows no infinity


def times_of(plan: Plan, segment: Segment) -> float:
    """Return which multiple of the load was offered."""
    return fsum(segment.rates.values()) / fsum(plan.load.rates.values())


def busy(segment: Segment) -> float:
    """Return how many cores the system's processes kept busy."""
    return segment.used_s() / segment.lasts_s
