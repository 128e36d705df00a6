"""What came out otherwise than by default: a run that was asked for something else, beside the newest that was not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from fathom.cli import voice
from fathom.errors import FathomError
from fathom.lab import changes, figures, runs
from fathom.lab.runs import Finding, Run

__all__ = ["beside_the_default"]

COUNTS_MAX = 4  # of the counts that differ: the largest differences


def beside_the_default(run: Run, found: Sequence[Finding], root: Path) -> list[str]:
    """Return what was decided, and what was counted exactly, then and now; nothing where there is no such run."""
    if not run.plan.changed:
        return []
    before = _newest(run, root)
    if before is None:
        return []
    rows = [*_decisions(before, run, found), *_counts(before, run, found)]
    if not rows:
        return []
    return [f"beside the default ({before.folder})", voice.columns([["", "then", "now"], *rows], indent="  ")]


def _newest(run: Run, root: Path) -> Run | None:
    """Return the newest finished run of this dive to which nothing was changed."""
    for other in runs.every(root):
        try:
            same = (other.plan.system, other.plan.dive) == (run.plan.system, run.plan.dive)
            if same and other.manifest.state == "complete" and not other.plan.changed and other.findings:
                return other
        except FathomError:
            continue  # a folder that cannot be read is nothing to stand beside
    return None


def _decisions(before: Run, run: Run, found: Sequence[Finding]) -> Iterator[list[str]]:
    then = {f.point: f for f in before.findings if f.how == "decision"}
    for now in found:
        was = then.get(now.point)
        if now.how == "decision" and was is not None and now.point is not None:
            yield [f"at {figures.point(now.point)} {run.plan.swept.name}", _chosen(before, was), _chosen(run, now)]


def _chosen(run: Run, decision: Finding) -> str:
    if decision.verdict != "takes":
        return str(decision.verdict)
    return changes.called(run.plan.changed, str(decision.approach))


def _counts(before: Run, run: Run, found: Sequence[Finding]) -> Iterator[list[str]]:
    """Yield the counts per operation of an approach whose knobs were turned, where both runs counted exactly."""
    turned = {name for change in run.plan.changed for name in change.of}
    then = {f.id: f for f in before.findings if f.how == "count" and f.exact and f.approach in turned}
    pairs = [(then[f.id], f) for f in found if f.how == "count" and f.exact and f.id in then]
    differ = [(was, now) for was, now in pairs if was.value != now.value and None not in (was.value, now.value)]
    differ.sort(key=lambda pair: -abs((pair[0].value or 0) - (pair[1].value or 0)))
    for was, now in differ[:COUNTS_MAX]:
        where = f"at {figures.point(now.point)} {run.plan.swept.name}" if now.point is not None else ""
        what = f"{now.measure} per {now.op}, {now.approach} {where}".rstrip()
        yield [what, figures.value_of(was), figures.value_of(now)]
