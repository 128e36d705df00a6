"""Two ways to work cost the same at three questions per order: the interval that the lab tells has to hold that."""

from __future__ import annotations

from fathom.cli.trust.comparison import repeated
from fathom.cli.trust.experiment import Experiment, Row, Said, Wants
from fathom.lab.run import Ended

TRUE = 3.0

ROW = Row(
    name="flip",
    truth=f"one way is cheaper below {TRUE:g} questions per order, the other above",
    counts="told, and the truth in its range",
    short=Wants(8, least=0.4),
    full=Wants(60, least=0.85),
)


def judge(ended: Ended) -> Said:
    """Say whether the flip was told, the right way round, with the truth in its range and no run near it against it."""
    flips = [f for f in ended.findings if f.how == "flip" and f.verdict == "flips"]
    failed = [f for f in ended.findings if f.how == "flip check" and f.verdict == "failed"]
    if any(f.detail.get("thin") for f in ended.findings if f.how == "cpu"):
        return Said(None, "void: slices were disturbed, whatever the rest would say")
    if not flips:
        return Said(False, "no flip was told")
    (flip,) = flips
    holds = flip.low is not None and flip.high is not None and flip.low <= TRUE <= flip.high
    says = f"{flip.approach} is cheaper below {flip.value:.3g} ({flip.low:.3g} to {flip.high:.3g}) {flip.measure}"
    if failed:
        says += f"; run near it, {failed[0].approach} was not cheaper"
    return Said(holds and flip.approach == "swapped" and not failed, says)


experiment = Experiment(ROW.name, (ROW,), 7.0, repeated(ROW, judge, "crossing", ["plain", "swapped"]))
