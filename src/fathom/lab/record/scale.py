"""What the target would need: by approach, as intervals, with what dominates, what breaks first, what was assumed."""

from __future__ import annotations

from fathom.lab import figures
from fathom.lab.dive import SERVICE
from fathom.lab.findings.scale import TIMES
from fathom.lab.prices import Prices
from fathom.lab.record.blocks import (
    Aside,
    Block,
    Bullets,
    Chart,
    Item,
    Mark,
    Note,
    Num,
    Paragraph,
    Section,
    Span,
    Table,
)
from fathom.lab.record.facts import Facts, cells
from fathom.lab.runs import Finding, Scale, Target
from fathom.lab.scale.degrees import Degrees, Pareto
from fathom.lab.scale.size import HERE

__all__ = ["at_scale", "scale_lines"]

_YEAR_S = 365 * 86_400.0
_DAY_S = 86_400.0


def at_scale(facts: Facts) -> Section | None:
    """Return the section, or None where the dive names no target to estimate for."""
    target, scale = facts.plan.target, facts.plan.scale
    refused = facts.of("refused")
    if target is None or scale is None or not (refused or facts.of("scale")):
        return None
    blocks: list[Block] = [Paragraph([_asked(facts, target, scale)])]
    if refused:
        blocks.append(Bullets([[Mark("refused", f), f" {f.approach} is not estimated: {f.says}."] for f in refused]))
    if facts.of("scale"):
        blocks.append(_needs(facts, target, scale))
        blocks.append(Bullets(_beside(facts)))
        blocks += _breaks(facts)
        blocks.append(Aside("what the estimate assumes", [*_dominant(facts), _assumed(facts, target, scale)]))
    blocks.append(Paragraph([_silent(facts, target)]))
    blocks.append(Aside("the utilisation law", _law(facts)))
    return Section("At scale", blocks)


# What is asked -------------------------------------------------------------------------------------------------------


def _asked(facts: Facts, target: Target, scale: Scale) -> str:
    rates = ", ".join(f"{figures.si(rate)} {op}/s" for op, rate in target.per_s.items())
    low, high = target.peak
    peak = f", {_ends(low, high)} times the mean" if high > 1 else ""
    users = f"For {figures.si(target.users)} users: " if target.users else ""
    swept = "; ".join(f"{facts.plan.swept.name} per {op}: {_degrees(d)}" for op, d in target.swept.items())
    writes = [op for op in target.per_s if op in target.writes]
    copies = (
        f" All {target.copies} copies do what a {' or '.join(writes)} does." if writes and target.copies > 1 else ""
    )
    return (
        f"{users}{rates} when it is busiest{peak}. servers = ⌈X · D / U⌉, D averaged over the distribution"
        f"{' (' + swept + ')' if swept else ''}.{copies} Nine of ten of {scale.draws:,} draws (seed {scale.seed}) lie "
        "between the ends."
    )


def _degrees(degrees: Degrees) -> str:
    source = f"; {degrees.source}" if degrees.source else ""
    if isinstance(degrees, Pareto):
        tail = _ends(*degrees.tail)
        mean, most = figures.si(degrees.mean), figures.si(degrees.most)
        return f"a power law with mean {mean} and at most {most}, its tail's exponent {tail}{source}"
    return f"as counted, mean {figures.si(degrees.mean)} and at most {figures.si(degrees.most)}{source}"


def _ends(low: float, high: float) -> str:
    return f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"


# What it takes -------------------------------------------------------------------------------------------------------


