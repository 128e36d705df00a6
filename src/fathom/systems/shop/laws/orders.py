"""Laws of orders: the ways they may go, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

from fathom.history import Broken, History, tries

from .seen import Look, looks, said_again

__all__ = ["WAYS", "an_order_costs_what_it_cost", "an_order_goes_only_allowed_ways"]

WAYS = {
    "pending": ("payment-processing", "confirmed", "cancelled"),
    "payment-processing": ("pending", "confirmed", "cancelled"),
    "confirmed": ("shipped", "cancelled"),
    "shipped": ("delivered",),
    "delivered": (),
    "cancelled": (),
}


@tries(lambda history: len(history.acknowledged("history")) + sum(1 for _ in looks(history)))
def an_order_goes_only_allowed_ways(history: History) -> Iterable[Broken]:
    """Each status follows from the one before, one version on; nobody is shown an older one than was shown before."""
    for op in history.acknowledged("history"):
        order = op.asked[1]
        versions = [change["version"] for change in op.answer]
        path = [change["status"] for change in op.answer]
        wrong = [(a, b) for a, b in pairwise(path) if b not in WAYS[a]]
        if wrong or path[:1] != ["pending"] or versions != list(range(1, len(versions) + 1)):
            how = f"became {wrong[0][1]} when it was {wrong[0][0]}" if wrong else f"went {' → '.join(path)}"
            yield _broken(f"order {order} {how}", order, op.index)
    again = said_again(history)
    for order, seen in _by_order(history).items():
        statuses: dict[int, Look] = {}
        for look in seen:
            other = statuses.setdefault(look.version, look)
            if other.status != look.status:
                says = f"order {order} was {other.status} and {look.status} at version {look.version}"
                yield _broken(says, order, other.op.index, look.op.index)
                break
        newest: Look | None = None
        for look in sorted(seen, key=lambda look: look.op.start_s):
            if look.op.index in again:
                continue  # it shows the order as it was when that was asked first
            before = [it for it in seen if it.op.before(look.op)]
            newest = max(before, key=lambda it: it.version, default=None)
            if newest is not None and newest.version > look.version:
                says = f"order {order} was shown {look.status} after it had been shown {newest.status}"
                yield _broken(says, order, newest.op.index, look.op.index)
                break


@tries(lambda history: sum(1 for _ in looks(history)))
def an_order_costs_what_it_cost(history: History) -> Iterable[Broken]:
    """An order's total is the sum of its lines, in one currency, and neither ever changes, whatever the items cost."""
    for order, seen in _by_order(history).items():
        first = seen[0]
        for look in seen:
            amount, currency = look.order["total"]
            lines = [(line["quantity"], *line["price"]) for line in look.order["lines"]]
            if amount != sum(n * price for n, price, _ in lines) or {it for _, _, it in lines} != {currency}:
                yield Broken(
                    law="an_order_costs_what_it_cost",
                    says=f"order {order} costs {amount} {currency}, which is not the sum of its lines",
                    ops=(look.op.index,),
                    about={"order": order},
                )
                break
            if (look.order["total"], look.order["lines"]) != (first.order["total"], first.order["lines"]):
                yield Broken(
                    law="an_order_costs_what_it_cost",
                    says=f"order {order} cost {first.order['total'][0]} and then {amount}, or was for something else",
                    ops=(first.op.index, look.op.index),
                    about={"order": order},
                )
                break


def _by_order(history: History) -> dict[int, list[Look]]:
    found: defaultdict[int, list[Look]] = defaultdict(list)
    for look in looks(history):
        found[look.id].append(look)
    return found


def _broken(says: str, order: int, *ops: int) -> Broken:
    return Broken(law="an_order_goes_only_allowed_ways", says=says, ops=ops, about={"order": order})
