"""How an operation is told to a person who looks for what went wrong."""

from __future__ import annotations

from typing import Any

from fathom.history import Op, Outcome

from .seen import key_of, quantities

__all__ = ["told"]


def told(op: Op, about: dict[str, Any]) -> str:
    """Tell one call in words, with what is looked for in it."""
    if op.call == "given":
        return f"there were {(op.answer or {}).get('stock', {}).get(str(about.get('item')), 'some')} at the beginning"
    who = f"user {op.asked[0]}" if op.asked else op.caller
    key = f" with the key {key_of(op)}" if key_of(op) else ""
    asked = f"{who} asked to {op.call.replace('_', ' ')}{key}"
    if op.outcome is Outcome.UNKNOWN:
        return f"{asked}, and nobody knows what became of it"
    if not op.acknowledged:
        return f"{asked}, and was refused: {op.error or op.code}"
    answer = op.answer
    if isinstance(answer, dict) and "lines" in answer and "status" in answer:
        return f"{asked}: order {answer['id']} for {_wanted(answer, about.get('item'))} is {answer['status']}"
    if isinstance(answer, dict) and "available" in answer:
        parts = ", ".join(f"{answer[name]} {name}" for name in ("available", "held", "sold", "received"))
        return f"{who} was told of item {answer['item']}: {parts}"
    if isinstance(answer, dict) and "orders" in answer:
        return f"{asked}, and was told of {len(answer['orders'])}"
    return f"{asked}, and it was done"


def _wanted(order: dict[str, Any], item: Any) -> str:
    """Return what an order is for: how many of what is looked for, or how many different things, or seats."""
    of = quantities(order)
    if item in of:
        return f"{of[item]} of item {item}"
    seats = sum(len(line.get("seats") or ()) for line in order["lines"])
    count, thing = (seats, "seat") if seats else (len(of), "item")
    return f"{count} {thing}{'s' if count != 1 else ''}"
