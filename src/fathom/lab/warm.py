"""Is everything warm before it is raced: the load goes round in short turns until nobody falls, turn after turn."""

from __future__ import annotations

import random
from collections.abc import Mapping

from fathom.lab.bench import Bench
from fathom.lab.body import Contender
from fathom.lab.duel import Ground
from fathom.lab.findings.warm import ROUNDS_MIN, series, still_faster
from fathom.lab.plan import TURN_S, WARM_S
from fathom.lab.runs import MIX, Segment

__all__ = ["warm_up"]

ROUNDS_MAX = 8


async def warm_up(bench: Bench, ground: Ground, contenders: Mapping[str, Contender]) -> None:
    """Offer the race's load to all in turn, a round at a time; as many rounds as the slowest to warm up needs.

    Everybody gets the same number. A disturbed round shows nothing, so another one follows; when none is left, the
    findings say who was not seen to be warm.
    """
    dice = random.Random(f"{bench.plan.seed}/warm-up")
    ran: dict[str, list[Segment]] = {name: [] for name in contenders}
    for number in range(ROUNDS_MAX):
        if number >= ROUNDS_MIN and bench.left_s() < len(contenders) * (WARM_S + TURN_S):
            break
        for name in dice.sample(list(contenders), len(contenders)):
            async with bench.turn(contenders[name]):
                segment = await bench.measured(
                    contenders[name],
                    "warm-up",
                    MIX,
                    ground.point,
                    ground.rates,
                    WARM_S,
                    f"warm-up/{number}",
                    block=number,
                )
            bench.write(segment)
            if segment.valid:
                ran[name].append(segment)
        if number + 1 >= ROUNDS_MIN and not _cold(bench, ran):
            bench.tell(f"warm after {number + 1} rounds of {WARM_S:g} s each")
            return
    bench.tell(f"not seen to be warm: {', '.join(_cold(bench, ran))}")


def _cold(bench: Bench, ran: Mapping[str, list[Segment]]) -> list[str]:
    read = bench.run.read()
    return [name for name, mine in ran.items() if still_faster(series(mine, read.samples))]
