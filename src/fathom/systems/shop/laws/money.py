"""Laws of money: what was taken is what was ordered, or it went back, and nobody is left without an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fathom.history import Broken, History, Op, tries

from .seen import BOUGHT, Look, looks

__all__ = ["money_equals_the_orders", "no_order_is_left_half_done", "what_a_buyer_was_told_stays_true"]


def _last(history: History) -> dict[int, Look]:
    """Return each order as it was when all had settled."""
    return {look.id: look for look in looks(history) if look.op.final}


def _taken(history: History) -> list[Op]:
    return [op for op in history.of("taken", final=True) if op.acknowledged]


@tries(lambda history: len(_taken(history)))
def money_equals_the_orders(history: History) -> Iterable[Broken]:
    """When all has settled, the provider has the price of each bought order, once, and of others it has nothing."""
    last = _last(history)
    for op in _taken(history):
        order = op.asked[1]
        if (look := last.get(order)) is None:
            continue
        left = [[it["amount"][0] - it.get("refunded", 0), it["amount"][1]] for it in op.answer if _charged(it)]
        kept = [money for money in left if money[0]]
        price = look.order["total"]
        should = [price] if look.status in BOUGHT and price[0] else []
        if kept != should:
            yield Broken(
                law="money_equals_the_orders",
                says=f"order {order} is {look.status}, costs {_money(price)}, and for it"
                f" {' and '.join(map(_money, kept)) or 'nothing'} was taken and kept",
                ops=tuple(sorted({op.index, look.op.index})),
                about={"order": order},
            )


@tries(lambda history: len(_last(history)))
def no_order_is_left_half_done(history: History) -> Iterable[Broken]:
    """When all has settled, no order waits for money, none is cancelled with money kept, no attempt has no end.

    An order that is bought was paid by exactly one attempt, and one that is not by none.
    """
    attempts = {op.asked[1]: op for op in history.of("attempts", final=True) if op.acknowledged}
    for order, look in _last(history).items():
        if look.status == "payment-processing":
            yield _half(f"order {order} still waits for an answer to its payment", order, look.op)
        elif look.status == "cancelled" and look.order.get("charged", 0):
            yield _half(f"order {order} is cancelled, and {look.order['charged']} of it is kept", order, look.op)
        if (op := attempts.get(order)) is None:
            continue
        states = [attempt["state"] for attempt in op.answer]
        paid = states.count("charged")
        if open_ones := [state for state in states if state in ("asked", "refunding")]:
            yield _half(f"an attempt to pay order {order} is still {open_ones[0]}", order, look.op, op)
        elif paid != (look.status in BOUGHT and look.order["total"][0] > 0):
            yield _half(f"order {order} is {look.status}, and {paid} attempts have paid it", order, look.op, op)


def _looked_at_again(history: History) -> int:
    """Return how many answers to a payment there are of orders that were looked at when all had settled."""
    last = _last(history)
    return sum(op.asked[1] in last for op in history.acknowledged("pay"))


@tries(_looked_at_again)
def what_a_buyer_was_told_stays_true(history: History) -> Iterable[Broken]:
    """Who was told that their order is confirmed has it in the end, unless somebody cancelled it; who was told that it
    is declined and did nothing more, has not."""
    last = _last(history)
    given_up = {op.asked[1] for op in history.of("cancel") if op.code is None}
    pays: dict[int, list[Op]] = {}
    for op in history.of("pay"):
        if op.code is None:
            pays.setdefault(op.asked[1], []).append(op)
    for order, ops in pays.items():
        if (look := last.get(order)) is None:
            continue
        for op in ops:
            told = op.answer["status"] if op.acknowledged else None
            if told == "confirmed" and look.status not in BOUGHT and order not in given_up:
                yield _changed(f"order {order} was confirmed and is {look.status}", order, op, look.op)
                break
            if told == "pending" and look.status in BOUGHT and len(ops) == 1:
                yield _changed(f"order {order} was declined and is {look.status}", order, op, look.op)
                break


def _charged(taken: dict[str, object]) -> bool:
    return taken["state"] == "charged"


def _money(money: list[Any]) -> str:
    return f"{money[0]} {money[1]}"


def _half(says: str, order: int, *ops: Op) -> Broken:
    indexes = tuple(sorted({op.index for op in ops}))
    return Broken(law="no_order_is_left_half_done", says=says, ops=indexes, about={"order": order})


def _changed(says: str, order: int, *ops: Op) -> Broken:
    indexes = tuple(sorted({op.index for op in ops}))
    return Broken(law="what_a_buyer_was_told_stays_true", says=says, ops=indexes, about={"order": order})
