"""What a record says, before anybody says it aloud: sections of text, tables and charts, every number a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fathom.lab.findings.book import name_of
from fathom.lab.findings.flips import axis_of, rates_of
from fathom.lab.record import figures
from fathom.lab.runs import Finding, Machine, Manifest, Plan, Point, Run

__all__ = [
    "Bullets",
    "Chart",
    "Code",
    "Facts",
    "Item",
    "Mark",
    "Num",
    "Paragraph",
    "Section",
    "Span",
    "Story",
    "Strong",
    "Table",
    "tell",
]


@dataclass(frozen=True)
class Num:
    """A number with its spread and count, looked up from a finding."""

    finding: Finding


@dataclass(frozen=True)
class Strong:
    text: str


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Mark:
    """✓, ✗ or ?: what became of something, with its finding where it is one."""

    verdict: str
    finding: Finding | None = None
    word: str = ""

    @property
    def sign(self) -> str:
        return {"held": "✓", "failed": "✗"}.get(self.verdict, "?")


Span = str | Num | Strong | Code | Mark
Item = Sequence[Span]


@dataclass(frozen=True)
class Paragraph:
    spans: Item


@dataclass(frozen=True)
class Bullets:
    items: Sequence[Item]


@dataclass(frozen=True)
class Table:
    head: Sequence[str]
    rows: Sequence[Sequence[Item]]
    caption: Item = ()
    words: int = 1  # how many columns from the left hold words; the rest are numbers


@dataclass(frozen=True)
class Chart:
    """A picture of findings: `kind` says which, `about` what of."""

    kind: str
    about: Mapping[str, Any]
    says: str  # what it shows, for whoever cannot see it


@dataclass(frozen=True)
class Listing:
    """Lines to be typed."""

    lines: Sequence[str]


Block = Paragraph | Bullets | Table | Chart | Listing


@dataclass
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Story:
    title: str
    about: str  # one line: system, dive, when, on what
    short: list[Item]  # the answer, before everything else
    sections: list[Section]


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
    def folder(self) -> str:
        return f"runs/{self.plan.system}/{self.plan.dive}/{self.manifest.started.rstrip('Z').replace(':', '-')}"

    @property
    def duelled(self) -> Point | None:
        """The swept value at which the duel ran."""
        ratios = [f for f in self.found if f.part == "duel" and f.how == "ratio"]
        return ratios[0].point if ratios else None


def tell(facts: Facts) -> Story:
    """Return the whole record: five parts, then scale, what was not measured, and how to repeat it."""
    plan = facts.plan
    when = facts.manifest.started.replace("T", " ").replace("Z", " UTC")
    about = [f"{plan.system} / {plan.dive}", when, f"seed {plan.seed}", cores_of(facts), *engines_of(facts)]
    return Story(
        title=plan.question,
        about=" · ".join(about),
        short=_short(facts),
        sections=[
            _problem(facts),
            _approaches(facts),
            _tradeoffs(facts),
            _decision(facts),
            _failures(facts),
            _scale(facts),
            _unmeasured(facts),
            _repeat(facts),
        ],
    )


def cores_of(facts: Facts) -> str:
    return f"{facts.machine.cores} core{'s' if facts.machine.cores != 1 else ''}"


def engines_of(facts: Facts) -> list[str]:
    return list(dict.fromkeys(facts.machine.engines.values()))


# The answer ----------------------------------------------------------------------------------------------------------


def _short(facts: Facts) -> list[Item]:
    lines: list[Item] = []
    for decision in facts.of("decision"):
        lines.append(decision_line(facts, decision))
    failed = [f for f in facts.of("law") if f.verdict == "failed"]
    for law in failed:
        lines.append([Mark("failed", law), f" {law.approach} broke {words(law.measure)}: its numbers are void."])
    return lines


def decision_line(facts: Facts, decision: Finding) -> Item:
    """Say which approach to take at one swept value, and by how much."""
    where = f"At {facts.at(decision.point)} " if decision.point is not None else ""
    if decision.verdict == "takes" and decision.versus:
        return [where, Strong(f"take {decision.approach}"), f": the next, {decision.versus}, costs ", Num(decision)]
    if decision.verdict == "takes":
        return [where, Strong(f"take {decision.approach}"), f": {decision.says}"]
    if decision.verdict == "equivalent":
        return [where, Strong("it does not matter"), f": {decision.says}"]
    if decision.verdict == "none":
        return [where, Strong("none will do"), f": {decision.says}"]
    return [where, Strong("can't tell"), f": {decision.says}"]


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


# 1. Problem ----------------------------------------------------------------------------------------------------------


def _problem(facts: Facts) -> Section:
    plan = facts.plan
    section = Section("Problem")
    if plan.tells:
        section.blocks.append(Paragraph([_joined(plan.tells)]))
    if plan.asks:
        section.blocks.append(Paragraph(["The decision is ", Code(plan.decision), f": {plan.asks}"]))
    rows: list[list[Item]] = []
    if plan.target:
        per_s = ", ".join(f"{figures.si(rate)} {op}/s" for op, rate in plan.target.per_s.items())
        users = f"{figures.si(plan.target.users)} users, " if plan.target.users else ""
        rows.append([["Asked for"], [f"{users}{per_s}: {mix_words(plan)}"]])
    rates = ", ".join(f"{figures.si(rate)} {op}/s" for op, rate in plan.load.rates.items())
    if rates:
        rows.append([["Offered here"], [f"{rates}, arriving when they will (open loop)"]])
    if plan.swept.name:
        rows.append([["Varied"], [f"{plan.swept.name} = {', '.join(figures.point(v) for v in plan.swept.values)}"]])
    if plan.goals:
        rows.append([["Goals"], [", ".join(f"{aim} < {goal_limit(aim.less_than, aim.measure)}" for aim in plan.goals)]])
    if plan.faults:
        rows.append(
            [["Broken on purpose"], ["; ".join(fault_words(facts, number) for number in range(len(plan.faults)))]]
        )
    section.blocks.append(Table(["", ""], rows, words=2))
    return section


def goal_limit(limit: float, measure: str) -> str:
    if measure in ("p50", "p90", "p99", "mean") or measure.startswith("cpu_s"):
        scale, name = figures.unit_for(limit, "s")
        return f"{limit / scale:g} {name}"
    return f"{limit:g}"


def fault_words(facts: Facts, number: int) -> str:
    """Say what a fault does: `cache (Redis 6.2.14) killed from 4 to 7 s, and wiped`."""
    fault = facts.plan.faults[number]
    engine = facts.machine.engines.get(fault.target)
    did = {"outage": "killed", "pause": "stopped"}.get(fault.kind, fault.kind)
    wiped = ", and wiped" if fault.wiped else ""
    who = f"{fault.target} ({engine})" if engine else fault.target
    return f"{who} {did} from {fault.from_s:g} to {fault.until_s:g} s{wiped}"


# 2. Approaches -------------------------------------------------------------------------------------------------------


def _approaches(facts: Facts) -> Section:
    items: list[Item] = []
    for option in facts.plan.approaches:
        knobs = ", ".join(f"{name} = {figures.point(value)}" for name, value in option.knobs.items() if _plain(value))
        item: list[Span] = [Strong(option.name)]
        if option.name == facts.plan.default:
            item.append(" (the default)")
        item.append(f": {option.says}")
        if option.tells:
            item.append(f" {_joined(option.tells)}")
        if knobs:
            item += [" Knobs: ", Code(knobs)]
        items.append(item)
    return Section("Approaches", [Bullets(items)])


def _plain(value: Any) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _joined(text: str) -> str:
    return " ".join(text.split())


# 3. Trade-offs -------------------------------------------------------------------------------------------------------


def _tradeoffs(facts: Facts) -> Section:
    section = Section("Trade-offs")
    blocks = section.blocks
    blocks += _counts(facts)
    blocks += _cpu(facts)
    blocks += _latency(facts)
    blocks += _kept(facts)
    return section


def _counts(facts: Facts) -> list[Block]:
    plan = facts.plan
    rows: list[list[Item]] = []
    for op in plan.ops:
        resources = list(dict.fromkeys(str(f.measure) for f in facts.of("count", op=op)))
        for resource in resources:
            rows += _count_rows(facts, op, resource)
    if not rows:
        return []
    head = ["Work", plan.swept.name or "", *plan.names]
    blocks: list[Block] = [
        Table(head, rows, ["Counted in our own clients, per operation; background work is charged to its cause."], 2)
    ]
    proofs = _proofs(facts)
    return [*blocks, Bullets(proofs)] if proofs else blocks


def _count_rows(facts: Facts, op: str, resource: str) -> list[list[Item]]:
    """A row per swept value, or one for all where nothing depends on it."""
    plan = facts.plan
    table = {
        point: [facts.get("census", name, point, f"{op}.{resource}") for name in plan.names] for point in facts.points
    }
    if not any(f and f.value for row in table.values() for f in row):
        return []
    label = f"{words(resource)} per {op}"
    seen = {tuple((f.value, f.exact) if f else None for f in row) for row in table.values()}
    if len(seen) == 1 and len(table) > 1 and all(f is None or f.exact for row in table.values() for f in row):
        return [[[label], ["every"], *([_cell(f)] if f else ["–"] for f in table[facts.points[0]])]]
    rows: list[list[Item]] = []
    for point, row in table.items():
        rows.append([[label if not rows else ""], [figures.point(point)], *([_cell(f)] if f else ["–"] for f in row)])
    return rows


def _cell(finding: Finding | None) -> Span:
    return Num(finding) if finding and (finding.value is not None or finding.low is not None) else "–"


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
            items.append([Mark("failed", shown), said, Num(shown), f" at {facts.at(_point(shown))}"])
        else:
            said = f" {approach}: {measured} equal the closed form at every swept value, "
            items.append([Mark("held", shown), said, Num(shown), f" at {facts.at(_point(shown))}"])
    for check in facts.of("cross-check"):
        engine = facts.machine.engines.get(check.says, check.says)
        ours, theirs = check.detail["ours"], check.detail["theirs"]
        if check.verdict == "held":
            text = f" {check.approach}: {engine}'s own counter agrees with ours in every segment, {ours:,} {check.measure} in all"
        else:
            different = len(check.detail["different"])
            text = f" {check.approach}: {engine} counted {theirs:,} {check.measure}, we {ours:,}; {different} segments differ"
        items.append([Mark(check.verdict or "", check), text])
    residual = facts.of("residual")
    if residual:
        most = max(residual, key=lambda f: f.value or 0.0)
        text = f"Charged to no operation: at most, {words(most.measure)} with {most.approach} at {facts.at(_point(most))}, "
        items.append([text, Num(most)])
    return items


def _point(finding: Finding) -> Point:
    return finding.point if finding.point is not None else ""


def _cpu(facts: Facts) -> list[Block]:
    plan = facts.plan
    rows: list[list[Item]] = []
    for op in plan.ops:
        first = True
        for point in facts.points:
            row = [facts.get("census", name, point, f"{op}.cpu_s") for name in plan.names]
            if any(row):
                rows.append([[f"CPU per {op}" if first else ""], [figures.point(point)], *([_cell(f)] for f in row)])
                first = False
    for point in facts.points:
        row = [facts.get("cost", name, point) for name in plan.names]
        if any(row) and len(plan.ops) > 1:
            label = "CPU per average operation" if point == facts.points[0] else ""
            rows.append([[label], [figures.point(point)], *([_cell(f)] for f in row)])
    if not rows:
        return []
    some = next(iter(facts.of("cpu")), None)
    over = f"Between the brackets: {some.over}. " if some else ""
    caption = f"{over}Over all processes of the system, from slices in which only that operation arrived"
    if len(plan.ops) > 1:
        caption += f"; the average operation is that of {mix_words(plan)}"
    blocks: list[Block] = [Table(["CPU", plan.swept.name or "", *plan.names], rows, [caption + "."], 2)]
    if facts.of("cost") and len(facts.points) > 1:
        crossings = facts.of("crossing")
        says = f"CPU of an average operation over {plan.swept.name}, one line per approach"
        if crossings:
            says += "; " + ", ".join(
                f"{c.approach} and {c.versus} cross near {figures.count(round(c.value or 0))}" for c in crossings
            )
        blocks.append(Chart("costs", {}, says))
    return blocks


def _latency(facts: Facts) -> list[Block]:
    point = facts.duelled
    if point is None:
        return []
    plan = facts.plan
    values = [f for f in facts.found if f.part == "duel" and f.how in ("quantile", "mean") and not f.detail.get("twin")]
    rows: list[list[Item]] = []
    for op, measure in dict.fromkeys((f.op, f.measure) for f in values):
        row = [facts.get("duel", name, point, f"{op}.{measure}") for name in plan.names]
        rows.append([[f"{op} {measure}"], *([_cell(f)] for f in row)])
    blocks: list[Block] = []
    if rows:
        blocks.append(
            Table(
                [f"Latency at {facts.at(point)}", *plan.names],
                rows,
                ["From when a request was due, on a calm system; absolute values belong to this machine."],
            )
        )
    ratios = [f for f in facts.of("ratio") if f.value is not None]
    if ratios:
        blocks.append(
            Chart(
                "duel",
                {},
                f"Each approach against {plan.default}, ratio and interval by measure; the grey band is no difference",
            )
        )
    items = [verdict_line(facts, f) for f in facts.of("ratio") if not f.detail.get("twin")]
    return [*blocks, Bullets(items)] if items else blocks


def verdict_line(facts: Facts, ratio: Finding) -> Item:
    """Say how an approach compares with the default on one measure of the duel."""
    what = "CPU of the whole mix" if ratio.op == "mix" else f"{ratio.op} {ratio.measure}"
    start = f"{ratio.approach}, {what}: "
    verdict = {"better": "lower than", "worse": "higher than", "equivalent": "the same as"}.get(ratio.verdict or "")
    if verdict is None:
        why = ratio.says or "the interval lies across the margin"
        needs = ratio.detail.get("needs")
        more = f"; about {needs} blocks would tell" if needs else ""
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
    for name in dict.fromkeys(f.measure for f in facts.of("state")):
        row = [facts.get("state", approach, last, name) for approach in plan.names]
        rows.append([[f"{words(name)} at {facts.at(last)}"], *([_cell(f)] for f in row)])
    for aim in plan.goals:
        cells = [_goal_cell(facts, approach, str(aim)) for approach in plan.names]
        rows.append([[f"goal: {aim} < {goal_limit(aim.less_than, aim.measure)}"], *cells])
    for law in dict.fromkeys(f.measure for f in facts.of("law")):
        found = [facts.get("law", approach, law) for approach in plan.names]
        cells = [[Mark(f.verdict or "", f, f" n {f.n:,}")] if f else ["–"] for f in found]
        rows.append([[words(law)], *cells])
    if not rows:
        return []
    caption = f"Engines needed by all: {', '.join(engines_of(facts))}." if facts.machine.engines else ""
    return [Table(["Kept", *plan.names], rows, [caption] if caption else [])]


def _goal_cell(facts: Facts, approach: str, aim: str) -> Item:
    """One mark where every swept value agrees, else a mark per value."""
    marks = [facts.get("goal", approach, point, aim) for point in facts.points]
    found = [m for m in marks if m is not None]
    spans: list[Span] = []
    for goal in found:
        if len({g.verdict for g in found}) == 1 and goal is not found[-1]:
            continue
        where = "" if len({g.verdict for g in found}) == 1 else f" {figures.point(_point(goal))}"
        spans += [Mark(goal.verdict or "", goal, where), " "]
    return spans[:-1] or ["–"]


# 4. Decision ---------------------------------------------------------------------------------------------------------


def _decision(facts: Facts) -> Section:
    plan = facts.plan
    section = Section("Decision")
    decisions = facts.of("decision")
    axis = axis_of(plan)
    mix = f" at {mix_words(plan)}" if axis else ""
    section.blocks.append(
        Paragraph(
            [f"Taken is what keeps every law, fails no goal, and costs least CPU{mix}; a difference under 5 % is none."]
        )
    )
    section.blocks.append(Bullets([_decided(facts, decision) for decision in decisions]))
    flips = facts.of("flip")
    told = [f for f in flips if f.verdict == "flips"]
    if told and axis:
        rows = [[[figures.point(_point(f))], [str(f.approach)], [Num(f)], [str(f.versus)]] for f in told]
        head = [
            plan.swept.name,
            f"cheaper with few {axis.often}",
            f"flips at {axis.says}",
            f"cheaper with many {axis.often}",
        ]
        caption = [_undecided(facts, flips)] if len(told) < len(flips) else []
        section.blocks.append(Table(head, rows, caption, 2))
        checked = facts.of("flip check")
        point = checked[0].point if checked else told[-1].point
        section.blocks.append(
            Chart(
                "flip",
                {"point": point},
                f"CPU per {' + '.join(axis.others)} at {facts.at(point or '')}, over {axis.says}",
            )
        )
    elif flips:
        section.blocks.append(Paragraph([_undecided(facts, flips)]))
    checks = facts.of("flip check")
    if checks:
        section.blocks.append(Bullets([_check_line(facts, check) for check in checks]))
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
    if unjudged:
        line.append(f"; not judged here for want of samples: {', '.join(unjudged)}")
    return line


def _undecided(facts: Facts, flips: list[Finding]) -> str:
    """What can be said of pairs that have no flip point."""
    parts = []
    for f in flips:
        if f.verdict == "dominates":
            parts.append(f"{f.approach} is cheaper than {f.versus} at any mix ({facts.at(_point(f))})")
    unclear = [f"{f.approach} and {f.versus} at {facts.at(_point(f))}" for f in flips if f.verdict == "can't tell"]
    if unclear:
        parts.append(f"can't tell where, if at all, for {', '.join(unclear)}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _check_line(facts: Facts, check: Finding) -> Item:
    times = check.detail["times"]
    where = f"{figures.digits(times)}x that ratio ({figures.digits(check.detail['mix'])} measured, {facts.at(_point(check))})"
    held = {"held": "as computed", "failed": "not as computed"}.get(check.verdict or "", "can't tell")
    return [
        Mark(check.verdict or "", check),
        f" run at {where}, {check.approach} costs ",
        Num(check),
        f" of {check.versus}: {held}",
    ]


# 5. Failure modes ----------------------------------------------------------------------------------------------------


def _failures(facts: Facts) -> Section:
    section = Section("Failure modes")
    plan = facts.plan
    numbers = [n for n in range(len(plan.faults)) if any(facts.get("trial", a, n, "ok") for a in plan.names)]
    if not numbers:
        section.blocks.append(Paragraph(["Nothing was broken in this run, so nothing is known."]))
    for number in numbers:
        section.blocks += _failure(facts, number)
    return section


_TRIAL_ROWS = (
    ("failed", "requests failed"),
    ("unknown", "outcome unknown"),
    ("censored", "never answered"),
    ("noticed_s", "users noticed after"),
    ("healed_s", "healed, after the return, in"),
    ("lost", "acknowledged and lost"),
)


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
        if any(found):
            rows.append([[label], *([_trial_cell(f)] for f in found)])
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
    return _cell(finding)


# Scale, limits, repetition -------------------------------------------------------------------------------------------


def _scale(facts: Facts) -> Section:
    target = facts.plan.target
    asked = f"for {figures.si(target.users)} users " if target and target.users else ""
    text = (
        f"Not estimated yet. What {asked}it would take in servers follows from the costs above by the utilisation law "
        "only once the distribution of the swept value is known, not its mean."
    )
    return Section("At scale", [Paragraph([text])])


def _unmeasured(facts: Facts) -> Section:
    items: list[Item] = [[text] for text in facts.plan.not_measured]
    if facts.duelled is None:
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
        [["Measured"], [", ".join(f"{_spoken(k)} {figures.digits(v)}" for k, v in machine.measured.items()) or "–"]],
        [
            ["Placement"],
            ["; ".join(f"{who} on {', '.join(map(str, on))}" for who, on in machine.placement.items()) or "–"],
        ],
        [["Plan"], [Code(facts.manifest.plan_sha256[:16]), f", mode {plan.mode}, Fathom {plan.fathom}"]],
    ]
    gates = [f for f in facts.of("gate") if f.measure != "segments"]
    blocks: list[Block] = [
        Listing([plan.command, f"fathom verify {facts.folder}", f"python docs/reference/reproduce.py {facts.folder}"]),
        Table(["", ""], rows, words=2),
    ]
    if gates:
        head = ["Gate", "tripped", "segments", "worst", "limit"]
        lines: list[list[Item]] = [
            [
                [f.measure or ""],
                [Mark(f.verdict or "", f, f" {int(f.value or 0)}")],
                [f"{f.n:,}"],
                [_gate(f, "worst")],
                [_gate(f, "limit")],
            ]
            for f in gates
        ]
        blocks.append(Table(head, lines))
    return Section("How to repeat", blocks)


def _gate(finding: Finding, key: str) -> str:
    return figures.digits(finding.detail[key])


def _spoken(name: str) -> str:
    what, _, unit = name.rpartition("_")
    return f"{words(what)} ({unit})" if what else name


def nums(spans: Iterable[Span]) -> list[Num]:
    """Return the numbers among some spans."""
    return [span for span in spans if isinstance(span, Num)]
