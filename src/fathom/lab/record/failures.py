"""Part five: what was broken, what users saw, how long until it healed, and what was lost."""

from __future__ import annotations

from fathom.lab.findings.trials import alike
from fathom.lab.record.blocks import Block, Chart, Item, Mark, Paragraph, Section, Span, Strong, Table
from fathom.lab.record.facts import Facts, cells, common, fault_words, words
from fathom.lab.runs import Finding

__all__ = ["failures"]


_TRIAL_ROWS = (
    ("failed", "requests failed"),
    ("unknown", "outcome unknown"),
    ("censored", "never answered"),
    ("noticed_s", "users noticed after"),
    ("healed_s", "healed, after the return, in"),
    ("bad_again", "quarter-seconds that were bad again"),
    ("lost", "acknowledged and lost"),
    ("degraded", "answers that showed it"),
    ("degraded_until_s", "the last of them, after the return"),
)
_UNTOLD = {"ok", "together", "degraded_from_s"}


def failures(facts: Facts) -> Section:
    section = Section("Failure modes")
    plan = facts.plan
    groups = [g for g in alike(plan) if any(facts.get("trial", a, g[0], "ok") for a in plan.names)]
    if not groups:
        section.blocks.append(Paragraph(["Nothing was broken in this run, so nothing is known."]))
    for group in groups:
        section.blocks += _failure(facts, group)
    return section


def _failure(facts: Facts, group: list[int]) -> list[Block]:
    """One fault: a table over all its injections, and the course of the first."""
    plan, number = facts.plan, group[0]
    kind = "trials" if len(group) > 1 else "trial"
    names = [name for name in plan.names if facts.get("trial", name, number, "ok")]
    proof = {pid for mark in facts.run.faults if mark.fault in group and mark.did == "kill" for pid in mark.pids}
    seen = f" ({len(proof)} process{'es' if len(proof) > 1 else ''} seen to die)" if proof else ""
    rows: list[list[Item]] = []
    measures = dict(_TRIAL_ROWS)
    extras = [
        f.measure
        for f in facts.of(kind)
        if f.exact and f.measure not in {*measures, *_UNTOLD} and f.id.split("/")[2] == str(number)
    ]
    for measure, label in [*_TRIAL_ROWS, *((str(m), words(m)) for m in dict.fromkeys(extras))]:
        found = [facts.get(kind, name, number, measure) for name in names]
        quiet = measure in ("censored", "bad_again") and not any(f and f.value for f in found)
        if any(found) and not quiet:
            rows.append([[label, common(found)], *_trial_cells(found)])
    title = fault_words(facts, number)
    times = f", {len(group)} times" if len(group) > 1 else ""
    side = [facts.get("trial", name, number, "together") for name in names]
    together = " All went through it side by side, sharing the machine." if any(f and f.value for f in side) else ""
    return [
        Paragraph([Strong(title[:1].upper() + title[1:]), f"{times}{seen}.{together}"]),
        Table(["", *names], rows, _untold(facts, names, number)),
        Chart("trial", {"fault": number}, f"{title}: latency and failures of each approach over time"),
    ]


def _untold(facts: Facts, names: list[str], number: int) -> Item:
    """Why it cannot be told whether users noticed, or whether it healed."""
    found = [facts.get("trial", name, number, m) for name in names for m in ("noticed_s", "healed_s")]
    why = dict.fromkeys(f.says for f in found if f and f.verdict == "can't tell" and f.says)
    return [f"Can't tell: {'; '.join(why)}."] if why else []


def _trial_cells(found: list[Finding | None]) -> list[list[Span]]:
    """Numbers, or in words what was never noticed, needed no healing, or did not heal."""
    row = cells(found)
    for at, finding in enumerate(found):
        if finding is not None and finding.verdict in _WORDS:
            row[at] = [Mark(_WORDS[finding.verdict], finding, f" {finding.verdict}")]
    return row


_WORDS = {
    "never": "held",
    "nothing to heal": "held",
    "with the return": "held",
    "does not recover": "failed",
    "can't tell": "can't tell",
}
