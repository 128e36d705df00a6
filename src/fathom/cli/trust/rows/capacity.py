"""A desk that can do 2.17 times its load: the lab has to find that by raising the load, and to have foretold it."""

from __future__ import annotations

from fathom.cli.trust.comparison import repeated
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.cli.trust.rows.knee import PACE, PARTS_S
from fathom.lab.findings.capacity import EASE, NEAR
from fathom.lab.run import Ended

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


def judge(ended: Ended) -> Said:
    """Say whether what the desk can take was foretold, and found."""
    knees = [f for f in ended.findings if f.how == "capacity"]
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


ready = repeated(ROW, judge, "beside", ["plain"], pace=PACE, parts_s=PARTS_S, budget_s=PACE.budget_s)
experiment = Experiment(ROW.name, (ROW,), 60.0, ready, in_short=False)
