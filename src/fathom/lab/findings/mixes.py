"""What a mix of operations needed beside the sum of what each of them needs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum

import numpy as np

from fathom.lab.findings.book import at
from fathom.lab.findings.census import Cost
from fathom.lab.runs import IDLE, MIX, Plan, Point, Segment
from fathom.lab.stats import Interval, spread

__all__ = ["OF_RANGE", "mixes", "of_range"]

OF_RANGE = 0.9  # what the least and the greatest of some values are taken to hold


def mixes(
    plan: Plan, segments: Sequence[Segment], approach: str, point: Point, costs: Mapping[str, Cost | None]
) -> list[tuple[Segment, float]]:
    """Return the segments of the mix, each with its CPU over what unit costs and the idle system add up to.

    `costs` are those of one operation alone, by operation. With one operation in the load its mix is the pure slice,
    and there is nothing to compare.
    """
    if len(plan.ops) < 2:
        return []
    mine = [s for s in at(segments, approach) if s.valid]
    idle = [s.used_s() / s.seconds for s in mine if s.part == "census" and s.slice == IDLE and s.seconds > 0]
    still = spread(idle).value if idle else 0.0
    found: list[tuple[Segment, float]] = []
    for segment in mine:
        if segment.part not in ("census", "flip", "duel") or segment.slice != MIX or segment.point != point:
            continue
        each = [(n, costs.get(op)) for op, n in segment.done.items() if op in plan.ops and n]
        if not each or any(cost is None for _, cost in each):
            continue
        foretold = still * segment.seconds + fsum(n * cost.total.value for n, cost in each if cost)
        if foretold > 0:
            found.append((segment, segment.used_s() / foretold))
    return found


def of_range(ratios: Sequence[float]) -> Interval:
    """Return the median of what was seen, and its range."""
    return Interval(float(np.median(ratios)), min(ratios), max(ratios), OF_RANGE)
