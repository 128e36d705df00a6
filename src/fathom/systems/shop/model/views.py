"""What is read from the log of events: each order in short, what was sold, and how many orders stand where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from ..api import Event, ItemId, Order, OrderId, Summary

__all__ = ["PAID", "Change", "fold", "summary_of"]

PAID = ("confirmed", "shipped", "delivered")


class Change(msgspec.Struct, kw_only=True):
    """What events do to the read models: orders as they are then, and differences of sums."""

    summaries: dict[OrderId, Summary] = {}
    sales: dict[ItemId, tuple[int, int]] = {}  # quantity, amount
    tallies: dict[tuple[str, str], tuple[int, int]] = {}  # (status, currency) → orders, amount


def fold(events: Iterable[Event], known: Mapping[OrderId, Summary]) -> Change:
    """Return what events change; `known` are the orders among them as they were before.

    An event that is no newer than what is known changes nothing: read twice is read once.
    """
    sales: defaultdict[ItemId, list[int]] = defaultdict(lambda: [0, 0])
    tallies: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    now: dict[OrderId, Summary] = {}
    for event in events:
        before = now.get(event.order) or known.get(event.order)
        if before is not None and event.version <= before.version:
            continue
        after = now[event.order] = summary_of(event)
        if before is not None:
            _add(tallies[before.status, before.total.currency], -1, -before.total.amount)
        _add(tallies[after.status, after.total.currency], 1, after.total.amount)
        was, is_ = before is not None and before.status in PAID, after.status in PAID
        if was != is_:
            for line in event.body.lines:
                sign = 1 if is_ else -1
                _add(sales[line.item], sign * line.quantity, sign * line.quantity * line.price.amount)
    return Change(
        summaries=now,
        sales={item: (quantity, amount) for item, (quantity, amount) in sales.items()},
        tallies={place: (orders, amount) for place, (orders, amount) in tallies.items()},
    )


def summary_of(event: Event) -> Summary:
    """Return an order in short, as an event tells of it."""
    it: Order = event.body
    return Summary(
        order=event.order,
        user=it.user,
        status=it.status,
        version=event.version,
        quantity=sum(line.quantity for line in it.lines),
        total=it.total,
        created_ms=it.created_ms,
        changed_ms=event.at_ms,
    )


def _add(sums: list[int], one: int, other: int) -> None:
    sums[0] += one
    sums[1] += other