def _needs(facts: Facts, target: Target, scale: Scale) -> Table:
    rows: list[list[Item]] = []
    machines = {group: _machine(facts, scale.prices, group) for group in _groups(facts)}

    def row(label: Item, *measure: str) -> None:
        found = [facts.get(measure[0], name, *measure[1:]) for name in facts.plan.names]
        if any(f and f.value is not None for f in found):
            rows.append([label, *cells(found)])

    row(["servers"], "scale", "servers")
    for group, machine in machines.items():
        row([f"– {group}", Note(machine)], "scale", f"servers.{group}")
    row(["cores like this machine's"], "scale", "cores")
    row(["in memory"], "scale", "memory_bytes")
    stays = f"kept for {_span(target.keeps_s)}"
    row(["on disk", Note(stays)], "scale", "stored_bytes")
    row(["traffic within, per second"], "scale", "network_bytes_per_s")
    row(["US$ a month"], "scale", "usd_per_month")
    for op, degrees in target.swept.items():
        row(
            [f"CPU of one {op}", Note(f"at {figures.si(degrees.most)} {facts.plan.swept.name}")],
            "scale",
            f"largest {op}",
        )
    if facts.plan.swept.name:
        row([f"% of its CPU at {facts.plan.swept.name} that nobody measured"], "scale", "outside_percent")
    book = f"Prices: {scale.prices.name}, looked up {_dates(scale.prices)}; the plan holds the whole book"
    bounds = "what nobody measured lies between staying as it was and growing in proportion"
    return Table(["", *facts.plan.names], rows, [f"{book}. Beyond the measured values, {bounds}."])


def _dates(prices: Prices) -> str:
    """From when to when the prices are."""
    dates = sorted(each.date for each in (*prices.machines.values(), prices.prices.disk, prices.prices.between_zones))
    return dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"


def _groups(facts: Facts) -> list[str]:
    found = [str(f.measure) for f in facts.of("servers") if str(f.measure) != "servers"]
    return list(dict.fromkeys(measure.removeprefix("servers.") for measure in found))


def _machine(facts: Facts, prices: Prices, group: str) -> str:
    kind = group if group == SERVICE else facts.machine.engines.get(group, "other").split()[0].lower()
    name = prices.stands_on.get(kind, prices.stands_on["other"])
    return f"{name}, {prices.machines[name].vcpus} vCPUs"


def _span(seconds: float) -> str:
    return f"{seconds / _YEAR_S:.3g} years" if seconds >= _YEAR_S else f"{seconds / _DAY_S:.3g} days"


def _beside(facts: Facts) -> list[Item]:
    items: list[Item] = []
    for ratio in facts.of("scale ratio"):
        told = "" if ratio.verdict == "more" else ": can't tell which needs more"
        items.append([f"{ratio.approach} takes ", Num(ratio, brief=True), f" the servers of {ratio.versus}{told}"])
    return items


# What breaks, what dominates -----------------------------------------------------------------------------------------


def _breaks(facts: Facts) -> list[Block]:
    items = [_first(facts, room) for room in facts.of("room", verdict="first")]
    if not items:
        return []
    return [Paragraph(["What breaks first, and at how many times the target:"]), Bullets(items)]


def _first(facts: Facts, first: Finding) -> Item:
    """The first limit, why it is one, and what becomes of all limits at once, twice and ten times the target."""
    rooms = facts.of("room", approach=first.approach)
    at = [f"{m}x {_become(rooms, str(m))}" for m in TIMES]
    return [f"{first.approach}: {first.measure}, at ", Num(first, brief=True), f": {first.says}. {'; '.join(at)}"]


def _become(rooms: list[Finding], times: str) -> str:
    breaks = [str(f.measure) for f in rooms if f.detail["at"][times] == "breaks"]
    may = [str(f.measure) for f in rooms if f.detail["at"][times] == "may break"]
    said = [f"breaks {figures.listed(breaks)}"] if breaks else []
    said += [f"may break {figures.listed(may)}"] if may else []
    return ", ".join(said) or "holds"


def _dominant(facts: Facts) -> list[Block]:
    """The tornado of the approach that needs least; of the others in words."""
    swings, cheapest = facts.of("tornado"), _cheapest(facts)
    if not any(f.approach == cheapest for f in swings):
        return []
    says = f"How far the servers of {cheapest} swing when one thing alone goes from one end to the other"
    blocks: list[Block] = [Chart("tornado", {"approach": cheapest}, says)]
    items: list[Item] = []
    for name in facts.plan.names:
        mine = [f for f in swings if f.approach == name][:3]
        line: list[Span] = [f"{name}: "] if mine else []
        for at, swing in enumerate(mine):
            line += ["; " if at else "", f"{swing.measure} ", Num(swing, brief=True)]
        items += [line] if line else []
    return [*blocks, Paragraph(["What dominates, as servers in the middle and at both ends:"]), Bullets(items)]


