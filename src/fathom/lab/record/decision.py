"""Part four: which approach to take, by how much, where that flips, and what was foretold."""

from __future__ import annotations

from fathom.lab import figures
from fathom.lab.findings.flips import axis_of
from fathom.lab.record.blocks import Aside, Bullets, Chart, Item, Mark, Num, Paragraph, Section, Span, Strong, Table
from fathom.lab.record.facts import Facts, mix_words, point_of
from fathom.lab.runs import Finding

__all__ = ["decision", "decision_line"]


def decision_line(facts: Facts, decision: Finding) -> Item:
    """Say which approach to take at one swept value, and by how much."""
    where = f"At {facts.at(decision.point)} " if decision.point is not None else ""
    unjudged = decision.detail.get("unjudged") or []
    if decision.verdict == "takes":
        line: list[Span] = [where, Strong(f"take {facts.called(decision.approach)}")]
        other = [f": the next, {facts.called(decision.versus)}, costs ", Num(decision)]
        line += other if decision.versus else [f": {decision.says}"]
        return [*line, f"; not judged there, for want of samples: {', '.join(unjudged)}"] if unjudged else line
    if decision.verdict == "equivalent":
        return [where, Strong("it does not matter"), f": {decision.says}"]
    if decision.verdict == "none":
        return [where, Strong("none will do"), f": {decision.says}"]
    return [where, Strong("can't tell"), f": {decision.says}"]


def decision(facts: Facts) -> Section:
    plan = facts.plan
    section = Section("Decision")
    if not plan.load.rates:
        text = "This dive counts and times nothing, so no cost decides: the numbers above are its answer."
        section.blocks.append(Paragraph([text]))
        return _foretold(facts, section)
    axis = axis_of(plan)
    mix = f" at {mix_words(plan)}" if axis else ""
    rule = f"Of the approaches that kept every law and missed no goal, the one with the least CPU{mix}."
    section.blocks.append(Paragraph([f"{rule} A difference under 5 % counts as none."]))
    decided = Bullets([_decided(facts, found) for found in facts.of("decision")])
    in_short = [list(decision_line(facts, found)) for found in facts.of("decision")]
    section.blocks.append(Aside("", [decided]) if list(decided.items) == in_short else decided)
    flips = facts.of("flip", void=False)  # whoever broke a law is beside nobody
    told = [f for f in flips if f.verdict == "flips"]
    if told and axis:
        rows = [[[figures.point(point_of(f))], [str(f.approach)], [str(f.versus)], [Num(f)]] for f in told]
        few, many = f"cheaper with few {axis.often}", f"cheaper with many {axis.often}"
        head = [plan.swept.name, few, many, f"flips at ({axis.says})"]
        caption = [_undecided(facts, flips)] if len(told) < len(flips) else []
        section.blocks.append(Table(head, rows, caption, 3))
        checked = facts.of("flip check")
        raced = [f.point for f in told if f.point == facts.duelled]
        point = checked[0].point if checked else raced[0] if raced else told[len(told) // 2].point
        says = f"CPU per {' + '.join(axis.others)} at {facts.at(point or '')}, over {axis.says}"
        section.blocks.append(Aside("some pictures", [Chart("flip", {"point": point}, says)]))
    elif flips:
        section.blocks.append(Paragraph([_undecided(facts, flips)]))
    checks = facts.of("flip check")
    if checks:
        section.blocks.append(Bullets([_check_line(facts, check) for check in checks]))
    return _foretold(facts, section)


def _foretold(facts: Facts, section: Section) -> Section:
    """Add what became of the prediction."""
    predictions = facts.of("prediction")
    if predictions:
        section.blocks.append(Paragraph([Strong("Foretold before the run:")]))
        items: list[Item] = [
            [Mark(f.verdict or "", f), f" {f.says}", f" ({f.detail.get('compared', '')})"] for f in predictions
        ]
        section.blocks.append(Bullets(items))
    return section


def _decided(facts: Facts, decision: Finding) -> Item:
    line = list(decision_line(facts, decision))
    out = decision.detail.get("out") or {}
    if out:
        line.append("; out: " + ", ".join(f"{name} ({why})" for name, why in out.items()))
    unjudged = decision.detail.get("unjudged") or []
    if unjudged and decision.verdict != "takes":
        line.append(f"; not judged here for want of samples: {', '.join(unjudged)}")
    return line


def _undecided(facts: Facts, flips: list[Finding]) -> str:
    """What can be said of pairs that have no flip point."""
    parts = []
    for f in flips:
        if f.verdict == "dominates":
            parts.append(f"{f.approach} is cheaper than {f.versus} at any mix ({facts.at(point_of(f))})")
    unclear = [f"{f.approach} and {f.versus} at {facts.at(point_of(f))}" for f in flips if f.verdict == "can't tell"]
    if unclear:
        parts.append(f"can't tell where, if at all, for {', '.join(unclear)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _check_line(facts: Facts, check: Finding) -> Item:
    times = check.detail["times"]
    mix = figures.digits(check.detail["mix"])
    where = f"{times:g} times that ratio ({mix} measured, {facts.at(point_of(check))})"
    held = {"held": "as computed", "failed": "not as computed"}.get(check.verdict or "", "can't tell")
    held += f" ({check.says})" if check.says else ""
    return [
        Mark(check.verdict or "", check),
        f" run at {where}, {check.approach} costs ",
        Num(check),
        f" of {check.versus}: {held}",
    ]
