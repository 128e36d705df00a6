"""The record on a terminal: header, question, one table, the verdicts, where the run lies, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from fathom.lab import figures
from fathom.lab.findings.trials import alike
from fathom.lab.record.blocks import Code, Item, Mark, Note, Num, Span, Strong
from fathom.lab.record.capacity import capacity_lines
from fathom.lab.record.decision import decision_line
from fathom.lab.record.facts import Facts, cores_of, counted, engines_of, fault_words, often, point_of, words
from fathom.lab.record.failures import voided
from fathom.lab.record.holdout import hold_out_lines
from fathom.lab.record.scale import scale_lines
from fathom.lab.record.tradeoffs import proved_by, verdict_line
from fathom.lab.record.verdict import verdict
from fathom.lab.runs import Finding
from fathom.lab.verdicts import statements, untold

__all__ = ["show", "terminal"]

SLOW_S = 1.0  # an engine that comes back later than this had much to read
_HEALED = {"with the return": "healed with the return"}
_COLOURS = {"held": "green", "failed": "red"}


def show(console: Console, facts: Facts) -> None:
    """Print a run's record, as wide as the terminal is."""
    for line in terminal(facts, console.width):
        console.print(line, soft_wrap=True)


def terminal(facts: Facts, width: int = 100) -> list[Text]:
    """Return the record as lines for a terminal of this width."""
    plan = facts.plan
    left = f"{plan.system} / {plan.dive}"
    right = " · ".join([f"seed {plan.seed}", cores_of(facts), *engines_of(facts)])
    head = Text(left, style="bold")
    gap = width - len(left) - len(right)
    head.append(" " * gap + right if gap > 1 else f"\n{right}", style="not bold dim")
    lines = [head, Text(plan.question), Text()]
    if facts.manifest.state == "void":
        lines += [*_changed(facts, width)]
        lines += _hanging([Mark("failed"), f" void: {facts.manifest.why}"], width)
        return [*lines, *_breaches(facts, width), _where(facts)]
    lines += [*_table(facts), *_changed(facts, width)]
    for item in _verdicts(facts):
        lines += _hanging(item, width)
        lines += _proof(item, width)
    return [*lines, *_in_three_lines(facts, width), _where(facts)]


def _in_three_lines(facts: Facts, width: int) -> list[Text]:
    """The verdict, last, where somebody looks first when a dive has ended."""
    lines: list[Text] = []
    for head, *rest in verdict(facts):
        wrapped = _spans(rest).wrap(Console(width=width), max(20, width - len(str(head))))
        lines += [
            Text.assemble((" " * len(str(head)), "") if at else (str(head), "bold"), line)
            for at, line in enumerate(wrapped)
        ]
    for line in lines:
        line.rstrip()
    return [Text(), Text("the verdict", style="bold"), *lines, Text()] if lines else []


def _proof(item: Item, width: int) -> list[Text]:
    """The operations that prove what a line says is broken, below it, each in words."""
    found = item[0].finding if isinstance(item[0], Mark) else None
    if found is None or found.how not in ("law", "control") or not (steps := found.detail.get("proof")):
        return []
    lines = [Text(f"  {proved_by(steps)}:", style="dim")]
    for number, step in enumerate(steps, 1):
        wrapped = Text(step).wrap(Console(width=width), max(20, width - 7))
        lines += [Text.assemble("       " if at else f"    {number}. ", line) for at, line in enumerate(wrapped)]
    for line in lines:
        line.rstrip()
    return lines


def _breaches(facts: Facts, width: int) -> list[Text]:
    """Every law that was broken, with its proof: all that may be told of a void run."""
    lines: list[Text] = []
    for found in facts.of("law", verdict="failed"):
        item: Item = [Mark("failed", found), *_said(facts, "law", found)]
        lines += [*_hanging(item, width), *_proof(item, width)]
    return lines


