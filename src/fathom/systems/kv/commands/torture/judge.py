"""Holds a history of torture against what was promised: nothing acknowledged is lost, and each register is one."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from itertools import pairwise

from fathom.blocks.linearizable import Model, Put, Saw, SawOther, Step, Swap, check
from fathom.blocks.verdict import Answer
from fathom.history import Op, Outcome

__all__ = ["Found", "gaps", "judged", "wanted"]

Found = Mapping[str, str | None]  # key → what is there when all is healed
SHOWN = 5


def wanted(ops: Iterable[Op]) -> list[str]:
    """Return the keys to read when all is healed."""
    keys: dict[str, None] = {}
    for op in ops:
        if op.call in ("once", "count"):
            keys[op.asked] = None
        elif op.call == "newest":
            keys[op.asked[0]] = None
    return list(keys)


def judged(ops: list[Op], found: Found) -> tuple[list[str], dict[str, int]]:
    """Return one sentence for each promise that was broken, and how often each could have been."""
    broken: list[str] = []
    tried: dict[str, int] = {}
    for law in (_nothing_acknowledged_is_lost, _the_newest_is_there, _no_count_is_lost):
        faults, count = law(ops, found)
        tried[law.__name__.strip("_").replace("_", " ")] = count
        broken += faults[:SHOWN]
        if len(faults) > SHOWN:
            broken.append(f"… and {len(faults) - SHOWN:,} more like this one")
    fought = [op for op in ops if op.call in ("write", "read", "cas")]
    verdict = check(fought, REGISTERS)
    tried["each register is one"] = len(fought)
    broken += [str(fault) for fault in verdict.faults[:SHOWN]]
    if verdict.answer is Answer.CANT_TELL:
        broken += [f"can't tell: {says}" for says in verdict.untold[:SHOWN]]
    return broken, tried


def _nothing_acknowledged_is_lost(ops: list[Op], found: Found) -> tuple[list[str], int]:
    acked = [op for op in ops if op.call == "once" and op.acknowledged]
    lost = [op for op in acked if found.get(op.asked) != op.asked]  # each has its own name as its value
    return [
        f"{op.asked} was acknowledged after {op.end_s:.3f} s, and there is {found.get(op.asked) or 'nothing'}"
        for op in lost
    ], len(acked)


def _the_newest_is_there(ops: list[Op], found: Found) -> tuple[list[str], int]:
    """Of a key that one person writes, one after another: the last that was acknowledged, or one begun after it."""
    of_key: dict[str, list[Op]] = {}
    for op in ops:
        if op.call == "newest" and op.outcome is not Outcome.FAILED:
            of_key.setdefault(op.asked[0], []).append(op)
    broken: list[str] = []
    for key, writes in of_key.items():
        acked = [at for at, op in enumerate(writes) if op.acknowledged]
        may = {op.asked[1] for op in writes[acked[-1] :]} if acked else {None, *(op.asked[1] for op in writes)}
        if found.get(key) not in may:
            broken.append(
                f"{key} is {found.get(key)}, and {writes[acked[-1] if acked else 0].asked[1]} was written last"
            )
    return broken, len(of_key)


def _no_count_is_lost(ops: list[Op], found: Found) -> tuple[list[str], int]:
    broken: list[str] = []
    keys = {op.asked for op in ops if op.call == "count"}
    for key in sorted(keys):
        asked = [op for op in ops if op.call == "count" and op.asked == key]
        least = sum(op.acknowledged for op in asked)
        most = least + sum(op.outcome is Outcome.UNKNOWN for op in asked)
        there = int(found.get(key) or 0)
        if not least <= there <= most:
            broken.append(
                f"{key} is {there:,}; {least:,} were acknowledged, and {most - least:,} more may have been done"
            )
    return broken, len(keys)


def _means(op: Op) -> tuple[Hashable, Step] | None:
    key = op.asked[0]
    match op.call:
        case "read":
            return None if op.outcome is Outcome.UNKNOWN else (key, Saw(op.answer))
        case "write":
            return key, Put(op.asked[1])
        case _:
            _, old, new = op.asked
            return key, SawOther(old) if op.outcome is Outcome.OK and op.answer is False else Swap(old, new)


REGISTERS = Model(None, _means)


def gaps(acknowledged_s: list[float], until_s: float) -> list[tuple[float, float]]:
    """Return the stretches in which no write was acknowledged to anybody, the longest first: from, how long."""
    times = [0.0, *sorted(acknowledged_s), until_s]
    return sorted(((a, b - a) for a, b in pairwise(times)), key=lambda gap: -gap[1])
