"""Does the cheaper approach change where it was computed to: the dive is run on either side of that mix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fathom.lab.bench import Bench
from fathom.lab.body import Contender
from fathom.lab.census import Census
from fathom.lab.duel import demand_s
from fathom.lab.findings import Flip, axis_of, flips
from fathom.lab.plan import FLIP_SLICES, FLIPS
from fathom.lab.runs import Point

__all__ = ["near_the_flip", "worth_running"]

UTILISATION = 0.5
WRITES = 6  # of the rarer operations in a slice: fewer say little
SLICE_S_MAX = 4.0
AGAIN = 1  # a disturbed slice is done again so often


async def near_the_flip(census: Census, contenders: Mapping[str, Contender], point: Any) -> None:
    """Run slices at half and at twice the computed ratio, with the two approaches that it is between."""
    bench = census.bench
    flip = worth_running(bench, point)
    if flip is None:
        bench.tell("no mix was found at which the cheaper approach changes for sure")
        return
    axis = axis_of(bench.raw)
    assert axis is not None and flip.ratio is not None
    pair = [contenders[flip.below], contenders[flip.above]]
    bench.tell(f"{flip.below} and {flip.above} cost the same at about {flip.ratio.value:,.4g} {axis.says}")
    for times in FLIPS:
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
                            flip=f"{flip}|{times:g}",
                        )
                    bench.write(segment)
                    if segment.valid or bench.spare_s() < lasts_s:
                        break


def worth_running(bench: Bench, point: Point) -> Flip | None:
    """Return a sure flip at this point, else at another one; of several the one that is cheapest to reach."""
    points = sorted(bench.plan.points, key=lambda other: other != point)
    for at in points:
        sure = [flip for flip in flips(bench.raw, bench.segments, at) if flip.kind == "flips" and flip.ratio]
        if sure:
            return min(sure, key=lambda flip: flip.ratio.value if flip.ratio else 0.0)
    return None