def _changed(facts: Facts, width: int) -> list[Text]:
    """Say what is not as it is by default, beside what was found with it."""
    return _hanging(["≠", f"not the default: {facts.changed}"], width, "yellow") if facts.changed else []


def _where(facts: Facts) -> Text:
    folder = facts.run.folder.resolve()
    here = Path.cwd()
    return Text(str(folder.relative_to(here) if folder.is_relative_to(here) else folder), style="dim")


# The table -----------------------------------------------------------------------------------------------------------


def _table(facts: Facts) -> list[Text]:
    """A row per swept value under each measure, approaches as columns."""
    names, groups = facts.plan.counted, list(_groups(facts))
    if not groups:
        return []
    cells = [[point, *map(_cell, row)] for _, _, rows in groups for point, row in rows]
    first = max(len(facts.plan.swept.name), *(len(point) for point, *_ in cells))
    widths = [max(len(name), *(len(row[at]) for row in cells)) for at, name in enumerate(names, 1)]
    lines = [_row(Text(facts.plan.swept.name), [Text(name, style="bold") for name in names], first, widths)]
    for label, note, rows in groups:
        lines.append(Text.assemble(label, (f"  {note}", "dim")))
        lines += [_row(Text(point), [_cell(f) for f in row], first, widths) for point, row in rows]
        lines.append(Text())
    return lines


def _row(head: Text, cells: Sequence[Text], first: int, widths: Sequence[int]) -> Text:
    line = Text(" " * (first - len(head)) + "  ").append_text(head)
    for cell, wide in zip(cells, widths, strict=True):
        line.append(" " * (wide - len(cell) + 3)).append_text(cell)
    return line


def _groups(facts: Facts) -> Iterator[tuple[str, str, list[tuple[str, list[Finding | None]]]]]:
    """What the dive watches first, by swept value; then what it compares at one."""
    plan = facts.plan
    counted = [(op, m) for op, m in plan.watch if any(f.measure == m for f in facts.of("count", op=op))]
    used = [(op, m) for op, m in plan.watch if m == "cpu_s"]
    for op, measure in counted or _first_counts(facts):
        yield _group(facts, f"{words(measure)} per {op}", "census", f"{op}.{measure}")
    for op, measure in used or [(op, "cpu_s") for op in plan.ops]:
        yield _group(facts, f"CPU per {op}", "census", f"{op}.{measure}")
    for name in dict.fromkeys(str(f.measure) for f in facts.of("state")) if not plan.load.rates else ():
        rows = [(p, [facts.get("state", approach, p, name) for approach in plan.counted]) for p in facts.points]
        yield words(name), _note([f for _, row in rows for f in row]), [(figures.point(p), row) for p, row in rows]
    point = facts.duelled
    if point is not None:
        watched = [(op, m) for op, m in plan.watch if (op, m) not in (*counted, *used)]
        for op, measure in watched:
            row = [facts.get("duel", name, point, f"{op}.{measure}") for name in plan.counted]
            if any(row):
                yield f"{op} {measure}", _note(row), [(figures.point(point), row)]


def _first_counts(facts: Facts) -> list[tuple[str, str]]:
    return list(dict.fromkeys((str(f.op), str(f.measure)) for f in facts.of("count") if f.value))[:2]


def _group(facts: Facts, label: str, *parts: str) -> tuple[str, str, list[tuple[str, list[Finding | None]]]]:
    kind, measure = parts
    rows = [(p, [facts.get(kind, name, p, measure) for name in facts.plan.counted]) for p in facts.points]
    return label, _note([f for _, row in rows for f in row]), [(figures.point(p), row) for p, row in rows if any(row)]


