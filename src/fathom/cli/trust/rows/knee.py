"""The real timeline under ever more load: it has to take what a line through low rates foretold."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.known import Known, drawn, maker, void, without
from fathom.engines.keeper import Keeper
from fathom.lab.plan import Pace
from fathom.lab.runs import Finding
from fathom.systems import find

APPROACHES = ("on-write", "hybrid", "on-read")
FANS = (3_000, 100, 10_000)
PACE = Pace(budget_s=120.0, rounds=3, slice_s=0.45, mix_s=1.5, blocks=0, faults=0, injections=0, redo=0.0, steps=7)
PARTS_S = {"set-up": 12.0, "census": 12.0, "capacity": 50.0, "record": 3.0}
ROW = Row(
    name="knee",
    truth="how much of its load each approach of the timeline takes, found by raising it",
    counts="foretold by its mix at low rates: within 20 %, or in an interval with two ends",
    short=Wants(3, least=0.25),
    full=Wants(10, least=0.55),  # nine of ten
)


def judge(found: Sequence[Finding]) -> Said:
    """Say whether the capacity that was measured is the one that was foretold."""
    knees = [f for f in found if f.how == "capacity"]
    if not knees:
        return Said(None, "no capacity was measured")
    (knee,) = knees
    told = knee.detail.get("foretold")
    if not told:
        return Said(None, "nothing was foretold: the low rates were disturbed")
    if knee.value is None:  # so far off that no step came near
        return Said(False, f"foretold {told[0] or 0:.3g}x; {knee.says}")
    says = f"{knee.approach} at {knee.point:,} takes {knee.value:.3g}x ({knee.low:.3g} to {knee.high:.3g}) its load; "
    value, low, high = ("any" if end is None else f"{end:.3g}" for end in told)
    says += f"foretold {value}x ({low} to {high}), off by {knee.detail['off']:+.0%}"
    return Said(knee.verdict == "held", says)


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with Keeper.open() as keeper:
        system = find("timeline")
        known = Known(maker(keeper, system, "fanout"), shop)

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            approach = APPROACHES[(number - 1) % len(APPROACHES)]
            fans = FANS[(number - 1) // len(APPROACHES) % len(FANS)]
            here = {"fans": str(fans)}
            plan = drawn(system, "celebrity", [approach], shop, seed, row=ROW.name, race=False, settings=here)
            ended = await known.dive(dataclasses.replace(plan, pace=PACE, parts_s=PARTS_S, budget_s=PACE.budget_s))
            if why := void(ended):
                return experiment.void(why), without(ended)
            said = judge(ended.findings)
            return {ROW.name: said}, (without(ended) if said.happened else str(ended.folder))

        yield once


experiment = Experiment(ROW.name, (ROW,), 60.0, ready, in_short=False)
