"""What follows from the findings: which approach to take at each swept value, where that flips, and what held.

An approach may be taken if it kept every law and failed no goal. The cheapest of these is named only if even the worst
that its cost may be is over 5 % below the best that the next one's may be; otherwise nobody is, and it says why.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom.lab import figures
from fathom.lab.findings import compute
from fathom.lab.findings.book import name_of
from fathom.lab.runs import DELTA, Finding, Plan, Point, Run
from fathom.lab.stats import Interval, ratio_of

if TYPE_CHECKING:
    from fathom.lab.dive import Dive

__all__ = ["CANT_TELL", "EXIT_VOID", "FAILED", "HELD", "Statement", "conclude", "exit_of", "statements", "untold"]

HELD, FAILED, CANT_TELL = "held", "failed", "can't tell"
EXIT_HELD, EXIT_FAILED, EXIT_CANT_TELL, EXIT_VOID = 0, 1, 2, 3


def conclude(run: Run, dive: type[Dive[Any]] | None = None) -> list[Finding]:
    """Return every finding of a run and what to decide by them. Without the dive its prediction is not judged."""
    found = compute(run, dive)
    by_id = {finding.id: finding for finding in found}
    if run.plan.load.rates:  # a dive that counts by itself times nothing: its numbers are its answer
        found += [_decide(run.plan, by_id, point) for point in run.plan.swept.values]
    return found


# Which one to take ---------------------------------------------------------------------------------------------------


class _Candidate(NamedTuple):
    name: str
    cost: Interval
    sure: bool  # all of its goals that could be judged held
    n: int
    segments: list[str]


def _decide(plan: Plan, found: Mapping[str, Finding], point: Point) -> Finding:
    decision = Finding(
        id=name_of("decision", point),
        part="decision",
        how="decision",
        command=plan.command,
        point=point,
        unit="x",
        over="the spread of the unit costs",
    )
    out = {name: why for name in plan.names if (why := _why_not(plan, found, name, point))}
    able = sorted(_candidates(plan, found, point, out), key=lambda c: c.cost.value)
    decision.detail = {"out": out, "unjudged": _unjudged(plan, found, point)}
    costless = [name for name in plan.names if name not in out and name not in {c.name for c in able}]
    if not able:
        decision.verdict = "none" if not costless else CANT_TELL
        decision.says = "no approach meets the goals" if not costless else "no cost was measured"
        return decision
    best = able[0]
    decision.approach, decision.n = best.name, sum(c.n for c in able[:2])
    decision.sources = sorted({id for c in able for id in c.segments})
    if costless:
        decision.verdict, decision.says = CANT_TELL, f"the cost of {costless[0]} was not measured"
        return decision
    if len(able) > 1:
        _beside(decision, best, able[1:])
    else:
        decision.verdict, decision.says = "takes", "no other approach meets the goals" if out else "it is the only one"
    _beside_goals(plan, found, decision, best)
    return decision


def _beside_goals(plan: Plan, found: Mapping[str, Finding], decision: Finding, best: _Candidate) -> None:
    """Take back what was decided by cost, where a goal of the cheapest was to be judged and could not be."""
    if decision.verdict not in ("takes", "equivalent"):
        return
    point = decision.point if decision.point is not None else ""
    if not best.sure:
        unsure = _unsure(plan, found, best.name, point)
        why = figures.listed(unsure)
    elif (
        plan.duel
        and point == operating_point(plan, found.values())
        and (missing := _unjudged_of(plan, found, best.name, point))
    ):
        why = f"{figures.listed(missing)} could not be judged"
    else:
        return
    decision.verdict, decision.says = CANT_TELL, f"{best.name} costs least, but {why}"


def _beside(decision: Finding, best: _Candidate, others: Sequence[_Candidate]) -> None:
    """Say by how much the best one is cheaper than the next, or that it cannot be told, or that it does not matter."""
    ratios = [(c, ratio_of(c.cost, best.cost)) for c in others]
    nearest, ratio = ratios[0]
    decision.versus, decision.value, decision.low = nearest.name, ratio.value, ratio.low
    decision.high = ratio.high if math.isfinite(ratio.high) else None
    unclear = [c.name for c, r in ratios if r.low <= 1 + DELTA]
    if any(not math.isfinite(c.cost.high) for c in (best, *others)):
        decision.verdict, decision.detail["unclear"] = CANT_TELL, unclear
        decision.says = "too few slices were undisturbed for an interval; dive again when the machine is quieter"
        return
    if not unclear:
        decision.verdict = "takes"
        return
    same = [c.name for c, r in ratios if r.low > 1 / (1 + DELTA) and r.high < 1 + DELTA]
    names = figures.listed([best.name, *unclear])
    if set(unclear) <= set(same):
        decision.verdict, decision.says = "equivalent", f"{names} cost the same within {DELTA:.0%}"
        decision.detail["same"] = same
    else:
        decision.verdict, decision.detail["unclear"] = CANT_TELL, unclear
        decision.says = (
            f"the costs of {names} overlap, or differ by less than {DELTA:.0%}: more slices would tell (--deep)"
        )


def _candidates(plan: Plan, found: Mapping[str, Finding], point: Point, out: Mapping[str, str]) -> Iterable[_Candidate]:
    for name in plan.names:
        cost = found.get(name_of("cost", name, point))
        if name in out or cost is None or cost.value is None or cost.low is None:
            continue
        high = cost.high if cost.high is not None else math.inf
        level = cost.detail.get("level", 0.0)
        sure = not _unsure(plan, found, name, point)
        yield _Candidate(name, Interval(cost.value, cost.low, high, level), sure, cost.n, cost.sources)


def _goals(plan: Plan, found: Mapping[str, Finding], name: str, point: Point) -> list[Finding]:
    goals = [found.get(name_of("goal", name, point, str(aim))) for aim in plan.goals]
    return [goal for goal in goals if goal is not None]


def _why_not(plan: Plan, found: Mapping[str, Finding], name: str, point: Point) -> str:
    laws = [f for f in found.values() if f.how == "law" and f.approach == name and f.verdict == FAILED]
    if laws:
        return f"it broke {figures.listed([str(law.measure) for law in laws])}"
    missed = [f"{g.op}.{g.measure}" for g in _goals(plan, found, name, point) if g.verdict == FAILED]
    return f"it misses the goal for {figures.listed(missed)}" if missed else ""


def _unsure(plan: Plan, found: Mapping[str, Finding], name: str, point: Point) -> list[str]:
    """Goals that were measured and lie across their limit, or at another load; without samples they are named apart."""
    goals = _goals(plan, found, name, point)
    return [
        f"{g.op}.{g.measure} {(g.says and f'was {g.says}') or 'may lie on either side of its goal'}"
        for g in goals
        if g.verdict == CANT_TELL and g.low is not None
    ]


def _unjudged_of(plan: Plan, found: Mapping[str, Finding], name: str, point: Point) -> list[str]:
    goals = _goals(plan, found, name, point)
    return [f"{g.op}.{g.measure}" for g in goals if g.verdict == CANT_TELL and g.low is None]


def _unjudged(plan: Plan, found: Mapping[str, Finding], point: Point) -> list[str]:
    return sorted({goal for name in plan.names for goal in _unjudged_of(plan, found, name, point)})


def operating_point(plan: Plan, found: Collection[Finding]) -> Point | None:
    """The swept value at which the duel ran, else the trial, else at which they were to run."""
    ran = [f for part in ("duel", "trial") for f in found if f.part == part and f.point is not None]
    if ran:
        return ran[0].point
    values = plan.swept.values
    return plan.duel.point if plan.duel else values[len(values) // 2] if values else None


# What held -----------------------------------------------------------------------------------------------------------


class Statement(NamedTuple):
    """Something that was said or demanded, and what became of it."""

    verdict: str
    kind: str  # prediction, law, closed form, cross-check, flip check, control, trial
    finding: Finding


_DEMANDS = ("prediction", "law", "closed form", "cross-check", "flip check", "control")


def statements(plan: Plan, found: Sequence[Finding]) -> list[Statement]:
    """Return all that can hold, fail, or not be told; a trial that did not recover is among the failed.

    Of a control, which is kept to be wrong, only that it was caught is demanded: how it does else is nobody's loss.
    """
    said = [
        Statement(f.verdict or CANT_TELL, f.how, f) for f in found if f.how in _DEMANDS and f.verdict != "not tried"
    ]
    for f in found:
        if f.how == "trial" and f.verdict == "does not recover" and f.approach in plan.names:
            said.append(Statement(FAILED, "trial", f))
    return said


def untold(plan: Plan, found: Sequence[Finding]) -> list[Statement]:
    """Return what the plan promised to tell at its operating point or of its trials, and what cannot be told."""
    if not plan.load.rates:
        return []
    by_id = {f.id: f for f in found}
    point = operating_point(plan, found)
    silent = [Statement(CANT_TELL, "untold trial", f) for f in found if f.how == "trial" and _is_untold(f)]
    decision = next((f for f in found if f.how == "decision" and f.point == point), None)
    out: Mapping[str, str] = (decision.detail.get("out") or {}) if decision else {}
    if decision and decision.verdict == CANT_TELL:
        silent.append(Statement(CANT_TELL, "untold decision", decision))
    for f in found:
        here = f.point == point and not f.void and f.verdict == CANT_TELL
        judged = f.low is not None or plan.duel is not None  # without a duel in the plan nobody promised the samples
        if f.how == "goal" and here and judged and f.approach not in out:
            silent.append(Statement(CANT_TELL, "untold goal", f))
        if f.how == "flip" and here and decision and _stands_on(decision, f):
            silent.append(Statement(CANT_TELL, "untold flip", f))
    for name in plan.names:
        for number, fault in enumerate(plan.faults):
            if not any(name_of("trial", name, number, m) in by_id for m in ("ok", "void")):
                says = f"{name} was not taken through the fault of {fault.target} at {fault.from_s:g} s"
                lacks = Finding(id=name_of("trial", name, number), part="trial", how="trial", command=plan.command)
                lacks.approach, lacks.says = name, says
                silent.append(Statement(CANT_TELL, "untold trial", lacks))
    return silent


def _is_untold(f: Finding) -> bool:
    """Whether this says that a trial was void, did not settle, or does not show when it healed."""
    healed = f.measure == "healed_s" and f.verdict == CANT_TELL
    return not f.void and (f.measure == "void" or f.verdict == "did not settle" or healed)


def _stands_on(decision: Finding, flip: Finding) -> bool:
    """Whether this flip is between the one that was named and one that does not cost the same as it."""
    pair = {flip.approach, flip.versus}
    return decision.approach in pair and not pair <= {decision.approach, *decision.detail.get("same", [])}


def _untried(found: Sequence[Finding], approach: str) -> bool:
    """Whether there are laws, and none of them was tried on this approach."""
    laws = {f.verdict for f in found if f.how == "law" and f.approach == approach}
    return laws == {"not tried"}


def exit_of(plan: Plan, found: Sequence[Finding]) -> int:
    """Return how the dive ends: 0 all held, 1 one failed, 2 can't tell, 3 no number stands."""
    broke = {f.approach for f in found if f.how == "law" and f.verdict == FAILED}
    if broke >= set(plan.names):
        return EXIT_VOID
    verdicts = [said.verdict for said in [*statements(plan, found), *untold(plan, found)]]
    verdicts += [FAILED for f in found if f.how == "decision" and f.verdict == "none"]
    verdicts += [CANT_TELL for name in plan.names if _untried(found, name)]
    if not plan.predictions:  # nothing was foretold: then the decision is what was asked for
        verdicts += [CANT_TELL for f in found if f.how == "decision" and f.verdict == CANT_TELL]
    elif not any(f.how == "prediction" for f in found):
        verdicts.append(CANT_TELL)
    if FAILED in verdicts:
        return EXIT_FAILED
    return EXIT_CANT_TELL if CANT_TELL in verdicts else EXIT_HELD
