"""Between which swept values does the cheapest approach change: values in between are visited, halving the ratio.

Each value is visited with fresh data, in which it stands for one that was planned: the rest of the data is as it was.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from fathom.lab.body import Bodies, Contender
from fathom.lab.census import Census
from fathom.lab.findings import cost_at
from fathom.lab.findings.census import BISECTED
from fathom.lab.findings.crossings import Narrowing, changes, cheaper
from fathom.lab.plan import bisection_s

__all__ = ["narrow", "standing_for"]


async def narrow(census: Census, bodies: Bodies) -> None:
    """Visit values between the planned ones until each change of the cheapest is known to a factor of two."""
    bench, visited = census.bench, 0
    known = changes(bench.raw, bench.segments)
    for change in known:
        pair = (change.below, change.above)
        whole = all(isinstance(point, int) for point in bench.plan.points)
        ends = Narrowing(change.left, change.right, whole=whole, unsure=change.between)
        while (at := ends.next()) is not None and visited < bench.plan.pace.bisections:
            if bench.left_s() < bisection_s(bench.plan.dive, bench.plan.pace):
                bench.tell("no time is left to come nearer to where the cheapest approach changes")
                break
            point = int(at) if whole else at
            visited += 1
            with bench.aside(f"{bench.plan.dive.swept}={point} was not visited"):
                await _visit(census, bodies, pair, point)
            side = _side(census, pair, at)
            if side is None:
                # Who is cheaper there is not unclear but not known, and the next visit may end as this one.
                bench.tell(f"nothing is known of {bench.plan.dive.swept}={point}: this change is narrowed no further")
                break
            ends.saw(at, side)
        bench.tell(f"{pair[0]} is cheaper than {pair[1]} up to somewhere from {ends.left:,g} to {ends.right:,g}")
    if not known:
        bench.tell("the cheapest approach changes nowhere for sure")


def standing_for(points: Sequence[Any], at: float) -> tuple[Any, ...]:
    """Return the swept values with one put in the place of its neighbour: not of an end, if there is another."""
    ends = min(points), max(points)
    left, right = max(p for p in points if p < at), min(p for p in points if p > at)
    replaced = left if left not in ends else right if right not in ends else left
    return tuple(at if point == replaced else point for point in points)


def _side(census: Census, pair: tuple[str, str], at: float) -> int | None:
    """Say who is cheaper at a value: the first (-1), the second (1), or nobody for sure (0); None without a cost."""
    plan, segments = census.bench.raw, census.bench.segments
    first, second = (cost_at(plan, segments, name, at) for name in pair)
    if first is None or second is None:
        return None
    sure = cheaper(pair, (first, second))
    return 0 if not sure else -1 if sure == pair[0] else 1


async def _visit(census: Census, bodies: Bodies, pair: tuple[str, str], point: Any) -> None:
    """Bring both up with the value among their data, and count them at it."""
    bench, plan = census.bench, census.bench.plan
    names = random.Random(f"{plan.seed}/bisect/{point}").sample(pair, len(pair))
    points = standing_for(plan.points, point)
    async with AsyncExitStack() as alive:
        contenders: list[Contender] = []
        for name in names:
            made = bench.brought_up(bodies, name, f"{name}-at-{point}", points=points)
            contender = await alive.enter_async_context(made)
            await contender.body.pause()
            contenders.append(contender)
        await census.aside(BISECTED, contenders, point)
