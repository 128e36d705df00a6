"""Where along the swept value the cheaper of two approaches changes: between two measured values, at a factor of two.

A dive visits few values, so at first all that is known is between which of them the costs change places. A deep dive
measures values in between until the ends are a factor of two apart (bisection), or until the two cost the same as far
as anybody can tell. Where in between is read off a straight line in logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np

from fathom.lab.findings.book import Book, name_of
from fathom.lab.findings.census import BISECTED, Cost, visited
from fathom.lab.findings.flips import cost_at
from fathom.lab.runs import Plan, Point, Segment

__all__ = [
    "NEAR",
    "Crossing",
    "Narrowing",
    "changes",
    "cheaper",
    "crossings",
    "note_crossings",
]

NEAR = 2.0  # ends that are at most so far apart, as a ratio, need not be nearer
UNDER = 0.99  # of what two cost where they cross: who costs less than this there undercuts both
CLOSE = 1.15  # values nearer to each other than this are not worth a visit


@dataclass(frozen=True)
class Crossing:
    """`below` costs surely less at `left`, `above` at `right`; between them nobody is sure, or nobody looked."""

    below: str
    above: str
    left: float
    right: float
    at: float  # where a straight line between the two has both cost the same
    cost: float  # what both cost there
    n: int
    sources: tuple[str, ...]
    between: tuple[float, ...] = ()  # values that were run and at which it cannot be told


def crossings(plan: Plan, segments: Sequence[Segment]) -> list[Crossing]:
    """Return every change of sides of every two approaches; pure, so that a runner can ask as it goes."""
    if any(isinstance(v, str) or v <= 0 for v in plan.swept.values):
        return []
    points = sorted({*_numbers(plan.swept.values), *visited(plan, segments)})
    costs = {(n, p): cost for n in plan.names for p in points if (cost := cost_at(plan, segments, n, p)) is not None}
    return [crossing for pair in combinations(plan.names, 2) for crossing in _changes(pair, points, costs)]


def changes(plan: Plan, segments: Sequence[Segment]) -> list[Crossing]:
    """Return the crossings at which the cheapest of all approaches changes; the others are nobody's business."""
    points = sorted(_numbers(plan.swept.values))
    costs = {(n, p): cost for n in plan.names for p in points if (cost := cost_at(plan, segments, n, p)) is not None}

    def dearer(name: str, crossing: Crossing) -> bool:
        line = [(math.log(p), math.log(costs[name, p].total.value)) for p in points if (name, p) in costs]
        xs, ys = zip(*line, strict=True) if line else ((), ())
        between = bool(xs) and xs[0] <= math.log(crossing.at) <= xs[-1]
        return not between or float(np.interp(math.log(crossing.at), xs, ys)) > math.log(crossing.cost * UNDER)

    found = crossings(plan, segments)
    return [c for c in found if all(dearer(n, c) for n in plan.names if n not in (c.below, c.above))]


def _numbers(points: Sequence[Point]) -> list[float]:
    return [p for p in points if not isinstance(p, str)]


def _changes(pair: tuple[str, str], points: list[float], costs: dict[tuple[str, float], Cost]) -> list[Crossing]:
    found: list[Crossing] = []
    known: float | None = None  # the last value at which somebody is surely cheaper
    who, unsure = "", []
    for point in points:
        both = [costs.get((name, point)) for name in pair]
        sure = cheaper(pair, both)
        if both[0] is None or both[1] is None or min(c.total.value for c in both if c) <= 0:
            continue
        if not sure:
            unsure.append(point)
            continue
        if known is not None and sure != who:
            found.append(_crossing(who, sure, (known, point), costs, tuple(unsure)))
        known, who, unsure = point, sure, []
    return found


def cheaper(pair: tuple[str, str], both: Sequence[Cost | None]) -> str:
    """Say who is cheaper as far as the intervals go, or nobody."""
    a, b = both
    if a is None or b is None:
        return ""
    return pair[0] if a.total.high < b.total.low else pair[1] if b.total.high < a.total.low else ""


def _crossing(
    below: str,
    above: str,
    ends: tuple[float, float],
    costs: dict[tuple[str, float], Cost],
    between: tuple[float, ...],
) -> Crossing:
    left, right = ends
    points = (left, *between, right)
    lines = {name: [math.log(costs[name, p].total.value) for p in points] for name in (below, above)}
    gaps = [a - b for a, b in zip(lines[below], lines[above], strict=True)]
    piece = next(n for n, (gap, after) in enumerate(pairwise(gaps)) if gap < 0 <= after)
    share = gaps[piece] / (gaps[piece] - gaps[piece + 1])
    at, cost = (
        math.exp(line[piece] + share * (line[piece + 1] - line[piece]))
        for line in ([math.log(p) for p in points], lines[below])
    )
    mine = [costs[name, end] for name in (below, above) for end in points]
    return Crossing(
        below,
        above,
        left,
        right,
        at,
        cost,
        sum(c.n for c in mine),
        tuple(sorted({id for c in mine for id in c.segments})),
        between,
    )


class Narrowing:
    """Between which values a change lies, as far as it is known, and which value to visit next."""

    def __init__(self, left: float, right: float, *, whole: bool, unsure: Iterable[float] = ()) -> None:
        self.left, self.right, self._whole = left, right, whole
        self.unsure = list(unsure)

    def next(self) -> float | None:
        """Return the value to visit next, or None: the ends are near enough, or nothing more can be told."""
        if self.right / self.left <= NEAR:
            return None
        inner = sorted(self.unsure)
        gaps = [(self.left, inner[0]), (inner[-1], self.right)] if inner else [(self.left, self.right)]
        low, high = max(gaps, key=lambda gap: gap[1] / gap[0])
        if high / low < CLOSE:
            return None
        middle = float(f"{math.sqrt(low * high):.2g}")  # nobody wants a star of 547.7 fans
        middle = float(round(middle)) if self._whole else middle
        return middle if low < middle < high else None

    def saw(self, at: float, side: int) -> None:
        """Note that at this value the one that is cheaper at the left end is (-1), the other is (1), or neither (0)."""
        if side < 0:
            self.left = max(self.left, at)
        elif side > 0:
            self.right = min(self.right, at)
        else:
            self.unsure.append(at)
        self.unsure = [each for each in self.unsure if self.left < each < self.right]


def note_crossings(book: Book) -> None:
    """Note every crossing with the values between which it lies."""
    matters = changes(book.plan, book.segments)
    between_planned = set(visited(book.plan, book.segments))
    for each in crossings(book.plan, book.segments):
        narrowed = between_planned & {each.left, each.right, *each.between}
        between = f"; in between it cannot be told at {', '.join(f'{p:,g}' for p in each.between)}"
        book.add(
            name_of("crossing", f"{each.below}|{each.above}", f"{each.left:g}"),
            part=BISECTED if narrowed else "census",
            how="crossing",
            approach=each.below,
            versus=each.above,
            measure=book.plan.swept.name,
            value=each.at,
            low=each.left,
            high=each.right,
            n=each.n,
            over=f"the values that were run nearest to it{between if each.between else ''}",
            detail={"cost": each.cost, "between": list(each.between), "matters": each in matters},
            sources=list(each.sources),
        )
