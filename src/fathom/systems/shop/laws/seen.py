"""What a history tells of orders: every answer that shows one, whoever asked and for what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

from fathom.history import History, Op

__all__ = ["BOUGHT", "LIVE", "Look", "given", "key_of", "keyed", "looks", "quantities", "received", "said_again"]

LIVE = ("pending", "payment-processing", "confirmed", "shipped", "delivered")
BOUGHT = ("confirmed", "shipped", "delivered")
_ONE = ("checkout", "pay", "cancel", "order", "ship", "deliver")
_MANY = ("orders", "all_orders")
# Where the key stands among what is asked; the last one may be left out.
_KEY = {"checkout": 2, "pay": 3, "add_item": 2, "receive": 3, "add_concert": 2, "hold": 3}


class Look(NamedTuple):
    """An order as one answer showed it."""

    op: Op
    order: dict[str, Any]

    @property
    def id(self) -> int:
        return self.order["id"]

    @property
    def status(self) -> str:
        return self.order["status"]

    @property
    def version(self) -> int:
        return self.order.get("version", 1)


def looks(history: History) -> Iterator[Look]:
    """Return each order that an answer showed, in the order in which the answers were asked for."""
    for op in history:
        if not op.acknowledged or op.answer is None:
            continue
        if op.call in _ONE:
            yield Look(op, op.answer)
        elif op.call in _MANY:
            for order in op.answer["orders"]:
                yield Look(op, order)


def given(history: History, word: str) -> Any:
    """Return what was said of a history before it began; None: nothing was, and no law that needs it is judged."""
    return next((op.answer[word] for op in history.of("given") if word in (op.answer or {})), None)


def key_of(op: Op) -> str:
    """Return the key under which something was asked; nothing: none."""
    at = _KEY.get(op.call)
    return op.asked[at] if at is not None and len(op.asked) > at else ""


def keyed(history: History) -> dict[tuple[int, str, str], list[Op]]:
    """Return what was asked under keys, by user, call and key."""
    found: defaultdict[tuple[int, str, str], list[Op]] = defaultdict(list)
    for op in history.of(*_KEY):
        if key := key_of(op):
            found[op.asked[0], op.call, key].append(op)
    return found


def said_again(history: History) -> set[int]:
    """Return the calls that were asked before with the same key: they are answered as they were then."""
    return {op.index for ops in keyed(history).values() for op in ops[1:]}


def quantities(order: dict[str, Any]) -> dict[int, int]:
    """Return how many of each item an order is for; seats are told apart by their names, and are not among them."""
    found: dict[int, int] = {}
    for line in order["lines"]:
        if not line.get("seats"):
            found[line["item"]] = found.get(line["item"], 0) + line["quantity"]
    return found


def received(history: History) -> dict[int, int]:
    """Return the most that there can be of each item: what was given, and all that anybody tried to add to it."""
    found: dict[int, int] = {}
    for op in history.of("given"):
        for item, quantity in (op.answer or {}).get("stock", {}).items():
            found[int(item)] = found.get(int(item), 0) + quantity
    seen: set[tuple[Any, ...]] = set()
    for op in history.of("receive"):
        user, item, quantity, *rest = op.asked
        key = rest[0] if rest else ""
        if op.code is not None or (key and (user, key) in seen):
            continue
        seen.add((user, key))
        found[item] = found.get(item, 0) + quantity
    return found
