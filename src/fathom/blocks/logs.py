"""Logs that promise order: one value at one offset, nothing acknowledged lost, nobody's reading goes back.

What Jepsen's `kafka` workload looks for, of logs to which values are appended and which consumers read in order:

* **inconsistent**: two values at one offset.
* **duplicated**: one value at two offsets (values must be unique in a log).
* **reordered**: a value acknowledged before another was sent, and yet behind it.
* **lost**: acknowledged, passed over by a consumer, and never seen by anybody.
* **skipped**: seen by somebody, and passed over by a consumer.
* **back**: a consumer was shown an offset that is not above its last one.
* **unexpected**: shown to a consumer although nobody had sent it, or only in vain.

A consumer passes an offset over when it is shown the next ones without it. It reads on from where it was, from the
beginning at first; where it may go elsewhere, it says so (`Sought`). The last poll of all, if it is marked `final`,
reaches the end. Of what nobody has come to, nothing can be told.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from fathom.blocks.verdict import Fault, Verdict, shown
from fathom.history import Op, Outcome

__all__ = ["KINDS", "Polled", "Sent", "Sought", "check"]

KINDS = ("inconsistent", "duplicated", "reordered", "lost", "skipped", "back", "unexpected")


class Sent(NamedTuple):
    """The call appended this value, at this offset; None where it was not told."""

    log: Hashable
    value: Hashable
    offset: int | None


class Polled(NamedTuple):
    """The call was shown the next values of a log, with their offsets."""

    log: Hashable
    records: Sequence[tuple[int, Hashable]]


class Sought(NamedTuple):
    """The caller reads on from this offset: nothing below it is passed over, and nothing above it is a step back."""

    log: Hashable
    offset: int


def check(ops: Iterable[Op], means: Callable[[Op], Sent | Polled | Sought | None]) -> Verdict:
    """Return which promises of a log a history breaks.

    >>> a = Op(index=0, caller="ann", call="send", asked="a", answer=0, start_s=0, end_s=1)
    >>> b = Op(index=1, caller="ann", call="send", asked="b", answer=1, start_s=2, end_s=3)
    >>> poll = Op(index=2, caller="bob", call="poll", answer=[(1, "b")], start_s=4, end_s=5)
    >>> means = lambda op: Polled("log", op.answer) if op.call == "poll" else Sent("log", op.asked, op.answer)
    >>> check([a, b, poll], means).faults[0].says
    "log 'log': 'a' was acknowledged at offset 0, bob went on to 1 without it, and nobody ever saw it"
    """
    logs: dict[Hashable, _Log] = {}
    for op in sorted(ops, key=lambda op: (op.start_s, op.index)):
        did = means(op)
        if did is None or op.outcome is Outcome.FAILED or (op.outcome is Outcome.UNKNOWN and isinstance(did, Polled)):
            continue
        log = logs.setdefault(did.log, _Log(did.log))
        if isinstance(did, Sent):
            log.send(op, did)
        elif isinstance(did, Polled):
            log.poll(op, did)
        else:
            log.seek(op, did)
    faults: list[Fault] = []
    untold: list[str] = []
    counts: Counter[str] = Counter({kind: 0 for kind in ("acknowledged", "seen", *KINDS)})
    for log in logs.values():
        faults += log.judged()
        counts["acknowledged"] += len(log.acknowledged)
        counts["seen"] += len(log.seen)
        if log.unread:
            untold.append(f"log {shown(log.name)}: nobody read as far as {len(log.unread)} acknowledged values")
    counts.update(fault.kind for fault in faults)
    return Verdict(faults=tuple(faults), untold=tuple(untold), counts=dict(counts))


class _Pass(NamedTuple):
    """A consumer went from one offset to another: what lies between, it will not see."""

    above: float
    below: float
    by: Op

    def may_have_missed(self, place: _Place) -> bool:
        """Whether it may have come after the end that was reached."""
        return self.below == math.inf and not place.op.before(self.by)


class _Place(NamedTuple):
    """What is known to be at an offset, and from whom."""

    offset: int
    value: Hashable
    op: Op


class _Way:
    """Places in the order of their offsets, as consumers pass them over."""

    def __init__(self, places: list[_Place]) -> None:
        self.places = places
        self._offsets = [place.offset for place in places]
        self._next = list(range(len(places) + 1))  # the first from here on that was not taken, or on the way to it

    def first(self, went: _Pass) -> tuple[_Place | None, int]:
        """Return the first place that was passed over, and how many were."""
        begin, end = bisect_right(self._offsets, went.above), bisect_left(self._offsets, went.below)
        if went.below < math.inf:
            return (self.places[begin], end - begin) if begin < end else (None, 0)
        passed = [place for place in self.places[begin:end] if not went.may_have_missed(place)]
        return (passed[0] if passed else None), len(passed)

    def taken(self, went: _Pass) -> Iterator[_Place]:
        """Yield what was passed over, and never again."""
        at, end = self._left(bisect_right(self._offsets, went.above)), bisect_left(self._offsets, went.below)
        while at < end:
            if not went.may_have_missed(self.places[at]):
                self._next[at] = at + 1
                yield self.places[at]
            at = self._left(at + 1)

    def _left(self, at: int) -> int:
        while self._next[at] != at:
            self._next[at] = self._next[self._next[at]]  # whoever comes next goes half the way
            at = self._next[at]
        return at


class _Log:
    """What was sent to and read from one log, in the order of the calls' starts."""

    def __init__(self, name: Hashable) -> None:
        self.name = name
        self.sends: defaultdict[Hashable, list[Op]] = defaultdict(list)
        self.acknowledged: list[tuple[int, Hashable, Op]] = []
        self.seen: dict[Hashable, Op] = {}
        self.looked: dict[int, Op] = {}
        self.places: defaultdict[int, dict[Hashable, Op]] = defaultdict(dict)
        self.reached: dict[str, float] = {}
        self.last_poll: dict[str, Op] = {}
        self.passes: list[_Pass] = []
        self.faults: list[Fault] = []
        self.unread: set[Hashable] = set()

    def send(self, op: Op, did: Sent) -> None:
        self.sends[did.value].append(op)
        if op.acknowledged and did.offset is not None:
            self.acknowledged.append((did.offset, did.value, op))
            self.places[did.offset].setdefault(did.value, op)

    def seek(self, op: Op, did: Sought) -> None:
        self.reached[op.caller] = did.offset - 1

    def poll(self, op: Op, did: Polled) -> None:
        self.last_poll[op.caller] = op
        for offset, value in did.records:
            at = self.reached.get(op.caller, -1)
            if offset <= at:
                self._fault("back", f"{op.caller} was shown offset {offset} after {at:g}", op)
            elif offset > at + 1:
                self.passes.append(_Pass(at, offset, op))
            self.reached[op.caller] = offset
            self.seen.setdefault(value, op)
            self.looked.setdefault(offset, op)
            self.places[offset].setdefault(value, op)

    def judged(self) -> list[Fault]:
        """Return what is wrong, when all was sent and read."""
        for caller, poll in self.last_poll.items():
            if poll.final:
                self.passes.append(_Pass(self.reached.get(caller, -1), math.inf, poll))
        self._judge_places()
        self._judge_order()
        self._judge_passes()
        return self.faults

    def _fault(self, kind: str, says: str, *ops: Op) -> None:
        self.faults.append(Fault(kind, f"log {shown(self.name)}: {says}", ops))

    def _judge_places(self) -> None:
        offsets: defaultdict[Hashable, dict[int, Op]] = defaultdict(dict)
        for offset, values in self.places.items():
            if len(values) > 1:
                (one, first), (two, second) = list(values.items())[:2]
                self._fault("inconsistent", f"offset {offset} is {shown(one)} and {shown(two)}", first, second)
            for value, op in values.items():
                offsets[value][offset] = op
        for value, places in offsets.items():
            if len(places) > 1:
                (one, first), (two, second) = sorted(places.items())[:2]
                self._fault("duplicated", f"{shown(value)} is at offsets {one} and {two}", first, second)
        for value, poll in self.seen.items():
            sends = self.sends.get(value, [])
            if all(poll.before(send) for send in sends):
                asked = "before it was sent" if sends else "which nobody had sent"
                self._fault("unexpected", f"{poll.caller} was shown {shown(value)}, {asked}", poll)

    def _judge_order(self) -> None:
        """What was acknowledged before another was sent lies before it."""
        ended = sorted(self.acknowledged, key=lambda send: send[2].end_s or 0.0, reverse=True)
        highest: tuple[int, Hashable, Op] | None = None
        for offset, value, op in self.acknowledged:
            while ended and ended[-1][2].before(op):
                earlier = ended.pop()
                highest = earlier if highest is None or earlier[0] > highest[0] else highest
            if highest is not None and highest[0] > offset:
                before = f"{shown(highest[1])} was acknowledged at offset {highest[0]}"
                self._fault("reordered", f"{before} before {shown(value)} was sent, to {offset}", highest[2], op)

    def _judge_passes(self) -> None:
        """Judge what lay in a consumer's way and was not shown to it."""
        known = [
            _Place(offset, value, op) for offset, there in sorted(self.places.items()) for value, op in there.items()
        ]
        seen = _Way([place for place in known if place.value in self.seen])
        unseen = _Way([place for place in known if place.value not in self.seen])
        lost: set[Hashable] = set()
        for went in self.passes:
            for offset, value, op in unseen.taken(went):
                if value not in lost:
                    lost.add(value)
                    self._lose(offset, value, op, went.below, went.by)
            skipped, n = seen.first(went)
            if skipped is not None:
                more = f" and {n - 1} more" if n > 1 else ""
                says = f"{went.by.caller} {_went(went.below)} without {shown(skipped.value)} at {skipped.offset}{more}"
                self._fault("skipped", says, skipped.op, went.by)
        for offset, value, op in unseen.places:
            by = self.looked.get(offset)
            if by is not None and value not in lost:  # another was shown in its place
                lost.add(value)
                self._lose(offset, value, op, offset, by)
        found = self.seen.keys() | lost
        self.unread = {value for _, value, _ in self.acknowledged if value not in found}

    def _lose(self, offset: int, value: Hashable, op: Op, below: float, by: Op) -> None:
        says = f"{shown(value)} was acknowledged at offset {offset}, {by.caller} {_went(below)} without it"
        self._fault("lost", f"{says}, and nobody ever saw it", op, by)


def _went(below: float) -> str:
    return "read to the end" if below == math.inf else f"went on to {below:g}"
