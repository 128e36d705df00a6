"""Two ways to pack cost the same at 150 items: the ends that the lab tells have to be near, and to hold it."""

from __future__ import annotations

import dataclasses

from fathom.cli.trust.comparison import repeated
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.cli.trust.known import PACE
from fathom.lab.findings.crossings import NEAR
from fathom.lab.run import Ended

TRUE = 150.0
VISITS = 6
ALIKE = 1.2  # times as many items, or as few: the two differ by less than a tenth there
PARTS_S = {"set-up": 3.0, "census": 4.0, "bisect": 20.0, "record": 1.0}
BUDGET_S = 60.0

ROW = Row(
    name="narrow",
    truth=f"packing item by item is cheaper below {TRUE:g} items, with a box above; 10 and 1,000 are given",
    counts=f"narrowed to a factor of {NEAR:g} or where nobody can tell, and the truth in it",
    short=Wants(1, least=1),
    full=Wants(12, least=0.7),
)


def judge(ended: Ended) -> Said:
    """Say whether the change of sides was told, the right way round, between near ends that hold the truth."""
    told = [f for f in ended.findings if f.how == "crossing"]
    if not told:
        return Said(False, "no crossing was told")
    if len(told) > 1:
        return Said(False, f"{len(told)} crossings were told, and there is one")
    (crossing,) = told
    low, high = crossing.low or 0.0, crossing.high or float("inf")
    unsure = crossing.detail.get("between", [])
    says = f"{crossing.approach} is cheaper below {crossing.value:,.0f} ({low:,g} to {high:,g}) items"
    if unsure:
        says += f"; it cannot be told at {', '.join(f'{each:,g}' for each in unsure)}"
    nearly = [each for each in unsure if max(each / TRUE, TRUE / each) <= ALIKE]  # there nobody could tell
    near = high / low <= NEAR or (bool(unsure) and nearly == unsure and high / low <= NEAR**2)
    return Said(crossing.approach == "plain" and near and low <= TRUE <= high, says)


pace = dataclasses.replace(PACE, bisections=VISITS)
ready = repeated(ROW, judge, "boxes", ["plain", "boxed"], pace=pace, parts_s=PARTS_S, budget_s=BUDGET_S)
experiment = Experiment(ROW.name, (ROW,), 20.0, ready)
