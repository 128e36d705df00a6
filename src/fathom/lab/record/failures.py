"""Part five: what was broken, what users saw, how long until it healed, and what was lost."""

from __future__ import annotations

from fathom.lab import figures
from fathom.lab.findings.trials import alike
from fathom.lab.record.blocks import Aside, Block, Bullets, Chart, Item, Mark, Paragraph, Section, Span, Strong, Table
from fathom.lab.record.facts import Facts, cells, common, fault_words, words
from fathom.lab.runs import Finding

__all__ = ["failures", "voided"]


_TRIAL_ROWS = (
    ("failed", "requests failed"),
    ("unknown", "outcome unknown"),
    ("censored", "never answered"),
    ("noticed_s", "users noticed after"),
    ("back_s", "ready again, after it was let go, in"),
    ("healed_s", "healed, after the return, in"),
    ("bad_again", "quarter-seconds that were bad again"),
    ("unseen", "looked for what never came"),
    ("settled_s", "all accepted had taken effect, after the load, in"),
    ("lost", "acknowledged and lost"),
    ("degraded", "answers that showed it"),
    ("degraded_until_s", "the last of them, after the return"),
)
_UNTOLD = {"ok", "together", "degraded_from_s"}


def failures(facts: Facts) -> Section:
    section = Section("Failure modes")
    plan = facts.plan
    groups = [g for g in alike(plan) if any(facts.get("trial", a, n, m) for a in plan.names for n in g for m in _RAN)]
    if not groups:
        section.blocks.append(Paragraph(["Nothing was broken in this run, so nothing is known."]))
    for group in groups:
        section.blocks += _failure(facts, group)
    return section


def _failure(facts: Facts, group: list[int]) -> list[Block]:
    """One fault: a table over all its injections, and the course of the first."""
    plan, number = facts.plan, group[0]
    kind = "trials" if len(group) > 1 else "trial"
    names = [name for name in plan.names if any(facts.get("trial", name, n, "ok") for n in group)]
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
        quiet = measure in ("censored", "bad_again", "unseen") and not any(f and f.value for f in found)
        if any(found) and not quiet:
            rows.append([[label, common(found)], *_trial_cells(found)])
    title = fault_words(facts, number)
    times = f", {len(group)} times" if len(group) > 1 else ""
    side = [facts.get("trial", name, number, "together") for name in names]
    together = " All went through it side by side, sharing the machine." if any(f and f.value for f in side) else ""
    blocks: list[Block] = [Paragraph([Strong(title[:1].upper() + title[1:]), f"{times}{seen}.{together}"])]
    void = voided(facts, group)
    if void:
        blocks.append(Bullets(void))
    if names:
        blocks.append(Table(["", *names], rows, _untold(facts, names, number)))
    if any(facts.get("trial", name, number, "timeline") for name in names):
        course = Chart("trial", {"fault": number}, f"{title}: latency and failures of each approach over time")
        blocks.append(Aside("some pictures", [course]) if number else course)
    return blocks


_RAN = ("ok", "void")


def voided(facts: Facts, group: list[int]) -> list[Item]:
    """Say of every trial that a gate voided why, and what became of the laws: they are all that counts of it."""
    items: list[Item] = []
    for name in facts.plan.names:
        for number in group:
            found = facts.get("trial", name, number, "void")
            if found is not None:
                which = f" (injection {group.index(number) + 1} of {len(group)})" if len(group) > 1 else ""
                laws = [law for law in facts.run.laws if (law.approach, law.fault) == (name, number)]
                broken = [words(law.law) for law in laws if law.count]
                kept = (
                    f"it broke {figures.listed(broken)}" if broken else "its laws held" if laws else "no law was held"
                )
                items.append([Mark("can't tell", found), f" {name}{which}: void, {found.says}; {kept}"])
    return items


def _untold(facts: Facts, names: list[str], number: int) -> Item:
    """Why it cannot be told whether users noticed, or whether it healed, or whether the laws saw the end of it."""
    found = [facts.get("trial", name, number, m) for name in names for m in ("noticed_s", "healed_s", "settled_s")]
    why = dict.fromkeys(f.says for f in found if f and _WORDS.get(f.verdict or "") == "can't tell" and f.says)
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
    "did not settle": "can't tell",
    "can't tell": "can't tell",
}
