"""Does the cheaper approach change where it was computed to: the dive is run on either side of that mix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fathom.lab.bench import Bench
from fathom.lab.body import Contender
from fathom.lab.census import Census
from fathom.lab.duel import demand_s
from fathom.lab.findings import Flip, axis_of, flips, unit_cost
from fathom.lab.plan import FLIP_SLICES, FLIPS
from fathom.lab.runs import Point
from fathom.lab.stats import Interval

__all__ = ["near_the_flip", "sides", "worth_running"]

UTILISATION = 0.5
WRITES = 6  # of the rarer operations in a slice: fewer say little
SLICE_S_MAX = 4.0
AGAIN = 1  # a disturbed slice is done again so often
SURE = 8.0  # the highest ratio that the flip may be at, over the lowest: beyond it "near" means nothing
BEYOND = 1.25  # so far outside the flip's own interval it is run at least


async def near_the_flip(census: Census, contenders: Mapping[str, Contender], point: Any) -> None:
    """Run slices at half and at twice the computed ratio, with the two approaches that it is between."""
    bench = census.bench
    flip = worth_running(bench, point)
    axis = axis_of(bench.raw)
    if flip is None or axis is None or flip.ratio is None:
        bench.tell("no mix was found at which the cheaper approach changes for sure")
        return
    pair = [contenders[flip.below], contenders[flip.above]]
    bench.tell(f"{flip.below} and {flip.above} cost the same at about {flip.ratio.value:,.4g} {axis.says}")
    for times in sides(flip):
        if bench.left_s() < 2 * FLIP_SLICES * SLICE_S_MAX:
            bench.tell("no time is left to run near it")
            return
        mix = {axis.often: flip.ratio.value * times, **axis.others}
        dearest_s = max(demand_s(census, contender, flip.point, mix) for contender in pair)
        pace = UTILISATION * len(bench.placement.system) / dearest_s  # mixes per second
        lasts_s = min(SLICE_S_MAX, WRITES / pace)
        rates = {op: share * pace for op, share in mix.items()}
        for number in range(FLIP_SLICES):
            for contender in pair if number % 2 else pair[::-1]:
                for _ in range(AGAIN + 1):
                    async with bench.turn(contender):
                        segment = await bench.measured(
                            contender,
                            "flip",
                            "mix",
                            flip.point,
                            rates,
                            lasts_s,
                            f"flip/{times}/{number}",
                            flip=f"{flip}|{times:.4g}",
                        )
                    bench.write(segment)
                    if segment.valid or bench.spare_s() < lasts_s:
                        break


def worth_running(bench: Bench, point: Point) -> Flip | None:
    """Return the flip that is known best: at this point if there is one, else at another.

    Both approaches must be the cheapest there are at that mix; where a third one is cheaper, nobody would care.
    """
    for at in sorted(bench.plan.points, key=lambda other: other != point):
        sure = [flip for flip in flips(bench.raw, bench.segments, at) if _width(flip) <= SURE and _matters(bench, flip)]
        if sure:
            return min(sure, key=_width)
    return None


def sides(flip: Flip) -> tuple[float, float]:
    """Return at which multiples of the flip's ratio to run: half and twice, or just outside of its own interval."""
    ratio = flip.ratio
    assert ratio is not None
    below, above = FLIPS
    return min(below, ratio.low / ratio.value / BEYOND), max(above, ratio.high / ratio.value * BEYOND)


def _width(flip: Flip) -> float:
    ratio = flip.ratio
    if flip.kind != "flips" or ratio is None or ratio.low <= 0:
        return math.inf
    return ratio.high / ratio.low


def _matters(bench: Bench, flip: Flip) -> bool:
    """Whether no other approach is surely cheaper where these two cost the same."""
    axis = axis_of(bench.raw)
    assert axis is not None and flip.ratio is not None
    mix = {axis.often: flip.ratio.value, **axis.others}
    costs = {name: _cost(bench, name, flip.point, mix) for name in bench.plan.choices}
    here = [cost.low for name in (flip.below, flip.above) if (cost := costs[name])]
    others = [cost.high for name, cost in costs.items() if cost and name not in (flip.below, flip.above)]
    return all(high >= min(here, default=0.0) for high in others)


def _cost(bench: Bench, approach: str, point: Point, mix: Mapping[str, float]) -> Interval | None:
    """CPU seconds of a mix of operations."""
    whole = Interval(0.0, 0.0, 0.0)
    for op, share in mix.items():
        cost = unit_cost(bench.raw, bench.segments, approach, point, op)
        if cost is None:
            return None
        whole += cost.total.scaled(share)
    return whole
