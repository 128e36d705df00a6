"""Hold two runs of one dive against each other: counts exactly, CPU and latency by their intervals.

A difference is only called one where the two intervals are apart and by more than the margin; two runs were not
interleaved, so what changed on the machine between them is in every number but the counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import msgspec

from fathom.errors import FathomError
from fathom.lab.findings.offered import rates_of_segments, said
from fathom.lab.runs import Finding, Plan, Point, Run
from fathom.lab.stats import Interval, ratio_of

__all__ = ["Compared", "Line", "compare"]

Verdict = Literal["equal", "different", "better", "worse", "equivalent", "can't tell", "only before", "only after"]

EXIT_CANT_TELL = 2
_COUNTED = ("count", "closed form")
_MEASURED = ("cpu", "cost", "quantile")


class Line(msgspec.Struct, kw_only=True):
    """One number in both runs; `ratio` is after over before, with the range that both intervals leave."""

    id: str
    verdict: Verdict
    before: Finding | None
    after: Finding | None
    ratio: tuple[float, float, float] | None = None


class Compared(msgspec.Struct, kw_only=True):
    """Two runs, line by line, and how often each verdict was reached."""

    before: str
    after: str
    lines: list[Line]
    totals: dict[str, int]
    notes: list[str] = []

    @property
    def differs(self) -> bool:
        return any(line.verdict not in ("equal", "equivalent", "can't tell") for line in self.lines)

    @property
    def exit(self) -> int:
        """How the comparison ends: 0 no difference was seen, 1 something differs, 2 of nothing can it be told."""
        told = any(line.verdict != "can't tell" for line in self.lines)
        return int(self.differs) if told else EXIT_CANT_TELL


def compare(before: Run, after: Run) -> Compared:
    """Compare two finished runs of the same dive with the same plan on the same machine, or say why not."""
    for run in (before, after):
        _finished(run)
    _same_plan(before, after)
    _same_machine(before, after)
    margin = before.plan.duel.delta_floor if before.plan.duel else 0.05
    apart = _raced_apart(before, after)
    lines = list(_lines(before, after, margin, bool(apart)))
    totals = dict(Counter(line.verdict for line in lines))
    notes = [f"{which} was made by Fathom {run.plan.fathom}" for which, run in (("before", before), ("after", after))]
    if before.plan.fathom == after.plan.fathom:
        notes = []
    if before.plan.seed != after.plan.seed:
        notes.append(f"the seeds differ ({before.plan.seed} and {after.plan.seed}), so counts may")
    notes += [f"no latency is compared: {apart}"] if apart else []
    return Compared(before=str(before.folder), after=str(after.folder), lines=lines, totals=totals, notes=notes)


# What may be compared ------------------------------------------------------------------------------------------------


def _finished(run: Run) -> None:
    if run.manifest.state != "complete":
        raise FathomError(
            f"{run.folder} cannot be compared",
            why=f"it is {run.manifest.state}" + (f": {run.manifest.why}" if run.manifest.why else ""),
            fix="compare runs that were completed",
        )


def _same_plan(before: Run, after: Run) -> None:
    for what, one, other in _plan_differences(before.plan, after.plan):
        raise FathomError(
            f"{before.folder.name} and {after.folder.name} do not answer one question",
            why=f"their {what} differ: {one} and {other}",
            fix=f"dive again with the same {what}: {before.plan.command}",
        )


def _plan_differences(a: Plan, b: Plan) -> Iterator[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = [
        ("systems", a.system, b.system),
        ("dives", a.dive, b.dive),
        ("decisions", a.decision, b.decision),
        ("modes", a.mode, b.mode),
        (f"values of {a.swept.name or 'the sweep'}", a.swept.values, b.swept.values),
        ("loads", a.load.rates, b.load.rates),
        ("lengths of a segment", a.load.lasts_s, b.load.lasts_s),
        ("targets", _target(a), _target(b)),
        ("goals", _goals(a), _goals(b)),
        ("faults", _faults(a), _faults(b)),
        ("knobs", {o.name: o.knobs for o in a.approaches}, {o.name: o.knobs for o in b.approaches}),
    ]
    shared = {o.name for o in a.approaches} & {o.name for o in b.approaches}
    for what, one, other in pairs:
        if what == "knobs":
            one = {name: knobs for name, knobs in dict(one).items() if name in shared}  # pyright: ignore
            other = {name: knobs for name, knobs in dict(other).items() if name in shared}  # pyright: ignore
        if one != other:
            yield what, one, other


def _target(plan: Plan) -> str:
    per_s = plan.target.per_s if plan.target else {}
    return ", ".join(f"{op} {rate:,g}/s" for op, rate in sorted(per_s.items())) or "none"


def _goals(plan: Plan) -> str:
    return ", ".join(sorted(f"{aim} < {aim.less_than:g}" for aim in plan.goals)) or "none"


def _faults(plan: Plan) -> str:
    said = (f"{f.kind} of {f.target} {f.from_s:g}-{f.until_s:g} s{', wiped' * f.wiped}" for f in plan.faults)
    return "; ".join(said) or "none"


def _raced_apart(before: Run, after: Run) -> str:
    """Say where the duels did not run at one point and at the same rates: what the census found may move them."""
    grounds = []
    for run in (before, after):
        ran = [s for s in run.segments if s.part == "duel" and s.valid]
        grounds.append((sorted({str(s.point) for s in ran}), said(rates_of_segments(run.plan, ran))))
    if not all(points for points, _ in grounds) or grounds[0] == grounds[1]:
        return ""
    where = [f"{' and '.join(points)} with {rates or 'no rates'}" for points, rates in grounds]
    return f"the duels ran at {where[0]} before, and at {where[1]} after"


def _same_machine(before: Run, after: Run) -> None:
    one, other = before.machine, after.machine
    for what, a, b in (
        ("machines", one.fingerprint, other.fingerprint),
        ("cores", one.cores, other.cores),
        ("engines", one.engines, other.engines),
        ("placements", one.placement, other.placement),
    ):
        if a != b:
            raise FathomError(
                f"{before.folder.name} and {after.folder.name} were not measured alike",
                why=f"their {what} differ: {_brief(a)} and {_brief(b)}",
                fix="dive again on one machine with the same engines and placement",
            )


def _brief(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {what}" for name, what in value.items()) or "none"
    return str(value)


# Line by line --------------------------------------------------------------------------------------------------------


def _lines(before: Run, after: Run, margin: float, raced_apart: bool) -> Iterator[Line]:
    was, now = ({f.id: f for f in run.findings if _compared(f)} for run in (before, after))
    for id in dict.fromkeys([*was, *now]):
        a, b = was.get(id), now.get(id)
        if a is None or b is None:
            yield Line(id=id, verdict="only after" if a is None else "only before", before=a, after=b)
        elif a.how in _COUNTED:
            yield _counted(id, a, b)
        elif raced_apart and a.part == "duel":
            yield Line(id=id, verdict="can't tell", before=a, after=b)
        else:
            yield _measured(id, a, b, margin)


def _compared(finding: Finding) -> bool:
    """Counts and CPU of the census, latencies of the duel: those of the census judge goals and nothing else."""
    if finding.void or finding.detail.get("twin") or finding.value is None:
        return False
    if finding.how in _COUNTED:
        return True
    return finding.how in _MEASURED and (finding.part == "duel" or finding.how != "quantile")


def _counted(id: str, a: Finding, b: Finding) -> Line:
    if a.exact and b.exact:
        return Line(id=id, verdict="equal" if a.value == b.value else "different", before=a, after=b)
    apart = (a.high or 0) < (b.low or 0) or (b.high or 0) < (a.low or 0)
    return Line(id=id, verdict="different" if apart else "can't tell", before=a, after=b)


def _measured(id: str, a: Finding, b: Finding, margin: float) -> Line:
    if None in (a.low, a.high, b.low, b.high):
        return Line(id=id, verdict="can't tell", before=a, after=b)
    ratio = ratio_of(_interval(b), _interval(a))
    verdict: Verdict = "can't tell"
    if ratio.high < 1 / (1 + margin):
        verdict = "better"
    elif ratio.low > 1 + margin:
        verdict = "worse"
    elif ratio.low > 1 / (1 + margin) and ratio.high < 1 + margin:
        verdict = "equivalent"
    return Line(id=id, verdict=verdict, before=a, after=b, ratio=(ratio.value, ratio.low, ratio.high))


def _interval(f: Finding) -> Interval:
    assert f.value is not None and f.low is not None and f.high is not None
    return Interval(f.value, f.low, f.high)


def named(point: Point | None) -> str:
    """Write a swept value for a table of differences."""
    return "" if point is None else f"{point:,}" if isinstance(point, int) else str(point)