def _cheapest(facts: Facts) -> str:
    servers = [f for f in facts.of("servers", measure="servers") if f.value is not None]
    return str(min(servers, key=lambda f: f.value or 0.0).approach)


# What stands behind it -----------------------------------------------------------------------------------------------


def _assumed(facts: Facts, target: Target, scale: Scale) -> Table:
    said = scale.prices.assumptions
    rows: list[list[Item]] = [
        [[each.says], [_ends(each.low, each.high)], [each.source]]
        for each in (said.core, said.utilisation, said.apart, said.memory, said.crossing)
    ]
    kept: list[list[Item]] = [
        [[f"bytes kept per {op}"], [_ends(*ends)], ["the dive's target"]] for op, ends in target.keeps.items()
    ]
    if target.here:
        kept.append([[HERE], [_ends(*target.here)], ["those who have all that users have, to all there are"]])
    return Table(["Assumed, not measured", "from, to", "because"], [*rows, *kept], words=3)


def _silent(facts: Facts, target: Target) -> str:
    here = f"what {_ends(*target.here)} users have" if target.here else "what this dive laid out"
    unseen = [field for field in facts.machine.engines if field not in _groups(facts)]
    left_out = f" {figures.listed(unseen)} is not in it: nobody could see its CPU, or it had none." if unseen else ""
    most = _busiest(facts)
    busy = f" Costs were measured with at most {most:.0%} of the system's cores busy." if most else ""
    return (
        f"Engines held {here}; that costs stay as they are with more state was not checked. No latency is foretold."
        f"{busy}{left_out}"
    )


def _busiest(facts: Facts) -> float:
    """The largest share of its cores that the system used while its costs were measured."""
    busy = [gate.value for s in facts.run.segments for gate in s.gates if gate.name == "busy" and s.valid]
    return max(busy, default=0.0)


def _law(facts: Facts) -> list[Block]:
    """The utilisation law, held against every mix that ran."""
    rows: list[list[Item]] = []
    for point in facts.points:
        found = [facts.get("utilisation", name, point) for name in facts.plan.names]
        if any(found):
            row: list[Item] = [[figures.point(point)]]
            row += [[Mark(f.verdict or "", f, " "), Num(f)] if f else ["–"] for f in found]
            rows.append(row)
    if not rows:
        return []
    off = next(iter(facts.of("utilisation"))).detail["limit"]
    caption = (
        f"✗: its middle is more than {off:.0%} off. What a mix needs beside its unit costs is in every number above."
    )
    head = [f"A mix's CPU beside the sum of its unit costs; {facts.plan.swept.name}", *facts.plan.names]
    return [Table(head, rows, [caption])]


# On a terminal -------------------------------------------------------------------------------------------------------


def scale_lines(facts: Facts) -> list[Item]:
    """Return two lines: how many servers, and what breaks first."""
    target = facts.plan.target
    if target is None:
        return []
    servers: list[Span] = []
    for name in facts.plan.names:
        found, refused = facts.get("scale", name, "servers"), facts.get("scale", name, "refused")
        if found:
            servers += [", " if servers else "", f"{name} ", Num(found, brief=True)]
        elif refused:
            servers += [", " if servers else "", f"{name} can't tell: {refused.says}"]
    rooms: list[Span] = []
    for room in facts.of("room", verdict="first"):
        rooms += [", " if rooms else "", f"{room.approach}: {room.measure} at ", Num(room, brief=True)]
    users = f", {figures.si(target.users)} users" if target.users else ""
    lines: list[Item] = [["·", f"servers at scale{users}: ", *servers]] if servers else []
    return [*lines, ["·", "what breaks first, in times that: ", *rooms]] if rooms else lines
