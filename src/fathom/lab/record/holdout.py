"""What was foretold of more data and higher rates, beside what was measured then: the error of every estimate."""

from __future__ import annotations

from fathom.lab import figures
from fathom.lab.findings.holdout import ALL, HELD_OUT, OFF, label
from fathom.lab.record.blocks import Block, Item, Mark, Table
from fathom.lab.record.facts import Facts
from fathom.lab.runs import Finding

__all__ = ["hold_out", "hold_out_lines"]


def hold_out(facts: Facts) -> list[Block]:
    """Return the table of what was foretold and what came; nothing where that was not asked."""
    found = facts.of(HELD_OUT)
    if not found:
        return []
    rows: list[list[Item]] = []
    for f in found:
        rows.append(
            [
                [str(f.approach) if f.measure == ALL else ""],
                [_cell(f) if f.measure == ALL else ""],
                ["all processes" if f.measure == ALL else str(f.measure)],
                [figures.told(f.detail["told"])],
                [" and ".join(f"{busy:.3f}" for busy in f.detail["measured"])],
                [Mark(f.verdict or "", f, f" {f.detail['off']:+.0%}")],
            ]
        )
    head = ["Foretold and run", "of what", "cores busy in", "foretold", "measured", "off by"]
    caption = (
        f"At {facts.at(found[0].point or '')}: said before it was run, by a line through the mix at half and at all of "
        f"the lower rates, on the usual data. Held within {OFF:.0%}, or where what was measured lies in the interval."
    )
    return [Table(head, rows, [caption], 3)]


def hold_out_lines(facts: Facts) -> list[Item]:
    """Say in one line each how far the furthest cell of an approach was off."""
    lines: list[Item] = []
    for name in facts.plan.names:
        mine = facts.of(HELD_OUT, approach=name, measure=ALL)
        if mine:
            worst = max(mine, key=lambda f: abs(f.detail["off"]))
            where = f"{name} at {_cell(worst)} was {worst.detail['off']:+.0%} beside what was foretold"
            lines.append([Mark(worst.verdict or "", worst), f" hold-out: {where}"])
    return lines


def _cell(found: Finding) -> str:
    return label(found.detail["times"], found.detail["faster"])
