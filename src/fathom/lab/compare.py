"""Hold two runs of one dive against each other: counts exactly, CPU and latency by their intervals.

Two runs were not interleaved, so what changed on the machine between them is in every number but the counts, and no
interval of one run knows of it: it is as if a duel had one block. So the runs' own numbers say how far two runs lie
apart: all of them shift together when a machine is slower, and scatter about that. A difference is only called one
where the intervals are apart by more than the margin, that shift, and what flags an outlier of the scatter besides.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import msgspec

from fathom.errors import FathomError
from fathom.lab import figures
from fathom.lab.findings.census import BISECTED
from fathom.lab.findings.offered import rates_of_segments, said
from fathom.lab.runs import DELTA, Finding, Plan, Point, Run
from fathom.lab.stats import FLAG, Interval, mad, ratio_of

__all__ = ["Compared", "Line", "compare"]

Verdict = Literal["equal", "different", "better", "worse", "equivalent", "can't tell", "only before", "only after"]

EXIT_CANT_TELL = 2
FEW = 8  # numbers that show how far two runs lie apart; fewer do not
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
    margin = before.plan.duel.delta_floor if before.plan.duel else DELTA
    apart = _raced_apart(before, after)
    lines = list(_lines(before, after, margin, bool(apart)))
    drift = _Drift.of(lines)
    for line in lines:
        _judge(line, margin, drift)
    totals = dict(Counter(line.verdict for line in lines))
    notes = [f"{which} was made by Fathom {run.plan.fathom}" for which, run in (("before", before), ("after", after))]
    if before.plan.fathom == after.plan.fathom:
        notes = []
    if before.plan.seed != after.plan.seed:
        notes.append(f"the seeds differ ({before.plan.seed} and {after.plan.seed}), so counts may")
    notes += [f"no latency is compared: {apart}"] if apart else []
    notes += [str(drift)] if any(line.ratio for line in lines) else []
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
    where = [f"{figures.listed(points)} with {rates or 'no rates'}" for points, rates in grounds]
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
        if raced_apart and "duel" in (a and a.part, b and b.part):  # at other rates, or with too few samples there
            yield Line(id=id, verdict="can't tell", before=a, after=b)
        elif a is None or b is None:
            yield Line(id=id, verdict="only after" if a is None else "only before", before=a, after=b)
        elif a.how in _COUNTED:
            yield _counted(id, a, b, margin)
        else:
            yield _measured(id, a, b)


def _compared(finding: Finding) -> bool:
    """Counts and CPU of the census, latencies of the duel: those of the census judge goals and nothing else."""
    if finding.void or finding.detail.get("twin") or finding.value is None:
        return False
    if finding.part == BISECTED:  # each run visits the values that it needs
        return False
    if finding.how in _COUNTED:
        return True
    return finding.how in _MEASURED and (finding.part == "duel" or finding.how != "quantile")


def _counted(id: str, a: Finding, b: Finding, margin: float) -> Line:
    if a.exact and b.exact:
        return Line(id=id, verdict="equal" if a.value == b.value else "different", before=a, after=b)
    if None in (a.low, a.high, b.low, b.high) or not a.low or not b.low:
        return Line(id=id, verdict="can't tell", before=a, after=b)
    ratio = ratio_of(_interval(b), _interval(a))
    beyond = ratio.high < 1 / (1 + margin) or ratio.low > 1 + margin
    within = ratio.low > 1 / (1 + margin) and ratio.high < 1 + margin
    return Line(id=id, verdict="different" if beyond else "equivalent" if within else "can't tell", before=a, after=b)


def _measured(id: str, a: Finding, b: Finding) -> Line:
    """Return both numbers and their ratio; nothing is judged before all of them are seen."""
    if None in (a.low, a.high, b.low, b.high) or min(a.low or 0.0, b.low or 0.0) <= 0:
        return Line(id=id, verdict="can't tell", before=a, after=b)  # a cost that may be nothing has no ratio
    ratio = ratio_of(_interval(b), _interval(a))
    return Line(id=id, verdict="can't tell", before=a, after=b, ratio=(ratio.value, ratio.low, ratio.high))


class _Drift(NamedTuple):
    """How far apart two runs lie in what is measured, by all of it: as logarithms of ratios."""

    shift: float
    scatter: float  # a standard deviation, from the median's absolute deviations
    n: int

    @classmethod
    def of(cls, lines: Sequence[Line]) -> _Drift:
        logs = [math.log(line.ratio[0]) for line in lines if line.ratio]
        if not logs:
            return cls(0.0, math.inf, 0)
        middle = sorted(logs)[len(logs) // 2]
        return cls(middle, 1.4826 * mad(logs), len(logs))

    @property
    def allowance(self) -> float:
        """What a ratio may be off by without anyone having done anything; no bound where too few say so."""
        return abs(self.shift) + FLAG * self.scatter if self.n >= FEW else math.inf

    def __str__(self) -> str:
        if self.n < FEW:
            return f"{self.n} measured numbers do not show how far two runs lie apart: {FEW} would"
        return (
            f"what is measured is {math.exp(self.shift):.2f}x after, all in all: the machine or all of the code, which "
            f"cannot be told; beyond {math.exp(self.allowance):.2f}x it is called a difference"
        )


def _judge(line: Line, margin: float, drift: _Drift) -> None:
    if line.ratio is None:
        return
    _, low, high = line.ratio
    far = max(math.log1p(margin), drift.allowance)
    if math.log(low) > far:
        line.verdict = "worse"
    elif high > 0 and math.log(high) < -far:
        line.verdict = "better"
    elif 1 / (1 + margin) < low and high < 1 + margin:
        line.verdict = "equivalent"


def _interval(f: Finding) -> Interval:
    assert f.value is not None and f.low is not None and f.high is not None
    return Interval(f.value, f.low, f.high)


def named(point: Point | None) -> str:
    """Write a swept value for a table of differences."""
    return "" if point is None else f"{point:,}" if isinstance(point, int) else str(point)
