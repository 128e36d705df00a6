"""At which rates operations were really offered: the plan's load, or what a part and the machine made of it."""

from __future__ import annotations

from collections.abc import Iterable

from fathom.lab.findings.book import Book, name_of
from fathom.lab.runs import IDLE, MIX, Plan, Segment

__all__ = ["Rates", "beyond", "offered", "rates_of_segments", "said"]

Rates = dict[str, tuple[float, float]]  # operation → the lowest and the highest rate per second
ALIKE = 0.01  # rates that differ by less are the same


def rates_of_segments(plan: Plan, segments: Iterable[Segment]) -> Rates:
    """Return the range of rates of every operation of the load; of segments that say none, nothing."""
    known = [s.rates for s in segments if s.rates]
    found = {op: [rates.get(op, 0.0) for rates in known] for op in plan.ops} if known else {}
    return {op: (min(rates), max(rates)) for op, rates in found.items() if max(rates)}


def beyond(plan: Plan, rates: Rates) -> tuple[bool, bool]:
    """Say whether any operation was offered more rarely than the load says, and whether any more often."""
    declared = plan.load.rates if rates else {}
    lower = any(rates.get(op, (0.0, 0.0))[0] < rate * (1 - ALIKE) for op, rate in declared.items())
    higher = any(rates.get(op, (0.0, 0.0))[1] > rate * (1 + ALIKE) for op, rate in declared.items())
    return lower, higher


def said(rates: Rates) -> str:
    """Write rates as they are read: `400 home/s, 2 to 8 post/s`."""
    return ", ".join(f"{_range(low, high)} {op}/s" for op, (low, high) in rates.items())


def _range(low: float, high: float) -> str:
    ends = [f"{end:.3g}" if end < 1000 else f"{end:,.0f}" for end in (low, high)]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def offered(book: Book) -> None:
    """Note the rates of every approach in every part, from its valid segments."""
    for part, slices in (("census", "alone"), ("census", MIX), ("flip", MIX), ("duel", MIX), ("trial", MIX)):
        for approach in book.plan.names:
            ran = [s for s in book.of(part) if s.approach == approach and s.slice != IDLE]
            ran = [s for s in ran if (s.slice == MIX) == (slices == MIX)]
            each = {op: [s.rates[op] for s in ran if op in s.rates] for op in book.plan.ops}
            rates: Rates = {op: (min(rates), max(rates)) for op, rates in each.items() if rates}
            if rates:
                book.add(
                    name_of("offered", part, slices, approach),
                    part=part,
                    how="offered",
                    approach=approach,
                    measure=slices,
                    n=len(ran),
                    over=f"{len(ran)} segments",
                    detail={"rates": {op: list(ends) for op, ends in rates.items()}},
                    sources=[s.id for s in ran],
                )
