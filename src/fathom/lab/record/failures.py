"""Part five: what was broken, what users saw, how long until it healed, and what was lost."""

from __future__ import annotations

from fathom.lab.record.blocks import Block, Chart, Item, Mark, Paragraph, Section, Span, Strong, Table
from fathom.lab.record.facts import Facts, cell, common, fault_words, words
from fathom.lab.runs import Finding

__all__ = ["failures"]


_TRIAL_ROWS = (
    ("failed", "requests failed"),
    ("unknown", "outcome unknown"),
    ("censored", "never answered"),
    ("noticed_s", "users noticed after"),
    ("healed_s", "healed, after the return, in"),
    ("lost", "acknowledged and lost"),
)


def failures(facts: Facts) -> Section:
    section = Section("Failure modes")
    plan = facts.plan
    numbers = [n for n in range(len(plan.faults)) if any(facts.get("trial", a, n, "ok") for a in plan.names)]
    if not numbers:
        section.blocks.append(Paragraph(["Nothing was broken in this run, so nothing is known."]))
    for number in numbers:
        section.blocks += _failure(facts, number)
    return section


def _failure(facts: Facts, number: int) -> list[Block]:
    plan = facts.plan
    names = [name for name in plan.names if facts.get("trial", name, number, "ok")]
    proof = {pid for mark in facts.run.faults if mark.fault == number and mark.did == "kill" for pid in mark.pids}
    seen = f" ({len(proof)} process{'es' if len(proof) > 1 else ''} seen to die)" if proof else ""
    rows: list[list[Item]] = []
    measures = dict(_TRIAL_ROWS)
    extras = [
        f.measure
        for f in facts.of("trial")
        if f.exact and f.measure not in measures and f.measure != "ok" and f.id.split("/")[2] == str(number)
    ]
    for measure, label in [*_TRIAL_ROWS, *((str(m), words(m)) for m in dict.fromkeys(extras))]:
        found = [facts.get("trial", name, number, measure) for name in names]
        quiet = measure == "censored" and not any(f and f.value for f in found)
        if any(found) and not quiet:
            rows.append([[label, common(found)], *([_trial_cell(f)] for f in found)])
    title = fault_words(facts, number)
    return [
        Paragraph([Strong(title[:1].upper() + title[1:]), f"{seen}."]),
        Table(["", *names], rows),
        Chart("trial", {"fault": number}, f"{title}: latency and failures of each approach over time"),
    ]


def _trial_cell(finding: Finding | None) -> Span:
    if finding is None:
        return "–"
    if finding.verdict in ("never", "nothing to heal", "does not recover"):
        return Mark("failed" if finding.verdict == "does not recover" else "held", finding, f" {finding.verdict}")
    return cell(finding, brief=True)
