"""Laws of keys: what is asked again is done once, and answered alike."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from fathom.history import Broken, History, tries

from .seen import key_of, keyed, looks

__all__ = ["one_key_has_one_answer", "one_key_has_one_effect"]


@tries(lambda history: sum(len(ops) > 1 for ops in keyed(history).values()))
def one_key_has_one_answer(history: History) -> Iterable[Broken]:
    """The same user, verb and key are always answered alike, and nothing else is done under a key that was used."""
    for (user, call, key), ops in keyed(history).items():
        answered = [op for op in ops if op.acknowledged]
        for other in answered[1:]:
            first = answered[0]
            if _text(first.answer) == _text(other.answer) and _text(first.asked) == _text(other.asked):
                continue
            how = "something else was done" if _text(first.asked) != _text(other.asked) else "there were two answers"
            yield Broken(
                law="one_key_has_one_answer",
                says=f"user {user} asked to {call} twice with the key {key}, and {how}",
                ops=(first.index, other.index),
                about={"user": user, "key": key},
            )
            break


@tries(lambda history: sum(len(ops) > 1 for (_, call, _), ops in keyed(history).items() if call == "checkout"))
def one_key_has_one_effect(history: History) -> Iterable[Broken]:
    """Nobody has more orders than keys that they ordered with, and orders that they asked for without one.

    What `given` tells of orders before ("orders": how many, by user) counts as asked for.
    """
    may: defaultdict[int, set[Any]] = defaultdict(set)
    asked: defaultdict[int, list[int]] = defaultdict(list)
    before: dict[int, int] = {}
    for op in history.of("given"):
        before |= {int(user): n for user, n in (op.answer or {}).get("orders", {}).items()}
    for op in history.of("checkout"):
        if op.code is None:  # a refusal has no effect
            may[op.asked[0]].add(key_of(op) or op.index)
            asked[op.asked[0]].append(op.index)
    seen: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for look in looks(history):
        seen[look.order["user"]].setdefault(look.id, look.op.index)
    for user, orders in seen.items():
        most = len(may[user]) + before.get(user, 0)
        if len(orders) > most:
            yield Broken(
                law="one_key_has_one_effect",
                says=f"user {user} has {len(orders)} orders and asked for {most}",
                ops=tuple(sorted({*asked[user], *orders.values()})),
                about={"user": user},
            )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
