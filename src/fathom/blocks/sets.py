"""Set loss: everything that was acknowledged is found again, and nothing else.

Jepsen's `set` and `set-full` checkers. An element is *known* from when its add was acknowledged, or a read that shows
it had ended. Of each element one thing is true:

* **ok**: known, and no read that began later lacks it.
* **lost**: a read that began when it was known lacks it, and no read that ended later shows it.
* **stale**: a read that began when it was known lacks it, and another that may have come after shows it again.
* **never read**: acknowledged, and nobody looked since: can't tell.
* **unsure**: its add is unknown, and nobody saw it. That breaks no promise.
* **unexpected**: a read shows it although nobody had asked for it, or only in vain.

Two more may be: **recovered**, an ok one whose adds are all unknown, and **duplicated**, one that a read shows twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import NamedTuple

from fathom.blocks.verdict import Fault, Verdict, shown
from fathom.history import Op, Outcome

__all__ = ["Added", "Held", "check"]

UNTOLD_MAX = 5  # elements named in a sentence


class Added(NamedTuple):
    """The call asked that this be in the set."""

    element: Hashable


class Held(NamedTuple):
    """The call was shown the whole set."""

    elements: Sequence[Hashable]


def check(ops: Iterable[Op], means: Callable[[Op], Added | Held | None], *, at_once: bool = False) -> Verdict:
    """Return what became of each element. `at_once`: a stale read is a fault, as in a linearizable set.

    >>> adds = [Op(index=n, caller="ann", call="add", asked=n, start_s=n, end_s=n + 0.5) for n in range(3)]
    >>> read = Op(index=3, caller="bob", call="read", answer=[0, 2], start_s=5, end_s=6)
    >>> verdict = check([*adds, read], lambda op: Added(op.asked) if op.call == "add" else Held(op.answer))
    >>> verdict.faults[0].says, verdict.counts["ok"]
    ('1 was acknowledged at 1.5 s, and the read at 5 s lacks it', 2)
    """
    adds: defaultdict[Hashable, list[Op]] = defaultdict(list)
    reads: list[Op] = []
    showing: defaultdict[Hashable, list[int]] = defaultdict(list)
    faults: list[Fault] = []
    held: list[tuple[Op, Counter[Hashable]]] = []
    for op in ops:
        did = means(op)
        if isinstance(did, Added):
            adds[did.element].append(op)
        elif isinstance(did, Held) and op.outcome is Outcome.OK:
            held.append((op, Counter(did.elements)))
    for at, (op, elements) in enumerate(sorted(held, key=lambda one: one[0].start_s)):
        reads.append(op)
        for element, times in elements.items():
            showing[element].append(at)
            if times > 1:
                says = f"the read at {op.start_s:g} s shows {shown(element)} {times} times"
                faults.append(Fault("duplicated", says, (op,)))
    counts: Counter[str] = Counter(
        {kind: 0 for kind in ("ok", "lost", "stale", "never read", "unsure", "unexpected", "recovered")}
    )
    counts["duplicated"] = len(faults)
    never: list[Hashable] = []
    for element in {**adds, **showing}:
        fault = _fate(element, adds[element], reads, showing.get(element, []))
        counts[fault.kind] += 1
        if fault.kind == "ok" and not any(add.acknowledged for add in adds[element]):
            counts["recovered"] += 1
        if fault.kind in ("lost", "unexpected") or (fault.kind == "stale" and at_once):
            faults.append(fault)
        elif fault.kind == "never read":
            never.append(element)
    named = ", ".join(map(shown, never[:UNTOLD_MAX])) + (", …" if len(never) > UNTOLD_MAX else "")
    untold = (f"nobody looked after {len(never)} were acknowledged: {named}",) if never else ()
    return Verdict(faults=tuple(faults), untold=untold, counts=dict(counts))


def _fate(element: Hashable, adds: list[Op], reads: list[Op], showing: list[int]) -> Fault:
    """Return what became of an element, with the operations that prove it. Reads are in the order of their starts."""
    name = shown(element)
    possible = [add for add in adds if add.outcome is not Outcome.FAILED]
    first = min(possible, key=lambda add: add.start_s, default=None)
    for at in showing:
        if first is None or reads[at].before(first):
            asked = "had been refused" if adds else "nobody had asked for"
            says = f"the read at {reads[at].start_s:g} s shows {name}, which {asked}"
            return Fault("unexpected", says, (*adds[:1], reads[at]))
    known = min(
        [add for add in adds if add.acknowledged] + [reads[at] for at in showing],
        key=lambda op: op.end_s if op.end_s is not None else op.start_s,
        default=None,
    )
    if known is None:
        return Fault("unsure", f"nobody saw {name}", tuple(adds))
    known_s = known.end_s if known.end_s is not None else known.start_s
    later = range(bisect_right(reads, known_s, key=lambda op: op.start_s), len(reads))
    shows = set(showing)
    lacks = next((at for at in reversed(later) if at not in shows), None)
    if lacks is None:
        return Fault("ok" if later or showing else "never read", f"{name} is there", (known,))
    hoped = [add for add in possible if not known.before(add)]
    how, sources = ("acknowledged", ()) if known in adds else ("seen", tuple(hoped[:1]))
    says = f"{name} was {how} at {known_s:g} s, and the read at {reads[lacks].start_s:g} s lacks it"
    again = next((at for at in reversed(showing) if not reads[at].before(reads[lacks])), None)
    if again is None:
        return Fault("lost", says, (known, reads[lacks]), sources)
    says += f", though the one at {reads[again].start_s:g} s shows it"
    return Fault("stale", says, (known, reads[lacks], reads[again]), sources)
