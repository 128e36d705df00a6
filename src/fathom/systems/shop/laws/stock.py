"""Laws of the stock: what was sold was there, and what is left adds up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from fathom.history import Broken, History, tries

from .seen import BOUGHT, LIVE, Look, given, looks, quantities, received

__all__ = ["nothing_is_sold_twice", "stock_equals_the_orders", "stock_never_goes_below_nothing"]


@tries(lambda history: len(_first(history)))
def nothing_is_sold_twice(history: History) -> Iterable[Broken]:
    """At no time is more of an item held or sold than there ever was.

    An order counts from when it was acknowledged until it may have been given up: somebody asked to cancel it, or its
    time to be paid was over.
    """
    there = received(history)
    changes: defaultdict[int, list[tuple[float, int, Look]]] = defaultdict(list)
    for look, until_s in _first(history).values():
        begin_s = look.op.end_s
        assert begin_s is not None
        if until_s <= begin_s:
            continue
        for item, quantity in quantities(look.order).items():
            changes[item].append((begin_s, quantity, look))
            changes[item].append((until_s, -quantity, look))
    for item, moved in changes.items():
        if item not in there:
            continue
        live: dict[int, Look] = {}
        taken = 0
        for _, quantity, look in sorted(moved, key=lambda it: (it[0], it[1])):
            taken += quantity
            if quantity < 0:
                del live[look.id]
                continue
            live[look.id] = look
            if taken > there[item]:
                yield Broken(
                    law="nothing_is_sold_twice",
                    says=f"{taken} of item {item} were ordered at once, and there are {there[item]}",
                    ops=tuple(look.op.index for look in live.values()),
                    about={"item": item},
                )
                break


@tries(lambda history: len(history.acknowledged("level", "receive")))
def stock_never_goes_below_nothing(history: History) -> Iterable[Broken]:
    """What is available, held and sold is never below zero, and adds up to what was received."""
    for op in history.acknowledged("level", "receive"):
        level = op.answer
        parts = [level[name] for name in ("available", "held", "sold")]
        if min(parts) < 0 or sum(parts) != level["received"]:
            yield Broken(
                law="stock_never_goes_below_nothing",
                says=f"item {level['item']} has {parts[0]} available, {parts[1]} held and {parts[2]} sold"
                f" of {level['received']}",
                ops=(op.index,),
                about={"item": level["item"]},
            )


@tries(lambda history: len(history.of("level", final=True)) if given(history, "all") else 0)
def stock_equals_the_orders(history: History) -> Iterable[Broken]:
    """When all has settled, as much of an item is sold as there are bought orders for, and held as there are unpaid.

    Judged where the last looks show everybody's orders (`given` says "all": true).
    """
    if not given(history, "all"):
        return
    last = {look.id: look for look in looks(history) if look.op.final}
    for op in history.acknowledged("level"):
        if not op.final:
            continue
        item = op.answer["item"]
        for what, statuses in (("sold", BOUGHT), ("held", ("pending", "payment-processing"))):
            those = [look for look in last.values() if look.status in statuses and item in quantities(look.order)]
            wanted = sum(quantities(look.order)[item] for look in those)
            if wanted != op.answer[what]:
                yield Broken(
                    law="stock_equals_the_orders",
                    says=f"{op.answer[what]} of item {item} are {what}, and orders for {wanted} are",
                    ops=(op.index, *sorted({look.op.index for look in those})),
                    about={"item": item},
                )


def _first(history: History) -> dict[int, tuple[Look, float]]:
    """Return of each order its first look, and until when it surely had what it wants."""
    seen: defaultdict[int, list[Look]] = defaultdict(list)
    for look in looks(history):
        seen[look.id].append(look)
    given_up: dict[int, float] = {}
    for op in history.of("cancel"):
        if op.code is None:
            given_up[op.asked[1]] = min(op.start_s, given_up.get(op.asked[1], op.start_s))
    found: dict[int, tuple[Look, float]] = {}
    for id, all_of in seen.items():
        live = [look for look in all_of if look.status in LIVE]
        if not live:
            continue
        first = min(live, key=lambda look: look.op.end_s or 0.0)
        order = first.order
        hold_s = (order.get("until_ms", 0) - order.get("created_ms", 0)) / 1_000
        bought = any(look.status in BOUGHT for look in live)
        until_s = float("inf") if bought else first.op.start_s + max(0.0, hold_s)
        for look in all_of:
            if look.status == "cancelled":  # it was at some time after the last look that showed it alive
                until_s = min(until_s, max(it.op.start_s for it in live))
        found[id] = first, min(until_s, given_up.get(id, float("inf")))
    return found
