"""Where total cost flips along the mix of operations: computed from unit costs, then held against runs near it.

One operation (the one asked most often: usually the read) is the axis; the others are taken in their proportion. Two
approaches cost the same where  w_a + r·h_a = w_b + r·h_b,  w being the others' cost and h the axis operation's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import fsum
from typing import Literal

from fathom.lab.findings.book import Book, at, name_of
from fathom.lab.findings.census import BISECTED, Cost, unit_cost, visited
from fathom.lab.runs import DELTA, IDLE, Plan, Point, Segment
from fathom.lab.stats import Interval, ratio_of, spread

__all__ = ["Axis", "Flip", "axis_of", "cost_at", "flips", "note_costs", "note_flips"]


@dataclass(frozen=True)
class Axis:
    """The operation whose share varies, and the shares of the others (they sum to one)."""

    often: str
    others: dict[str, float]

    @property
    def says(self) -> str:
        return f"{self.often} per {' + '.join(self.others)}"


@dataclass(frozen=True)
class Flip:
    """Which of two approaches costs less on either side of a ratio; `kind` says whether there is one."""

    point: Point
    kind: Literal["flips", "dominates", "can't tell"]
    below: str  # cheaper where the axis operation is rarer; with "dominates" cheaper everywhere
    above: str
    ratio: Interval | None
    n: int  # operations that the unit costs come from
    segments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.below}|{self.above}"


def rates_of(plan: Plan) -> dict[str, float]:
    """Return the mix that the decision is for: the target's where one is named, else the load's."""
    return dict(plan.target.per_s) if plan.target and plan.target.per_s else dict(plan.load.rates)


def axis_of(plan: Plan) -> Axis | None:
    """Return the axis of the mix, or None where there is only one operation."""
    rates = rates_of(plan)
    if len(rates) < 2:
        return None
    often = max(rates, key=lambda op: rates[op])
    others = {op: rate for op, rate in rates.items() if op != often}
    whole = fsum(others.values())
    return Axis(often, {op: rate / whole for op, rate in others.items()})


@dataclass(frozen=True)
class _Sides:
    """What an approach costs on both sides of the axis."""

    write: Interval
    read: Interval
    n: int
    segments: frozenset[str]


def _sides(plan: Plan, segments: Sequence[Segment], approach: str, point: Point, axis: Axis) -> _Sides | None:
    often = unit_cost(plan, segments, approach, point, axis.often)
    rest = [(share, unit_cost(plan, segments, approach, point, op)) for op, share in axis.others.items()]
    if often is None or any(cost is None for _, cost in rest):
        return None
    write, n, ids = Interval(0.0, 0.0, 0.0, 1.0), often.n, set(often.segments)
    for share, cost in rest:
        assert cost is not None
        write += cost.sure.scaled(share)
        n += cost.n
        ids |= set(cost.segments)
    return _Sides(write, often.sure, n, frozenset(ids))


def _minus(a: Interval, b: Interval) -> Interval:
    return Interval(a.value - b.value, a.low - b.high, a.high - b.low, min(a.level, b.level))


def flips(plan: Plan, segments: Sequence[Segment], point: Point) -> list[Flip]:
    """Return for every two approaches where the cheaper one changes; pure, so that a runner can ask as it goes."""
    axis = axis_of(plan)
    if axis is None:
        return []
    found: list[Flip] = []
    for a, b in combinations(plan.names, 2):
        of_a, of_b = (_sides(plan, segments, name, point, axis) for name in (a, b))
        if of_a is None or of_b is None:
            continue
        n, ids = of_a.n + of_b.n, tuple(sorted(of_a.segments | of_b.segments))
        writes = _minus(of_a.write, of_b.write)  # what a's writes cost more
        reads = _minus(of_b.read, of_a.read)  # what b's reads cost more
        if writes.value < 0:  # name them so that a is the one with the dearer writes
            a, b, writes, reads = b, a, _negated(writes), _negated(reads)
        dearer_writes = _matters(writes, of_a.write, of_b.write)
        if dearer_writes and _matters(reads, of_a.read, of_b.read):
            found.append(Flip(point, "flips", b, a, ratio_of(writes, reads), n, ids))
        elif dearer_writes and _matters(_negated(reads), of_a.read, of_b.read):
            found.append(Flip(point, "dominates", b, a, None, n, ids))
        else:
            at = writes.value / reads.value if reads.value > 0 else math.inf
            high = writes.high / reads.low if reads.low > 0 else math.inf
            low = max(0.0, writes.low) / reads.high if reads.high > 0 else math.inf
            ratio = Interval(at, low, high, writes.level) if math.isfinite(at) else None
            found.append(Flip(point, "can't tell", b, a, ratio, n, ids))
    return found


def _matters(more: Interval, one: Interval, other: Interval) -> bool:
    """Whether a difference is surely one, and large enough to be called one: of few slices, equals part by chance."""
    return more.low > 0 and more.value > DELTA * min(one.value, other.value)


def _negated(a: Interval) -> Interval:
    return Interval(-a.value, -a.high, -a.low, a.level)


def note_flips(book: Book) -> None:
    """Note every flip at every swept value, and what the runs near it showed."""
    axis = axis_of(book.plan)
    if axis is None:
        return
    for point in book.plan.swept.values:
        for flip in flips(book.plan, book.segments, point):
            book.add(
                name_of("flip", point, f"{flip.below}|{flip.above}"),
                part="census",
                how="flip",
                interval=flip.ratio,
                point=point,
                approach=flip.below,
                versus=flip.above,
                measure=axis.says,
                n=flip.n,
                over="the spread of the unit costs",
                verdict=flip.kind,
                detail={"below": flip.below, "above": flip.above, "often": axis.often, "others": axis.others},
                sources=list(flip.segments),
            )
    _checks(book, axis)


def _checks(book: Book, axis: Axis) -> None:
    """Whether the side that was computed to be cheaper is cheaper when it is run."""
    near: dict[tuple[Point, str], list[Segment]] = {}
    for segment in book.of("flip"):
        if segment.flip:
            near.setdefault((segment.point, segment.flip), []).append(segment)
    for (point, label), segments in near.items():
        below, above, times = label.split("|")
        cheaper, dearer = (below, above) if float(times) < 1 else (above, below)
        costs = [_measured(book, segments, name, point, axis) for name in (cheaper, dearer)]
        if None in costs:
            continue
        first, second = costs
        assert first is not None and second is not None
        ratio = ratio_of(first, second)
        verdict = "held" if ratio.high < 1 else "failed" if ratio.low > 1 else "can't tell"
        computed = {str(f): f.ratio for f in flips(book.plan, book.segments, point)}.get(f"{below}|{above}")
        done = {op: sum(s.done.get(op, 0) for s in segments) for op in (axis.often, *axis.others)}
        mix = done[axis.often] / max(1, sum(done[op] for op in axis.others))
        says = ""
        if computed and computed.low <= mix <= computed.high:
            verdict, says = "can't tell", "the interval of the flip holds this mix, so either side would do"
        book.add(
            name_of("flip-check", point, label),
            part="flip",
            how="flip check",
            interval=ratio,
            point=point,
            approach=cheaper,
            versus=dearer,
            measure="cpu_s",
            unit="x",
            n=sum(done.values()),
            over=f"{len(segments)} slices, as wide as the unit costs",
            verdict=verdict,
            says=says,
            detail={
                "times": float(times),
                "costs": {cheaper: first.value, dearer: second.value},
                "mix": mix,
            },
            sources=[s.id for s in segments],
        )


def _measured(book: Book, segments: list[Segment], approach: str, point: Point, axis: Axis) -> Interval | None:
    """CPU per weighted write in the slices near the flip; a single slice gets the relative spread of the unit costs."""
    mine = [s for s in at(segments, approach) if sum(s.done.get(op, 0) for op in axis.others)]
    if not mine:
        return None
    census = [s for s in at(book.of("census"), approach) if s.slice == IDLE]
    idle = [s.used_s() / s.seconds for s in census]
    off = spread(idle).value if idle else 0.0
    costs = []
    for s in mine:
        used = s.used_s() - off * s.seconds
        costs.append(used / sum(s.done.get(op, 0) for op in axis.others))
    whole = spread(costs)
    if len(mine) > 1:
        return whole
    sides = _sides(book.plan, book.segments, approach, point, axis)
    spreads = [(s.high - s.low) / 2 / s.value for s in (sides.write, sides.read) if s.value > 0] if sides else []
    wide = min(max(spreads, default=1.0), 1.0)
    return Interval(whole.value, whole.value * (1 - wide), whole.value * (1 + wide), whole.level)


# What a mix costs ----------------------------------------------------------------------------------------------------


def cost_at(plan: Plan, segments: Sequence[Segment], approach: str, point: Point) -> Cost | None:
    """Return the CPU seconds of an average operation of the mix that the decision is for."""
    rates = rates_of(plan)
    if not rates:
        return None
    whole = fsum(rates.values())
    total, n, slices, ids = Interval(0.0, 0.0, 0.0, 1.0), 0, 0, set[str]()
    for op, rate in rates.items():
        cost = unit_cost(plan, segments, approach, point, op)
        if cost is None:
            return None
        total += cost.sure.scaled(rate / whole)
        n, slices, ids = n + cost.n, slices + cost.slices, ids | set(cost.segments)
    return Cost(total, {}, n, slices, tuple(sorted(ids)))


def note_costs(book: Book) -> None:
    """Note what an average operation of the mix costs in CPU, per approach and swept value."""
    rates = rates_of(book.plan)
    for approach in book.plan.names:
        between = visited(book.plan, book.segments, approach)
        for point in [*book.plan.swept.values, *between]:
            cost = cost_at(book.plan, book.segments, approach, point)
            if cost is not None:
                book.add(
                    name_of("cost", approach, point),
                    part=BISECTED if point in between else "census",
                    how="cost",
                    interval=cost.total,
                    approach=approach,
                    point=point,
                    measure="cpu_s",
                    unit="s",
                    n=cost.n,
                    over="the spread of the unit costs",
                    detail={"rates": rates},
                    sources=list(cost.segments),
                )
