"""Conservation: what moves between accounts is neither made nor destroyed, and nobody owes what may not be owed.

Jepsen's `bank` test, and a little more: that totals agree says nothing of a transfer that was booked twice. So each
balance, and the total, must lie between what has certainly moved and what may have.

* **total**: all balances together are not what they may be.
* **overdrawn**: an account is below zero that must not be.
* **missing**, **stranger**: an account is not shown, or one is shown that nobody knows.
* **unaccounted**: a balance does not follow from the transfers that were acknowledged or may have happened.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from itertools import accumulate
from typing import NamedTuple

from fathom.blocks.verdict import Fault, Verdict, shown
from fathom.history import Op, Outcome

__all__ = ["KINDS", "Balances", "Moved", "check"]

KINDS = ("total", "overdrawn", "missing", "stranger", "unaccounted")


class Moved(NamedTuple):
    """The call moved an amount; from or to None is from or to outside, and changes the total."""

    source: Hashable | None
    target: Hashable | None
    amount: int


class Balances(NamedTuple):
    """The call was shown all accounts as of one moment; balances are whole numbers of the smallest coin."""

    of: Mapping[Hashable, int]


def check(
    ops: Iterable[Op],
    means: Callable[[Op], Moved | Balances | None],
    start: Mapping[Hashable, int],
    *,
    may_owe: Collection[Hashable] = (),
) -> Verdict:
    """Return where balances do not add up, beginning from `start`; accounts in `may_owe` may be below zero.

    A read shows one moment within its own time; of a store that may answer with an older one, look at the totals only.

    >>> move = Op(index=0, caller="ann", call="move", asked=("a", "b", 3), start_s=0, end_s=1)
    >>> read = Op(index=1, caller="bob", call="read", answer={"a": 4, "b": 6}, start_s=2, end_s=3)
    >>> means = lambda op: Moved(*op.asked) if op.call == "move" else Balances(op.answer)
    >>> check([move, read], means, {"a": 10, "b": 0}).of("unaccounted")[0].says
    "'a' has 4 at 2 s: by what was acknowledged it has 7"
    """
    flows: defaultdict[Hashable, list[_Flow]] = defaultdict(list)
    reads: list[tuple[Op, Balances]] = []
    for op in ops:
        did = means(op)
        if isinstance(did, Moved) and op.outcome is not Outcome.FAILED:
            for account, amount in _sides(did):
                flows[account].append(_Flow(op, amount))
        elif isinstance(did, Balances) and op.outcome is Outcome.OK:
            reads.append((op, did))
    books = {account: _Book(begin, flows[account]) for account, begin in start.items()}
    books[TOTAL] = _Book(sum(start.values()), flows[TOTAL])
    faults = [fault for op, read in reads for fault in _faults(op, read, books, set(may_owe))]
    counts = Counter({"reads": len(reads), **dict.fromkeys(KINDS, 0)})
    counts.update(fault.kind for fault in faults)
    untold = () if reads else ("nobody read the balances",)
    return Verdict(faults=tuple(faults), untold=untold, counts=dict(counts))


TOTAL = object()  # the account of all accounts


class _Flow(NamedTuple):
    """What one call adds to one account."""

    op: Op
    amount: int


def _sides(move: Moved) -> Iterable[tuple[Hashable, int]]:
    if move.source is not None:
        yield move.source, -move.amount
    if move.target is not None:
        yield move.target, move.amount
    if (move.source is None) != (move.target is None):
        yield TOTAL, move.amount if move.source is None else -move.amount


class _Book:
    """What one account may hold at a time: what has certainly moved, and what may have."""

    def __init__(self, begin: int, flows: list[_Flow]) -> None:
        self.begin = begin
        self.flows = flows
        begun = sorted((flow.op.start_s, flow.amount) for flow in flows)
        ended = sorted(
            (flow.op.end_s, flow.amount) for flow in flows if flow.op.acknowledged and flow.op.end_s is not None
        )
        self._begun = _Sums(begun)
        self._ended = _Sums(ended)

    def between(self, read: Op) -> tuple[int, int]:
        """Return the least and the most that a read may show."""
        out_certain, in_certain = self._ended.until(read.start_s, before=True)
        out_maybe, in_maybe = self._begun.until(read.end_s if read.end_s is not None else read.start_s, before=False)
        return self.begin + in_certain + out_maybe, self.begin + in_maybe + out_certain


class _Sums:
    """Sums of what went out and of what came in, by time."""

    def __init__(self, flows: list[tuple[float, int]]) -> None:
        self._at = [at for at, _ in flows]
        self._out = [0, *accumulate(min(0, amount) for _, amount in flows)]
        self._in = [0, *accumulate(max(0, amount) for _, amount in flows)]

    def until(self, at_s: float, *, before: bool) -> tuple[int, int]:
        at = bisect_left(self._at, at_s) if before else bisect_right(self._at, at_s)
        return self._out[at], self._in[at]


def _faults(op: Op, read: Balances, books: Mapping[Hashable, _Book], may_owe: set[Hashable]) -> Iterable[Fault]:
    """Yield what is wrong with one read."""
    at = f"at {op.start_s:g} s"
    for account in read.of.keys() - books.keys():
        yield Fault("stranger", f"{shown(account)} is shown {at}, and nobody opened it", (op,))
    for account in books.keys() - read.of.keys() - {TOTAL}:
        yield Fault("missing", f"{shown(account)} is not shown {at}", (op,))
    low, high = books[TOTAL].between(op)
    total = sum(read.of.values())
    if not low <= total <= high:
        yield Fault("total", f"all accounts have {total} {at}: together they have {_range(low, high)}", (op,))
    for account, has in read.of.items():
        if has < 0 and account not in may_owe:
            yield Fault("overdrawn", f"{shown(account)} has {has} {at}", (op,))
        if account not in books:
            continue
        low, high = books[account].between(op)
        if not low <= has <= high:
            by = "by what was acknowledged it has" if low == high else "by what may have happened it has"
            yield Fault("unaccounted", f"{shown(account)} has {has} {at}: {by} {_range(low, high)}", (op,))


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
