"""Linearizability: one order of all calls, each within its own time, explains every answer.

As Herlihy and Wing define it (TOPLAS 1990). It is local, as they show: each key is judged alone (Porcupine calls that
P-compositionality, after Horn and Kroening, 2015). The search for an order is in `order`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from fathom.blocks.fewest import fewest
from fathom.blocks.order import Append, Call, Found, Put, Saw, SawOther, Step, Swap, exact, needed, search
from fathom.blocks.verdict import Answer, Fault, Verdict, shown
from fathom.errors import FathomError, nearest
from fathom.history import Op, Outcome

__all__ = ["BUDGET", "REGISTER", "STRINGS", "Append", "Model", "Put", "Saw", "SawOther", "Step", "Swap", "check"]

BUDGET = 1_000_000  # states visited for one key, some seconds; what is still open then can't be told
WORDS_MAX = 6  # operations in a sentence


# What a call may mean ------------------------------------------------------------------------------------------------


class Model(NamedTuple):
    """What a call means: `means(op)` returns the key it touches and the one step it does there.

    Of a call whose outcome is unknown the step it would have done; of one that would only have looked, None.
    """

    start: Any
    means: Callable[[Op], tuple[Hashable, Step] | None]


def _register(op: Op) -> tuple[Hashable, Step] | None:
    match op.call:
        case "read":
            return None if op.outcome is Outcome.UNKNOWN else (None, Saw(op.answer))
        case "write":
            return None, Put(op.asked)
        case "cas":
            old, new = op.asked
            refused = op.outcome is Outcome.OK and op.answer is False
            return None, SawOther(old) if refused else Swap(old, new)
    raise _stranger(op, "read", "write", "cas")


def _strings(op: Op) -> tuple[Hashable, Step] | None:
    match op.call:
        case "get":
            return None if op.outcome is Outcome.UNKNOWN else (op.asked, Saw(op.answer))
        case "put":
            key, value = op.asked
            return key, Put(value)
        case "append":
            key, text = op.asked
            return key, Append(text)
    raise _stranger(op, "get", "put", "append")


def _stranger(op: Op, *known: str) -> FathomError:
    return FathomError(
        f"operation {op.index} is a '{op.call}', and this model does not know what that means",
        why=f"it knows {', '.join(known)}",
        fix=nearest(op.call, known, "leave it out of what is checked, or write a model that knows it"),
    )


REGISTER = Model(None, _register)  # read; write asks a value; cas asks (old, new) and is answered False on a mismatch
STRINGS = Model("", _strings)  # get asks a key; put and append ask (key, text); what was never put is ""


# The check -----------------------------------------------------------------------------------------------------------


def check(ops: Iterable[Op], model: Model = REGISTER, *, budget: int = BUDGET) -> Verdict:
    """Return whether a history is linearizable, and for each key that is not, the fewest calls that prove it.

    A call that failed did not happen; one whose outcome is unknown may take effect at any time after it began, or
    never. `budget` is how many states may be visited for one key before it is given up as "can't tell".

    The calls that prove it cannot be put in order whatever the others did: each of the others may have taken effect
    within its own time, or not at all. No smaller part of them proves it.

    >>> wrote = Op(index=0, caller="ann", call="write", asked=1, start_s=0, end_s=1)
    >>> stale = Op(index=1, caller="bob", call="read", answer=None, start_s=2, end_s=3)
    >>> verdict = check([wrote, stale])
    >>> print(verdict.answer, [op.index for op in verdict.faults[0].ops])
    failed [0, 1]
    >>> print(check([wrote, Op(index=1, caller="bob", call="read", start_s=0.5, end_s=3)]).answer)
    held
    """
    keys = _by_key(ops, model)
    faults: list[Fault] = []
    untold: list[str] = []
    states = 0
    for key, calls in keys.items():
        found = search(calls, model.start, budget)
        states += found.states
        if found.answer is Answer.FAILED:
            faults.append(_fault(key, calls, model.start, found, budget))
        elif found.answer is Answer.CANT_TELL:
            untold.append(f"{_of(key)}{len(calls)} operations, and no answer after {budget:,} states")
    counts = {"keys": len(keys), "operations": sum(map(len, keys.values())), "states": states}
    return Verdict(faults=tuple(faults), untold=tuple(untold), counts=counts)


def _by_key(ops: Iterable[Op], model: Model) -> dict[Hashable, list[Call]]:
    keys: defaultdict[Hashable, list[Call]] = defaultdict(list)
    for op in ops:
        if op.outcome is Outcome.FAILED:
            continue
        known = op.outcome is Outcome.OK
        if known and (op.end_s is None or op.end_s < op.start_s):
            raise FathomError(
                f"operation {op.index} was answered at {op.end_s} and begun at {op.start_s}",
                why="what was answered must have ended, and not before it began",
                fix="take both times from one monotonic clock; call an operation without an end unknown",
            )
        meant = model.means(op)
        if meant is None or (not known and isinstance(meant[1], Saw | SawOther)):
            continue  # an answer that nobody got binds nobody
        key, step = meant
        end_s = op.end_s if known and op.end_s is not None else math.inf
        keys[key].append(Call(op, step, op.start_s, end_s, owed=known))
    return keys


# What to show of a failure -------------------------------------------------------------------------------------------


def _fault(key: Hashable, calls: Sequence[Call], start: Any, found: Found, budget: int) -> Fault:
    """Return the fewest calls that nothing can put in order, whatever the others did."""
    left = budget

    def fails(kept: Sequence[int]) -> bool:
        nonlocal left
        owed = set(kept)
        freed = [call._replace(owed=at in owed) for at, call in enumerate(begun)]
        again = search(freed, start, left)
        left -= again.states
        return again.answer is Answer.FAILED

    # What had not ended where the search failed is no part of the failure; what had not begun could not have helped.
    begun = sorted((call for call in calls if call.start_s <= found.until_s), key=lambda call: call.end_s)
    ended = [at for at, call in enumerate(begun) if call.owed and call.end_s <= found.until_s]
    proof = [begun[at] for at in fewest(fails, ended)]
    proof.sort(key=lambda call: (call.start_s, call.end_s))
    sources = _sources(proof, calls)
    told = _listed(proof) + (f"; what was told was written by: {_listed(sources)}" if sources else "")
    says = f"{_of(key)}no order explains {len(proof)} of {len(calls)} operations: {told}"
    ops, wrote = (tuple(call.op for call in part) for part in (proof, sources))
    return Fault("not linearizable", says, ops, wrote)


def _sources(proof: Sequence[Call], calls: Sequence[Call]) -> list[Call]:
    """Return who may have written what the proof was told, the last of several, where the proof does not hold them."""
    sources: list[Call] = []
    for told in proof:
        for value in needed(told.step):
            wrote = [
                call for call in calls if call.start_s <= told.end_s and call != told and _leaves(call.step, value)
            ]
            if wrote and not any(call in proof or call in sources for call in wrote):
                sources.append(max(wrote, key=lambda call: call.start_s))
    return sources


def _leaves(step: Step, value: Any) -> bool:
    """Whether this step may leave this value."""
    match step:
        case Put(new) | Swap(_, new):
            return exact(new) == exact(value)
        case Append(text):
            return isinstance(value, str) and value.endswith(text)
    return False


def _listed(calls: Sequence[Call]) -> str:
    more = f" and {len(calls) - WORDS_MAX} more" if len(calls) > WORDS_MAX else ""
    return ", ".join(_told(call) for call in calls[:WORDS_MAX]) + more


def _told(call: Call) -> str:
    match call.step:
        case Saw(value):
            did = f"was told {shown(value)}"
        case SawOther(value):
            did = f"was told it is not {shown(value)}"
        case Put(value):
            did = f"put {shown(value)}"
        case Swap(old, new):
            did = f"changed {shown(old)} to {shown(new)}"
        case Append(text):
            did = f"appended {shown(text)}"
    until = f"to {call.end_s:g} s" if call.end_s < math.inf else "s, never answered"
    return f"{call.op.caller} {did} ({call.start_s:g} {until})"


def _of(key: Hashable) -> str:
    return "" if key is None else f"key {shown(key)}: "
