"""Session guarantees: each session finds what it wrote, and never goes back behind what it saw.

The four of Terry, Demers, Petersen, Spreitzer, Theimer and Welch ("Session guarantees for weakly consistent replicated
data", PDIS 1994), as far as a session can see them: key by key, from the versions that it was told.

* **Read your writes**: a read shows what the session had written, or something newer.
* **Monotonic reads**: a read shows what the session had read, or something newer.
* **Monotonic writes**: a write is newer than what the session had written.
* **Writes follow reads**: a write is newer than what the session had read.

Across keys nobody can tell without knowing which server answered: two reads of two keys may come from two servers, of
which each keeps its promises. A total order over all keys is what `linearizable` looks for.
"""

from __future__ import annotations

import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

from fathom.blocks.verdict import Fault, Verdict, shown
from fathom.history import Op, Outcome

__all__ = [
    "MONOTONIC_READS",
    "MONOTONIC_WRITES",
    "READ_YOUR_WRITES",
    "WRITES_FOLLOW_READS",
    "Read",
    "Wrote",
    "check",
]

READ_YOUR_WRITES, MONOTONIC_READS = "read your writes", "monotonic reads"
MONOTONIC_WRITES, WRITES_FOLLOW_READS = "monotonic writes", "writes follow reads"


class Read(NamedTuple):
    """The call was shown this version of the key; None where there was nothing."""

    key: Hashable
    version: Any


class Wrote(NamedTuple):
    """The call made this version of the key; None where it was not told which."""

    key: Hashable
    version: Any


def check(
    ops: Iterable[Op],
    means: Callable[[Op], Read | Wrote | None],
    *,
    includes: Callable[[Any, Any], bool] = operator.ge,
) -> Verdict:
    """Return which session guarantees a history breaks; a session is a caller.

    `includes(a, b)` tells whether version a is b or was made with b known: `>=` for numbers and for sets of dots, the
    order of the clocks for vector clocks. Versions that include neither the other are siblings: a read of one alone
    after the other breaks a promise, so a read of siblings gives them as one version that includes each.

    Only acknowledged calls count, and a call counts as earlier when it had ended before the other began.

    >>> wrote = Op(index=0, caller="ann", call="put", asked="x", answer=7, start_s=0, end_s=1)
    >>> stale = Op(index=1, caller="ann", call="get", asked="x", answer=6, start_s=2, end_s=3)
    >>> verdict = check([wrote, stale], lambda op: (Wrote if op.call == "put" else Read)(op.asked, op.answer))
    >>> verdict.faults[0].says
    "ann was shown version 6 of 'x' after having written 7"
    """
    sessions: defaultdict[tuple[str, Hashable], list[tuple[Op, Read | Wrote]]] = defaultdict(list)
    untold: Counter[str] = Counter()
    for op in ops:
        did = means(op) if op.outcome is Outcome.OK else None
        if isinstance(did, Wrote) and did.version is None:
            untold[op.call] += 1
        elif did is not None:
            sessions[op.caller, did.key].append((op, did))
    tried: Counter[str] = Counter({promise: 0 for promise in PROMISES.values()})
    faults: list[Fault] = []
    for (session, key), calls in sessions.items():
        faults += _faults(session, key, calls, includes, tried)
    return Verdict(
        faults=tuple(sorted(faults, key=lambda fault: fault.ops[-1].start_s)),
        untold=tuple(f"{n} acknowledged {call} told no version" for call, n in untold.items()),
        counts=dict(tried),
    )


PROMISES: dict[tuple[type, type], str] = {  # what came earlier, what comes now
    (Wrote, Read): READ_YOUR_WRITES,
    (Read, Read): MONOTONIC_READS,
    (Wrote, Wrote): MONOTONIC_WRITES,
    (Read, Wrote): WRITES_FOLLOW_READS,
}


def _faults(
    session: str,
    key: Hashable,
    calls: list[tuple[Op, Read | Wrote]],
    includes: Callable[[Any, Any], bool],
    tried: Counter[str],
) -> Iterable[Fault]:
    """Yield what one session broke on one key."""
    ending = sorted(calls, key=lambda call: call[0].end_s or 0.0, reverse=True)
    newest: dict[type, list[tuple[Op, Any]]] = {Read: [], Wrote: []}  # what no other that is known includes
    for op, did in sorted(calls, key=lambda call: call[0].start_s):
        while ending and ending[-1][0].before(op):
            earlier, had = ending.pop()
            if had.version is not None:
                kept = [one for one in newest[type(had)] if not includes(had.version, one[1])]
                if not any(includes(version, had.version) for _, version in kept):
                    newest[type(had)] = [*kept, (earlier, had.version)]
        for before, known in newest.items():
            promise = PROMISES[before, type(did)]
            tried[promise] += bool(known)
            for earlier, version in known:
                if not _newer(did, version, includes):
                    verb, had = ("written" if before is Wrote else "been shown", shown(version))
                    now = "was shown" if isinstance(did, Read) else "wrote"
                    says = f"{session} {now} version {shown(did.version)} of {shown(key)} after having {verb} {had}"
                    yield Fault(promise, says, (earlier, op))
                    break


def _newer(did: Read | Wrote, version: Any, includes: Callable[[Any, Any], bool]) -> bool:
    """Whether a call shows a version, or makes a newer one."""
    if did.version is None or not includes(did.version, version):
        return False
    return isinstance(did, Read) or not includes(version, did.version)
