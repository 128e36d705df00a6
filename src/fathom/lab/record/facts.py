"""A run as its record needs it: every finding by its id, and how its things are called."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.lab import changes, figures
from fathom.lab.findings.book import name_of
from fathom.lab.findings.flips import axis_of, rates_of
from fathom.lab.findings.offered import said
from fathom.lab.record.blocks import Note, Num, Span
from fathom.lab.runs import Finding, Machine, Manifest, Plan, Point, Run

__all__ = [
    "Facts",
    "candidates",
    "cell",
    "cells",
    "common",
    "cores_of",
    "counted",
    "declared",
    "engines_of",
    "fault_words",
    "goal_limit",
    "joined",
    "mix_words",
    "often",
    "point_of",
    "words",
]


class Facts:
    """A run as its record needs it: the plan, the machine, and every finding by its id."""

    def __init__(self, run: Run, found: Sequence[Finding]) -> None:
        self.plan: Plan = run.plan
        self.machine: Machine = run.machine
        self.manifest: Manifest = run.manifest
        self.run = run
        self.found = list(found)
        self._by_id = {finding.id: finding for finding in found}

    def get(self, *parts: object) -> Finding | None:
        return self._by_id.get(name_of(str(parts[0]), *parts[1:]))

    def of(self, how: str, **fields: object) -> list[Finding]:
        return [f for f in self.found if f.how == how and all(getattr(f, k) == v for k, v in fields.items())]

    @property
    def points(self) -> list[Point]:
        return self.plan.swept.values

    def at(self, point: Point) -> str:
        """Write a swept value with its name: `3,000 fans`."""
        if not self.plan.swept.name:
            return "this load"
        return f"{figures.point(point)} {self.plan.swept.name}"

    @property
    def changed(self) -> str:
        """What this run was asked to do otherwise than by default; nothing where that is nothing."""
        return changes.said(self.plan.changed)

    def called(self, approach: str | None) -> str:
        """Name an approach, with those of its knobs that were turned: `hybrid with fame = 500`."""
        return changes.called(self.plan.changed, str(approach))

    @property
    def folder(self) -> str:
        return f"runs/{self.plan.system}/{self.plan.dive}/{self.manifest.started.rstrip('Z').replace(':', '-')}"

    @property
    def duelled(self) -> Point | None:
        """The swept value at which the duel ran."""
        ratios = [f for f in self.found if f.part == "duel" and f.how == "ratio"]
        return ratios[0].point if ratios else None


def cores_of(facts: Facts) -> str:
    return f"{facts.machine.cores} core{'s' if facts.machine.cores != 1 else ''}"


def engines_of(facts: Facts) -> list[str]:
    return list(dict.fromkeys(facts.machine.engines.values()))


def words(name: str | None) -> str:
    """Write a law's or measure's name as words."""
    return (name or "").replace("_", " ")


def mix_words(plan: Plan) -> str:
    """Say which mix of operations the costs are for: `21.4 home per post`."""
    axis = axis_of(plan)
    rates = rates_of(plan)
    if axis is None:
        return f"{next(iter(rates), 'the operation')} alone"
    others = sum(rates[op] for op in axis.others)
    return f"{figures.digits(rates[axis.often] / others)} {axis.says}"


def declared(plan: Plan) -> str:
    """Say which load the dive declares: `400 home/s, 2 post/s`."""
    return said({op: (rate, rate) for op, rate in plan.load.rates.items()})


def goal_limit(limit: float, measure: str) -> str:
    if measure in ("p50", "p90", "p99", "mean") or measure.startswith("cpu_s"):
        scale, name = figures.unit_for(limit, "s")
        return f"{limit / scale:g} {name}"
    return f"{limit:g}"


def fault_words(facts: Facts, number: int) -> str:
    """Say what a fault does: `cache (Redis 6.2.14) killed from 4 to 7 s, and wiped`."""
    fault = facts.plan.faults[number]
    engine = facts.machine.engines.get(fault.target)
    wiped = ", and wiped" if fault.wiped else ""
    who = f"{fault.target} ({engine})" if engine else fault.target
    return f"{who} {fault.did} from {fault.from_s:g} to {fault.until_s:g} s{wiped}"


def candidates(decision: Finding) -> list[str]:
    """Return whom a decision leaves: one, those that cost the same, or those that nobody can tell apart."""
    others = decision.detail.get("same") or decision.detail.get("unclear") or []
    return [str(decision.approach), *others] if decision.approach else []


def counted(finding: Finding) -> str:
    """Write a count of one injection, or the median of several and their range."""
    shown = figures.value_of(finding)
    return shown if finding.exact else f"{shown} ({figures.spread_of(finding)})"


def often(finding: Finding) -> str:
    """Say how often something was counted, where it was not all counted at least."""
    times = f"{int(finding.value or 0):,} time{'' if finding.value == 1 else 's'}"
    return times if finding.exact else f"at least {times}"


def joined(text: str) -> str:
    return " ".join(text.split())


def point_of(finding: Finding) -> Point:
    return finding.point if finding.point is not None else ""


def cell(finding: Finding | None) -> Span:
    """Write a number on its own, or a dash where there is none."""
    return Num(finding) if _is_there(finding) else "–"  # pyright: ignore[reportArgumentType]


def cells(found: Sequence[Finding | None], told: Sequence[Finding | None] | None = None) -> list[list[Span]]:
    """Write a row of numbers beside a label that says what is `common` to all that are `told` there."""
    bare = _all_exact(found if told is None else told)
    return [[Num(f, brief=True, bare=bare) if f and _is_there(f) else "–"] for f in found]


def common(found: Sequence[Finding | None]) -> Note:
    """Say once what the numbers of some rows have in common: their count, and whether all are exact."""
    counts = sorted(f.n for f in found if f is not None)
    if not counts:
        return Note("")
    n = f"n {counts[0]:,}" if counts[0] == counts[-1] else f"n {counts[0]:,} to {counts[-1]:,}"
    return Note(f"exact, {n}" if _all_exact(found) else n)


def _all_exact(found: Sequence[Finding | None]) -> bool:
    return all(f is None or f.exact for f in found)


def _is_there(finding: Finding | None) -> bool:
    return finding is not None and (finding.value is not None or finding.low is not None)