def _note(found: Sequence[Finding | None]) -> str:
    known = [f for f in found if f is not None]
    counts = sorted({f.n for f in known})
    if not counts:
        return ""
    n = f"n {counts[0]:,}" if len(counts) == 1 else f"n {counts[0]:,} to {counts[-1]:,}"
    if all(f.exact for f in known):
        return f"exact, {n}"
    overs = dict.fromkeys(f.over for f in known if not f.exact)
    return f"{next(iter(overs))}, {n}" if len(overs) == 1 else n


def _cell(finding: Finding | None) -> Text:
    if finding is None or finding.value is None:
        return Text("–", style="dim")
    text = Text(figures.value_of(finding))
    if not finding.exact:
        text.append(f" ({figures.spread_of(finding)})", style="dim")
    if finding.void:
        text.stylize("strike")
        text.append(" void", style="not dim red")
    return text


# The verdicts --------------------------------------------------------------------------------------------------------


def _verdicts(facts: Facts) -> Iterator[Item]:
    for decision in facts.of("decision"):
        yield ["→", *decision_line(facts, decision)]
    for said in statements(facts.plan, facts.found):
        line = _said(facts, said.kind, said.finding)
        if line:
            yield [Mark(said.verdict, said.finding), *line]
    for said in untold(facts.plan, facts.found):
        if line := _silent(facts, said.kind, said.finding):
            yield [Mark(said.verdict, said.finding), *line]
    yield from _laws_kept(facts)
    for ratio in facts.of("ratio"):
        if not ratio.detail.get("twin") and ratio.verdict in ("better", "worse"):
            yield ["·", *verdict_line(facts, ratio)]
    yield from capacity_lines(facts)
    yield from hold_out_lines(facts)
    for group in alike(facts.plan):
        yield from _broken(facts, group)
    yield from scale_lines(facts)


def _said(facts: Facts, kind: str, finding: Finding) -> Item:
    """One line for each thing that was said; what held in many places is said once, elsewhere."""
    if kind == "prediction":
        return [finding.says]
    if kind == "law" and finding.verdict != "held":
        broken = f"broken {often(finding)}: " if finding.verdict == "failed" else ""
        return [f"{finding.approach} keeps '{words(finding.measure)}': {broken}{finding.says}"]
    if kind == "closed form" and (finding.verdict != "held" or finding.point == facts.points[-1]):
        what = f"{finding.measure} per {finding.op}, {finding.approach}, {facts.at(point_of(finding))}"
        return [f"{what}: ", Num(finding), " by theory and by count" if finding.verdict == "held" else " by theory"]
    if kind == "cross-check" and finding.verdict != "held":
        ours, theirs = finding.detail["ours"], finding.detail["theirs"]
        engine = facts.machine.engines.get(finding.says, finding.says)
        return [f"{finding.approach}: we counted {ours:,} {finding.measure}, {engine} itself {theirs:,}"]
    if kind == "flip check":
        near = f"at {finding.detail['times']:g}x the flip, {facts.at(point_of(finding))}"
        return [f"{near}, {finding.approach} costs ", Num(finding), f" of {finding.versus}"]
    if kind == "control":
        return [f"{finding.approach}, kept to be wrong, is caught: {finding.says}"]
    if kind == "trial":
        return [f"{finding.approach} does not recover after fault {finding.id.split('/')[2]}"]
    return []


def _silent(facts: Facts, kind: str, finding: Finding) -> Item:
    """One line for what was to be told and cannot be; decisions and trials that ran have their own lines."""
    if kind == "untold goal":
        number: list[Span] = [" (", Num(finding), ")"] if finding.value is not None else []
        why = finding.says or "it lies on either side of the goal"
        return [f"{finding.approach}, goal for {finding.op} {finding.measure}", *number, f": {why}"]
    if kind == "untold flip":
        return [f"at {facts.at(point_of(finding))}, where the cost of {finding.approach} and {finding.versus} flips"]
    return [finding.says] if kind == "untold trial" and finding.measure is None else []


