"""The whole record: the answer, five parts, then scale, limits and repetition."""

from __future__ import annotations

from typing import Any

from fathom.lab import figures
from fathom.lab.findings.offered import said
from fathom.lab.findings.trials import alike
from fathom.lab.record.blocks import (
    Aside,
    Block,
    Bullets,
    Code,
    Item,
    Listing,
    Mark,
    Num,
    Paragraph,
    Section,
    Span,
    Story,
    Strong,
    Table,
)
from fathom.lab.record.decision import decision, decision_line
from fathom.lab.record.facts import (
    Facts,
    cores_of,
    declared,
    engines_of,
    fault_words,
    goal_limit,
    joined,
    mix_words,
    often,
    words,
)
from fathom.lab.record.failures import failures
from fathom.lab.record.scale import at_scale
from fathom.lab.record.tradeoffs import cost_chart, tradeoffs
from fathom.lab.runs import Finding

__all__ = ["tell"]

NOT_THE_DEFAULT = "Not the default"


def tell(facts: Facts) -> Story:
    """Return the whole record: five parts, then scale, what was not measured, and how to repeat it."""
    plan = facts.plan
    when = facts.manifest.started.replace("T", " ").replace("Z", " UTC")
    about = [f"{plan.system} / {plan.dive}", when, f"seed {plan.seed}", cores_of(facts), *engines_of(facts)]
    return Story(
        title=plan.question,
        about=" · ".join(about),
        changed=f"{NOT_THE_DEFAULT}: {facts.changed}" if facts.changed else "",
        short=_short(facts),
        hero=cost_chart(facts),
        sections=[section for section in _sections(facts) if section is not None],
    )


def _sections(facts: Facts) -> list[Section | None]:
    return [
        _problem(facts),
        _approaches(facts),
        tradeoffs(facts),
        decision(facts),
        failures(facts),
        at_scale(facts),
        _unmeasured(facts),
        _repeat(facts),
    ]


def _short(facts: Facts) -> list[Item]:
    lines: list[Item] = [decision_line(facts, found) for found in facts.of("decision")]
    if facts.changed:
        lines.append([Strong(NOT_THE_DEFAULT), f": {facts.changed}."])
    failed = [f for f in facts.of("law") if f.verdict == "failed"]
    for law in failed:
        lines.append(
            [Mark("failed", law), f" {law.approach} broke {words(law.measure)} {often(law)}: its numbers are void."]
        )
    return lines


def _problem(facts: Facts) -> Section:
    plan = facts.plan
    section = Section("Problem")
    if plan.tells:
        section.blocks.append(Paragraph([joined(plan.tells)]))
    if plan.asks:
        section.blocks.append(Paragraph(["The decision is ", Code(plan.decision), f": {plan.asks}"]))
    rows: list[list[Item]] = []
    if plan.target:
        per_s = ", ".join(f"{figures.si(rate)} {op}/s" for op, rate in plan.target.per_s.items())
        users = f"{figures.si(plan.target.users)} users, " if plan.target.users else ""
        rows.append([["Asked for"], [f"{users}{per_s}: {mix_words(plan)}"]])
    if plan.load.rates:
        rows.append([["The load"], [f"{declared(plan)}, arriving when they will (open loop)"]])
    if plan.swept.name:
        rows.append([["Varied"], [f"{plan.swept.name} = {', '.join(figures.point(v) for v in plan.swept.values)}"]])
    if plan.goals:
        rows.append([["Goals"], [", ".join(f"{aim} < {goal_limit(aim.less_than, aim.measure)}" for aim in plan.goals)]])
    if plan.faults:
        rows.append([["Broken on purpose"], ["; ".join(fault_words(facts, group[0]) for group in alike(plan))]])
    section.blocks.append(Table(["", ""], rows, words=2))
    if plan.load.rates:
        section.blocks.append(
            Aside(
                "the rates that were really offered",
                [Table(["", ""], [[["Offered here"], [_offered(facts)]]], words=2)],
            )
        )
    return section


_PARTS = {
    ("census", "alone"): "one operation at a time",
    ("census", "mix"): "in the mix of the census",
    ("flip", "mix"): "beside the flip",
    ("duel", "mix"): "in the duel",
    ("trial", "mix"): "in the trials",
}


def _offered(facts: Facts) -> str:
    """At which rates each part really offered it, in one row; approaches are named where they differ."""
    parts: list[str] = []
    for (part, slices), label in _PARTS.items():
        found = facts.of("offered", part=part, measure=slices)
        by_rates: dict[str, list[str]] = {}
        for f in found:
            by_rates.setdefault(said({op: tuple(ends) for op, ends in f.detail["rates"].items()}), []).append(
                str(f.approach)
            )
        if len(by_rates) == 1:
            parts.append(f"{label} {next(iter(by_rates))}")
        elif by_rates:
            each = ", ".join(f"{figures.listed(names)} {rates}" for rates, names in by_rates.items())
            parts.append(f"{label} {each}")
    return "; ".join(parts) or "nothing"


