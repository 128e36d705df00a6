"""Part three: what an operation costs in each approach, how fast it is, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence

from fathom.lab import figures
from fathom.lab.findings.offered import beyond, said
from fathom.lab.record.blocks import (
    Aside,
    Block,
    Bullets,
    Chart,
    Item,
    Mark,
    Num,
    Paragraph,
    Section,
    Span,
    Steps,
    Strong,
    Table,
)
from fathom.lab.record.capacity import capacity
from fathom.lab.record.facts import Facts, cells, common, declared, engines_of, goal_limit, mix_words, point_of, words
from fathom.lab.record.holdout import hold_out, hold_out_lines
from fathom.lab.runs import MIX, Finding, Point

__all__ = ["cost_chart", "proved_by", "tradeoffs", "verdict_line"]

_STORED = ("bytes", "keys", "rows_live", "size")  # states that say what is kept …
_FLOWS = ("in_bytes", "out_bytes")  # … and what only went by since the engine began
Grid = dict[Point, list[Finding | None]]  # a row per swept value, a column per approach


def tradeoffs(facts: Facts) -> Section:
    section = Section("Trade-offs")
    blocks = section.blocks
    blocks += _counted(facts)
    blocks += _counts(facts)
    blocks += _cpu(facts)
    blocks += _latency(facts)
    blocks += capacity(facts)
    if errors := hold_out_lines(facts):
        blocks += [Bullets(errors), Aside("the cells of the hold-out", hold_out(facts))]
    blocks += _kept(facts)
    blocks += _proofs_of_breaches(facts)
    return section


def _states(facts: Facts) -> list[str]:
    return list(dict.fromkeys(str(f.measure) for f in facts.of("state")))


def _counted(facts: Facts) -> list[Block]:
    """What a dive without load counted by itself."""
    plan, rows = facts.plan, []
    for name in _states(facts) if not plan.load.rates else ():
        found = {
            point: [facts.get("state", approach, point, name) for approach in plan.counted] for point in facts.points
        }
        rows += _rows(words(name), found)
    return [Table(["Counted", plan.swept.name, *plan.counted], rows, [], 2)] if rows else []


def _counts(facts: Facts) -> list[Block]:
    plan = facts.plan
    rows: list[list[Item]] = []
    for op in plan.ops:
        resources = list(dict.fromkeys(str(f.measure) for f in facts.of("count", op=op)))
        for resource in resources:
            rows += _count_rows(facts, op, resource)
    if not rows:
        return []
    head = ["Work", plan.swept.name or "", *plan.counted]
    blocks: list[Block] = [
        Table(head, rows, ["Counted in our own clients, per operation; background work is charged to its cause."], 2)
    ]
    proofs = _proofs(facts)
    return [*blocks, Bullets(proofs)] if proofs else blocks


def _count_rows(facts: Facts, op: str, resource: str) -> list[list[Item]]:
    """A row per swept value, or one for all where nothing depends on it."""
    plan = facts.plan
    table = {
        point: [facts.get("census", name, point, f"{op}.{resource}") for name in plan.counted] for point in facts.points
    }
    if not any(f and f.value for row in table.values() for f in row):
        return []
    label = f"{words(resource)} per {op}"
    seen = {tuple((f.value, f.exact) if f else None for f in row) for row in table.values()}
    if len(seen) == 1 and len(table) > 1 and all(f is None or f.exact for row in table.values() for f in row):
        first = table[facts.points[0]]
        return [[[label, common(first)], ["every"], *cells(first)]]
    return _rows(label, table)


def _rows(label: str, table: Grid) -> list[list[Item]]:
    """A row per swept value; the first says what it is, and what all its numbers have in common."""
    every = [f for row in table.values() for f in row]
    rows: list[list[Item]] = []
    for point, row in table.items():
        if any(row):
            first: Item = [label, common(every)] if not rows else [""]
            rows.append([first, [figures.point(point)], *cells(row, every)])
    return rows


def _proofs(facts: Facts) -> list[Item]:
    """What theory and the engines themselves say to these counts."""
    items: list[Item] = []
    forms = facts.of("closed form")
    for approach in dict.fromkeys(f.approach for f in forms):
        mine = [f for f in forms if f.approach == approach]
        bad = [f for f in mine if f.verdict != "held"]
        shown = (bad or mine)[-1]
        measured = f"{shown.measure} per {shown.op}"
        if bad:
            said = f" {approach}: {measured} differ from the closed form, which says "
            items.append([Mark("failed", shown), said, Num(shown), f" at {facts.at(point_of(shown))}"])
        else:
            said = f" {approach}: {measured} equal the closed form at every swept value, "
            items.append([Mark("held", shown), said, Num(shown), f" at {facts.at(point_of(shown))}"])
    items += _cross_checks(facts)
    residual = facts.of("residual")
    if residual:
        most = max(residual, key=lambda f: f.value or 0.0)
        where = f"{words(most.measure)} with {most.approach} at {facts.at(point_of(most))}"
        items.append([f"Charged to no operation, at most: {where}, ", Num(most)])
    return items


def _cross_checks(facts: Facts) -> list[Item]:
    """One line for each engine that agrees everywhere, and one for each approach in which it does not."""
    items: list[Item] = []
    checks = facts.of("cross-check")
    for field, measure in dict.fromkeys((f.says, f.measure) for f in checks):
        mine = [f for f in checks if (f.says, f.measure) == (field, measure)]
        engine = facts.machine.engines.get(field, field)
        held = [f for f in mine if f.verdict == "held" and f.n]
        if held:
            counts = ", ".join(f"{f.approach} {f.n:,}" for f in held)
            text = f" {engine}'s own counter of {measure} agrees with ours in every segment ({counts})"
            items.append([Mark("held", held[0]), text])
        for f in mine:
            if f.verdict != "held":
                differ = len(f.detail["different"])
                ours, theirs = f"{f.detail['ours']:,} {measure}", f"{f.detail['theirs']:,}"
                where = f"{differ} segment{'s' if differ > 1 else ''}"
                items.append([Mark("failed", f), f" {f.approach}: we counted {ours}, {engine} {theirs}; in {where}"])
    return items


def _cpu(facts: Facts) -> list[Block]:
    plan = facts.plan
    rows: list[list[Item]] = []
    for op in plan.ops:
        costs = {p: [facts.get("census", name, p, f"{op}.cpu_s") for name in plan.counted] for p in facts.points}
        rows += _rows(f"CPU per {op}", costs)
    if len(plan.ops) > 1:
        rows += _rows(
            "CPU per average operation", {p: [facts.get("cost", n, p) for n in plan.counted] for p in facts.points}
        )
    if not rows:
        return []
    slices = sorted({f.detail["slices"] for f in facts.of("cpu", part="census") if not f.detail["thin"]})
    over = f"Beside each number: the range of its {_to(slices)} slices. " if slices and slices[0] < 6 else ""
    if any(f.detail["thin"] for f in facts.of("cpu", part="census")):
        over += "Two slices are widened to what two can tell; one has no interval. "
    caption = f"{over}Over all processes of the system, from slices in which only that operation arrived"
    if len(plan.ops) > 1:
        caption += f"; the average operation is that of {mix_words(plan)}"
    return [Table(["CPU", plan.swept.name or "", *plan.counted], rows, [caption + "."], 2)]


def cost_chart(facts: Facts) -> Chart | None:
    """Return the picture of what an average operation costs, and where the cheapest changes; None for one value."""
    if not facts.of("cost") or len(facts.points) < 2:
        return None
    says = f"CPU of an average operation over {facts.plan.swept.name}, one line per approach"
    crossings = [_crossing(c) for c in facts.of("crossing", void=False)]
    return Chart("costs", {}, says + (f"; crossing: {', '.join(crossings)}" if crossings else ""))


def _to(numbers: Sequence[int]) -> str:
    return f"{numbers[0]}" if numbers[0] == numbers[-1] else f"{numbers[0]} to {numbers[-1]}"


def _crossing(found: Finding) -> str:
    """Say where two lines cross, between which values that lies, and at which of these nobody can tell."""
    ends = f"{figures.count(found.low or 0)} to {figures.count(found.high or 0)}"
    unsure = [figures.count(value) for value in found.detail.get("between", [])]
    more = f", can't tell at {figures.listed(unsure)}" if unsure else ""
    return f"{found.approach} and {found.versus} near {_round(found.value)} ({ends}{more})"


def _round(value: float | None) -> str:
    return figures.count(float(f"{value or 0:.2g}"))


def _latency(facts: Facts) -> list[Block]:
    point = facts.duelled
    if point is None:
        return []
    plan = facts.plan
    rows: list[list[Item]] = []
    for op, measure in dict.fromkeys((f.op, f.measure) for f in facts.of("ratio") if f.op != MIX):
        row = [facts.get("duel", name, point, f"{op}.{measure}") for name in plan.names]
        if any(row):
            rows.append([[f"{op} {measure}", common(row)], *cells(row)])
    blocks: list[Block] = []
    if rows:
        blocks.append(
            Table(
                [f"Latency at {facts.at(point)}", *plan.names],
                rows,
                ["From when a request was due, on a calm system; absolute values belong to this machine."],
            )
        )
    ratios = [f for f in facts.of("ratio") if f.value is not None and not f.detail.get("twin")]
    if any(f.low is not None for f in ratios):
        says = f"Each approach against {plan.default}, ratio and interval by measure; the grey band is no difference"
        blocks.append(Aside("some pictures", [Chart("duel", {}, says)]))
    alike = {f.says for f in ratios}
    if len(alike) == 1 and ratios[0].low is None:  # nobody is compared on anything, and for one reason
        return [*blocks, Paragraph([Strong("No comparison"), f": {ratios[0].says}."])]
    items = [verdict_line(facts, f) for f in ratios]
    return [*blocks, Bullets(items)] if items else blocks


def verdict_line(facts: Facts, ratio: Finding) -> Item:
    """Say how an approach compares with the default on one measure of the duel."""
    mix = ratio.detail.get("mix")
    whole = f"CPU at {mix}" if mix else "CPU of the whole mix"
    what = whole if ratio.op == MIX else f"{ratio.op} {ratio.measure}"
    start = f"{ratio.approach}, {what}: "
    verdict = {"better": "lower than", "worse": "higher than", "equivalent": "the same as"}.get(ratio.verdict or "")
    if verdict is None:
        why = ratio.says or "the interval lies across the margin"
        needs = ratio.detail.get("needs")
        more = f"; about {needs} blocks would tell" if needs and not ratio.says else ""
        number: list[Span] = [" (", Num(ratio), ")"] if ratio.value is not None else []
        return [start, Strong("can't tell"), *number, f": {why}{more}"]
    p = f", p = {figures.digits(ratio.detail['p'], 2)} over all measures" if ratio.verdict != "equivalent" else ""
    margin = f" within {ratio.detail['delta']:.0%}" if ratio.verdict == "equivalent" else ""
    return [start, Strong(f"{verdict} {ratio.versus}{margin}"), ", ", Num(ratio), p]


def _kept(facts: Facts) -> list[Block]:
    """Storage, goals, laws: what else speaks for or against an approach."""
    plan = facts.plan
    rows: list[list[Item]] = []
    last = facts.points[-1]
    for name in _states(facts) if plan.load.rates else ():
        row = [facts.get("state", approach, last, name) for approach in plan.names]
        if name.endswith(_STORED) and not name.endswith(_FLOWS):
            rows.append([[f"{words(name.replace('.', ' '))}, after {facts.at(last)}", common(row)], *cells(row)])
    for aim in plan.goals:
        marks = [_goal_cell(facts, approach, str(aim)) for approach in plan.names]
        rows.append([[f"goal: {aim} < {goal_limit(aim.less_than, aim.measure)}"], *marks])
    rows += _laws(facts)
    if not rows:
        return []
    tried = dict.fromkeys(words(f.measure) for f in facts.of("law") if f.verdict != "not tried")
    untried = [law for law in dict.fromkeys(words(f.measure) for f in facts.of("law")) if law not in tried]
    says = [*_goals_at(facts), *([f"Laws: {', '.join(tried)}."] if tried else [])]
    says += [f"Not tried, as nothing here could break them: {', '.join(untried)}."] if untried else []
    if facts.machine.engines:
        says.append(f"Engines needed by all: {', '.join(engines_of(facts))}.")
    return [Table(["Kept", *plan.names], rows, [" ".join(says)] if says else [])]


def _proofs_of_breaches(facts: Facts) -> list[Block]:
    """Tell of every law that was broken by which operations that is proved."""
    blocks: list[Block] = []
    for f in facts.of("law", verdict="failed"):
        if steps := f.detail.get("proof"):
            head: Item = [Mark("failed", f), " ", Strong(f"{f.approach} broke {words(f.measure)}"), f": {f.says}."]
            blocks += [Paragraph([*head, f" {proved_by(steps)}:"]), Steps(steps)]
    return blocks


def proved_by(steps: Sequence[str]) -> str:
    return f"The {len(steps)} operations that prove it" if len(steps) > 1 else "The operation that proves it"


def _goals_at(facts: Facts) -> list[str]:
    """Say where goals were judged at other rates than those of the load."""
    elsewhere: dict[str, list[Finding]] = {}
    for goal in facts.of("goal"):
        rates = {op: tuple(ends) for op, ends in goal.detail.get("rates", {}).items()}
        if any(beyond(facts.plan, rates)):
            elsewhere.setdefault(said(rates), []).append(goal)
    told = []
    for rates, goals in elsewhere.items():
        points = dict.fromkeys(facts.at(point_of(g)) for g in goals)
        told.append(f"at {figures.listed(points)} at {rates}")
    return [f"Goals were judged {'; '.join(told)}; the load is {declared(facts.plan)}."] if told else []


def _laws(facts: Facts) -> list[list[Item]]:
    """One row for all laws that everybody kept, and one for each that somebody broke, or that nothing tested."""
    plan, rows, kept, untried = facts.plan, [], [], 0
    for law in dict.fromkeys(f.measure for f in facts.of("law")):
        found = [facts.get("law", approach, law) for approach in plan.names]
        if all(f is None or f.verdict == "not tried" for f in found):
            untried += 1  # what is written below the table names them
        elif all(f is None or f.verdict == "held" for f in found):
            kept.append(found)
        else:
            rows.append([[words(law), common(found)], *([Mark(f.verdict or "", f)] if f else ["–"] for f in found)])
    if kept:
        label = "all laws" if not rows and not untried else "all laws that were tried" if not rows else "all other laws"
        every = common([f for found in kept for f in found])
        marks = [[Mark("held", found, f" {len(kept)}")] if found else ["–"] for found in kept[0]]
        rows.append([[label, every], *marks])
    return rows


def _goal_cell(facts: Facts, approach: str, aim: str) -> Item:
    """One mark where every swept value agrees; else a mark per verdict, with the values that have it."""
    found = [g for g in (facts.get("goal", approach, point, aim) for point in facts.points) if g is not None]
    verdicts = list(dict.fromkeys(g.verdict or "" for g in found))
    spans: list[Span] = []
    for verdict in verdicts:
        mine = [g for g in found if g.verdict == verdict]
        where = "" if len(verdicts) == 1 else f" {' '.join(figures.point(point_of(g)) for g in mine)}"
        spans += [Mark(verdict, mine[-1], where), "; "]
    return spans[:-1] or ["–"]