def _laws_kept(facts: Facts) -> Iterator[Item]:
    laws = [f for f in facts.of("law") if f.verdict == "held"]
    if laws and not any(f.verdict == "failed" for f in facts.of("law")):
        kinds = {f.measure for f in laws}
        more = len({f.measure for f in facts.of("law")} - kinds)
        rest = f"; {more} more {'were' if more > 1 else 'was'} not tried" if more else ""
        line = f" {len(kinds)} law{'s' if len(kinds) > 1 else ''} held in every approach, under faults too"
        yield [Mark("held"), line + rest]
    flips = [f for f in facts.of("flip", point=facts.duelled) if f.verdict == "flips"]
    for flip in flips:
        where = f"at {facts.at(point_of(flip))}, {flip.approach} costs less than {flip.versus} up to "
        yield ["·", where, Num(flip), f" {flip.measure}"]


def _broken(facts: Facts, group: list[int]) -> Iterator[Item]:
    number, kind = group[0], "trials" if len(group) > 1 else "trial"
    void = voided(facts, group)
    if void or any(facts.get("trial", name, number, "ok") for name in facts.plan.names):
        yield [Strong(fault_words(facts, number)), f", {len(group)} times" if len(group) > 1 else ""]
    yield from void
    for name in facts.plan.names:
        failed, unknown, healed = (facts.get(kind, name, number, m) for m in ("failed", "unknown", "healed_s"))
        if failed is None or unknown is None:
            continue
        lost = facts.get(kind, name, number, "lost")
        line: list[Span] = [
            "·",
            f"{name}: {counted(failed)} failed, {counted(unknown)} unknown of {failed.n:,}",
        ]
        fell = facts.get(kind, name, number, "degraded_from_s")
        if fell and fell.value is not None:
            line += ["; answers fell back in ", Num(fell, brief=True)]
        back = facts.get(kind, name, number, "back_s")
        if back and back.value and back.value > SLOW_S:
            line += ["; ready again only ", Num(back, brief=True), " after it was let go"]
        if healed and healed.value and healed.verdict != "with the return":
            line += ["; healed ", Num(healed, brief=True), " after the return"]
        elif healed and healed.verdict == "can't tell":
            line.append(f"; can't tell whether it healed{f': {healed.says}' if healed.says else ''}")
        elif healed:
            line.append(f"; {_HEALED.get(str(healed.verdict), healed.verdict)}")
        if lost and lost.value is not None:
            line.append(f"; {counted(lost)} acknowledged lost")
        settled = facts.get(kind, name, number, "settled_s")
        if settled and settled.verdict == "did not settle":
            line.append(f"; did not settle: {settled.says}")
        yield line


def _hanging(item: Item, width: int, style: str = "") -> list[Text]:
    """Lines whose mark stands out to the left."""
    mark, rest = item[0], _spans(item[1:])
    if isinstance(mark, Mark):
        sign = Text(mark.sign, style=_COLOURS.get(mark.verdict, "yellow"))
    elif mark in ("·", "→", "≠"):
        sign = Text(str(mark), style=style)
    else:
        return [_spans(item)]
    if rest.plain.startswith(" "):
        rest = rest[1:]
    wrapped = rest.wrap(Console(width=width), max(20, width - 2))
    lines = [Text.assemble("  " if at else sign, "" if at else " ", line) for at, line in enumerate(wrapped)]
    for line in lines:
        line.rstrip()
    return lines


def _spans(spans: Sequence[Span]) -> Text:
    text = Text()
    for span in spans:
        match span:
            case Num(finding, brief, _):
                text.append(figures.value_of(finding), style="strike" if finding.void else "")
                text.append(figures.beside(finding, brief=brief, brackets=True), style="dim")
            case Strong(words):
                text.append(words, style="bold")
            case Code(words):
                text.append(words, style="italic")
            case Note(words):
                text.append(f" ({words})", style="dim")
            case Mark():
                text.append(f"{span.sign}{span.word}")
            case _:
                text.append(span)
    return text
