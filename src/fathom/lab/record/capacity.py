"""How much of its load each approach can take while the goals hold, beside what was foretold."""

from __future__ import annotations

from fathom.lab import figures
from fathom.lab.findings.offered import said
from fathom.lab.record.blocks import Block, Item, Mark, Num, Table
from fathom.lab.record.facts import Facts
from fathom.lab.runs import Finding

__all__ = ["capacity", "capacity_lines"]


def capacity(facts: Facts) -> list[Block]:
    """Return the table of what was raised until it was too much; nothing where that was not asked."""
    found = [f for name in facts.plan.names if (f := facts.get("capacity", name))]
    if not found:
        return []
    rows: list[list[Item]] = [
        [[str(f.approach)], _held(f), [_rates(facts, f)], [_foretold(f)], _off(f), [_why(f)]] for f in found
    ]
    head = ["Capacity", "times the load", "which is", "foretold", "off by", "what gave way first"]
    caption = (
        f"The largest multiple of the load at {facts.at(found[0].point or '')} at which every goal held, between the "
        "last that held and the first that did not; absolute rates belong to this machine. Foretold by a line "
        "through the mix at rates that keep them a quarter and half busy, before the rest was run: full cores."
    )
    return [Table(head, rows, [caption], 1)]


def capacity_lines(facts: Facts) -> list[Item]:
    """Say in one line each how much an approach takes."""
    found = [f for name in facts.plan.names if (f := facts.get("capacity", name)) and f.value is not None]
    return [["·", f"{f.approach} holds its goals up to ", Num(f), f" the load, foretold {_foretold(f)}"] for f in found]


def _held(found: Finding) -> Item:
    if found.value is not None:
        return [Num(found)]
    return [Mark("can't tell", found, f" {found.says}")]


def _rates(facts: Facts, found: Finding) -> str:
    if not found.low or found.high is None:
        return "–"
    return said({op: (rate * found.low, rate * found.high) for op, rate in facts.plan.load.rates.items()})


def _foretold(found: Finding) -> str:
    told = found.detail.get("foretold")
    return figures.told(told) if told else "–"


def _off(found: Finding) -> Item:
    off = found.detail.get("off")
    return ["–"] if off is None else [Mark(found.verdict or "", found, f" {off:+.0%}")]


def _why(found: Finding) -> str:
    return str(found.detail.get("why") or "–")
