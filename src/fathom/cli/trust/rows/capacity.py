"""A desk that can do 2.17 times its load: the lab has to find that by raising the load, and to have foretold it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.known import desk, drawn, known, void, without
from fathom.cli.trust.rows.knee import PACE, PARTS_S
from fathom.lab.findings.capacity import EASE, NEAR
from fathom.lab.runs import Finding

TRUE = 1 / (400 * 1_000e-6 + 200 * 300e-6)  # one core, over the CPU that orders and questions of the load take
FULLEST = 0.8  # of that: who draws the costs and the arrivals by chance has a queue that grows before it is all used
OFF = 0.1  # by so much what was foretold may be beside the truth

ROW = Row(
    name="capacity",
    truth=f"the desk is full at {TRUE:.2f} times its load",
    counts=f"foretold within {OFF:.0%}, and the load raised until it was too much between {FULLEST:.0%} of that and it",
    short=Wants(1, least=1),
    full=Wants(10, least=0.55),
)


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with known(desk(), "work", shop) as place:

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            plan = drawn(desk(), "beside", ["plain"], shop, seed, row=ROW.name, race=False)
            ended = await place.dive(dataclasses.replace(plan, pace=PACE, parts_s=PARTS_S, budget_s=PACE.budget_s))
            why = void(ended)
            said = Said(None, why) if why else judge(ended.findings)
            return {ROW.name: said}, (without(ended) if why or said.happened else str(ended.folder))

        yield once


def judge(found: Sequence[Finding]) -> Said:
    """Say whether what the desk can take was foretold, and found."""
    knees = [f for f in found if f.how == "capacity"]
    if not knees or not knees[0].detail.get("foretold"):
        return Said(None, "no capacity was measured, or the low rates were disturbed")
    (knee,) = knees
    told = knee.detail["foretold"][0]
    if knee.value is None or knee.low is None or knee.high is None:  # so far off that no step came near
        return Said(False, f"foretold {told or 0:.3g}x; {knee.says}")
    says = f"takes {knee.value:.3g}x ({knee.low:.3g} to {knee.high:.3g}); foretold {told or 0:.3g}x"
    foretold = told is not None and abs(told / TRUE - 1) <= OFF
    near = knee.high / knee.low <= NEAR * EASE
    return Said(foretold and near and knee.high >= FULLEST * TRUE and knee.low <= TRUE, says)


experiment = Experiment(ROW.name, (ROW,), 60.0, ready, in_short=False)
