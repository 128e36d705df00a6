"""The verdict in three lines: which approach where, at what it flips, and what users met when something was broken."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from fathom.lab import figures
from fathom.lab.findings.flips import axis_of, rates_of
from fathom.lab.findings.trials import alike
from fathom.lab.record.blocks import Item, Num, Span, Strong
from fathom.lab.record.facts import Facts, candidates, counted
from fathom.lab.record.failures import voided
from fathom.lab.runs import Finding, Point
from fathom.lab.verdicts import operating_point

__all__ = ["verdict"]


def verdict(facts: Facts) -> list[Item]:
    """Return the lines, each begun by what it is about; none for a dive that has nothing to decide by."""
    decisions = facts.of("decision")
    if not decisions:
        return []
    return [["take    ", *_take(facts, decisions)], ["flips   ", *_flips(facts)], ["broken  ", *_broken(facts)]]


def _take(facts: Facts, decisions: Sequence[Finding]) -> Iterator[Span]:
    """Say the choice once for neighbours that agree."""
    for number, (chosen, group) in enumerate(groupby(decisions, lambda decision: _chosen(facts, decision))):
        points = [figures.point(each.point) for each in group if each.point is not None]
        where = f" at {figures.listed(points)} {facts.plan.swept.name}" if facts.plan.swept.name else ""
        yield from (", " if number else "", Strong(chosen), where)


def _chosen(facts: Facts, decision: Finding) -> str:
    names = [facts.called(name) for name in candidates(decision)]
    match decision.verdict:
        case "takes":
            return names[0]
        case "none":
            return "none"
        case "equivalent":
            return " or ".join(names)
        case _:
            return "can't tell" + (f" between {figures.listed(names)}" if len(names) > 1 else "")


def _flips(facts: Facts) -> Iterator[Span]:
    """Say at which swept values the cheapest changes, and at which mix the answer in the middle does."""
    told = False
    for crossing in sorted(facts.of("crossing", void=False), key=lambda c: c.value or 0.0):
        if crossing.detail.get("matters"):
            yield from ("; " if told else "", f"from {crossing.approach} to {crossing.versus} near ")
            yield from (Num(crossing, brief=True), f" {crossing.measure}")
            told = True
    point = operating_point(facts.plan, facts.found)
    along = _along_the_mix(facts, point)
    if along is not None and point is not None:
        yield from ("; " if told else "", f"at {facts.at(point)} from {along.approach} to {along.versus} above ")
        yield from (Num(along, brief=True), f" {along.measure}")
    elif not told:
        yield "nowhere that this run could tell"


def _along_the_mix(facts: Facts, point: Point | None) -> Finding | None:
    """The flip of the one that is taken there which lies nearest to the mix that was asked for."""
    axis = axis_of(facts.plan)
    taken = next((d.approach for d in facts.of("decision", point=point) if d.verdict == "takes"), None)
    flips = [
        f
        for f in facts.of("flip", point=point, verdict="flips", void=False)
        if f.value and taken in (f.approach, f.versus)
    ]
    if axis is None or not flips:
        return None
    rates = rates_of(facts.plan)
    asked = rates[axis.often] / sum(rates[op] for op in axis.others)
    return min(flips, key=lambda f: abs(math.log((f.value or asked) / asked)))


def _broken(facts: Facts) -> Iterator[Span]:
    """Say of the first fault what it did to users, approach by approach; what nobody noticed is said once."""
    plan = facts.plan
    if not plan.faults:
        yield "nothing was"
        return
    groups = alike(plan)
    group = next((g for g in groups if any(_of(facts, name, g, "failed") for name in plan.names)), None)
    if group is None:
        yield "can't tell: "
        yield from _untold(facts, groups[0], plan.names)
        return
    fault = plan.faults[group[0]]
    name = figures.engine_name(facts.machine.engines.get(fault.target), fault.target)
    yield f"{name} {fault.did} for {fault.until_s - fault.from_s:g} s: "
    found = {each: _Met.of(facts, each, group) for each in plan.names if _of(facts, each, group, "failed")}
    untold = [*_untold(facts, group, [each for each in plan.names if each not in found])]
    if not untold and not any(met.hurt or met.loses for met in found.values()):
        kept = all(met.keeps for met in found.values())
        lost = ", nothing that was acknowledged was lost" if kept else "; whether anything was lost is not known"
        yield f"no request failed{lost}"
        fell = [(each, met.fell) for each, met in found.items() if met.fell]
        for number, (each, when) in enumerate(fell):
            yield from (", " if number else "; answers fell back in ", Num(when, brief=True), f" with {each}")
        return
    for number, (each, met) in enumerate(found.items()):
        yield f"{'; ' if number else ''}{each} {', '.join(met.hurt) or 'failed nobody'}"
        yield from (", fell back in ", Num(met.fell, brief=True)) if met.fell else ()
        yield f", lost {counted(met.lost)}" if met.lost else ""
    yield from (("; ", *untold) if untold else ())


def _untold(facts: Facts, group: list[int], names: Sequence[str]) -> Iterator[Span]:
    """Say whose trials a gate voided, and which of these were not taken through the fault at all."""
    void = voided(facts, group)
    for number, item in enumerate(void):
        yield "; " if number else ""
        yield from (span.lstrip() if isinstance(span, str) else span for span in item[1:])
    left = [name for name in names if not any(facts.get("trial", name, n, "void") for n in group)]
    if left:
        yield f"{'; ' if void else ''}{figures.listed(left)} went through no fault"


class _Met(NamedTuple):
    """What users of one approach met: how many requests had no answer, what was lost, when answers fell back."""

    hurt: list[str]
    lost: Finding | None
    looked: bool  # whether somebody looked for what was acknowledged after every trial that counts
    fell: Finding | None

    @classmethod
    def of(cls, facts: Facts, approach: str, group: Sequence[int]) -> _Met:
        found = {m: _of(facts, approach, group, m) for m in ("failed", "unknown", "lost", "degraded_from_s")}
        hurt = [f"{counted(f)} {m}" for m in ("failed", "unknown") if (f := found[m]) and _any(f)]
        ran = [number for number in group if facts.get("trial", approach, number, "ok")]
        looked = all(facts.get("trial", approach, number, "lost") for number in ran)
        fell = found["degraded_from_s"]
        return cls(hurt, found["lost"], looked, fell if fell and fell.value is not None else None)

    @property
    def loses(self) -> bool:
        return self.lost is not None and _any(self.lost)

    @property
    def keeps(self) -> bool:
        return self.looked and self.lost is not None and not _any(self.lost)


def _any(count: Finding) -> bool:
    """Whether there was one: in any of several injections, or more than were counted."""
    return count.high is None or count.high > 0


def _of(facts: Facts, approach: str, group: Sequence[int], measure: str) -> Finding | None:
    return facts.get("trials" if len(group) > 1 else "trial", approach, group[0], measure)