def _approaches(facts: Facts) -> Section:
    items: list[Item] = []
    for option in [*facts.plan.approaches, *facts.plan.weighed]:
        knobs = ", ".join(f"{name} = {figures.point(value)}" for name, value in option.knobs.items() if _plain(value))
        item: list[Span] = [Strong(option.name)]
        if option.name == facts.plan.default:
            item.append(" (the default)")
        elif option in facts.plan.weighed:
            item.append(" (a control: it breaks a law, so it is counted and not raced)")
        item.append(f": {option.says}")
        if option.tells:
            item.append(f" {joined(option.tells)}")
        if knobs:
            item += [" Knobs: ", Code(knobs)]
        items.append(item)
    return Section("Approaches", [Bullets(items)])


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


# Limits, repetition --------------------------------------------------------------------------------------------------


def _unmeasured(facts: Facts) -> Section:
    items: list[Item] = [[text] for text in facts.plan.not_measured]
    if facts.duelled is None and facts.plan.load.rates:
        items.append(["Which approach answers faster: there was no duel, so no latency is compared."])
    unsupported = [f for f in facts.of("ratio") if f.value is None]
    for op, measure in dict.fromkeys((f.op, f.measure) for f in unsupported):
        why = next(f.says for f in unsupported if (f.op, f.measure) == (op, measure))
        items.append([f"{op} {measure} as a comparison: {why}."])
    drifting = [f for f in facts.of("ratio") if f.detail.get("twin") and f.verdict in ("better", "worse")]
    for twin in drifting:
        items.append(
            [
                f"{twin.op} {twin.measure}: the default differed from its own twin, ",
                Num(twin),
                ", so nobody is compared on it.",
            ]
        )
    if any(f.detail.get("thin") or f.detail.get("slices", 9) < 6 for f in facts.of("cpu")):
        items.append(["CPU intervals are the whole range of few slices: three hold their median with 75 %."])
    void = facts.get("gate", "segments")
    if void and void.value:
        items.append(
            [f"{int(void.value)} of {void.n} segments were void and are in no number; the gates below say why."]
        )
    if not facts.plan.load.rates:
        return Section(
            "What was not measured", [Bullets([*items, ["Anything that takes time: this dive only counts."]])]
        )
    items += [
        [f"Absolute latencies: load, service and engines shared {cores_of(facts)}. Work and ratios carry over."],
        ["Durability: a killed process proves crash safety, not that anything had reached the disk."],
        ["Other networks, replicas, regions, and data larger than memory."],
    ]
    return Section("What was not measured", [Bullets(items)])


def _repeat(facts: Facts) -> Section:
    plan, machine = facts.plan, facts.machine
    rows: list[list[Item]] = [
        [
            ["Machine"],
            [", ".join(x for x in (machine.cpu, cores_of(facts), machine.system, f"Python {machine.python}") if x)],
        ],
        [
            ["Placement"],
            ["; ".join(f"{who} on {', '.join(map(str, on))}" for who, on in machine.placement.items()) or "–"],
        ],
        [["Plan"], [Code(facts.manifest.plan_sha256[:16]), f", mode {plan.mode}, Fathom {plan.fathom}"]],
    ]
    more: list[list[Item]] = [
        [["Measured"], [", ".join(_spoken(name, value) for name, value in machine.measured.items()) or "–"]],
        *(warm := _warm(facts)),
    ]
    says = "the machine's own measurements" + (", the warm-up" if warm else "")
    gates = [f for f in facts.of("gate") if f.measure != "segments"]
    blocks: list[Block] = [
        Listing([plan.command, f"fathom verify {facts.folder}", f"python docs/reference/reproduce.py {facts.folder}"]),
        Table(["", ""], rows, words=2),
        Aside(says, [Table(["", ""], more, words=2)]),
    ]
    if gates:
        head = ["Gate", "tripped", "segments", "worst", "limit"]
        lines: list[list[Item]] = [
            [
                [f"{f.measure}: {f.says}" if f.says else f.measure or ""],
                [Mark(f.verdict or "", f, f" {int(f.value or 0)}")],
                [f"{f.n:,}"],
                [_gate(f, "worst")],
                [_gate(f, "limit")],
            ]
            for f in gates
        ]
        blocks.append(Aside("the gates", [Table(head, lines)]))
    return Section("How to repeat", blocks)


def _warm(facts: Facts) -> list[list[Item]]:
    """How everybody was warmed up before the race, and who was not seen to be warm."""
    found = facts.of("warm-up")
    if not found:
        return []
    rounds = max(f.detail["rounds"] for f in found)
    warm = all(f.verdict == "held" for f in found)
    until = ", until nobody had fallen four times in a row" if warm else ""
    item: list[Span] = [f"{rounds} rounds of {found[0].detail['lasts_s']:g} s for each{until}"]
    for f in found:
        if f.verdict != "held":
            item.append(f"; {f.id.partition('/')[2]} was not seen to be warm: {f.says}")
    return [[["Warm-up"], item]]


def _gate(finding: Finding, key: str) -> str:
    return figures.digits(finding.detail[key])


_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def _spoken(name: str, value: float) -> str:
    """Write a micro-measurement whose name ends with its unit: `fsync 287 µs`."""
    what, _, unit = name.rpartition("_")
    if unit not in _UNITS:
        return f"{words(name)} {figures.digits(value)}"
    scale, short = figures.unit_for(value * _UNITS[unit], "s")
    return f"{words(what)} {figures.digits(value * _UNITS[unit] / scale)} {short}"
