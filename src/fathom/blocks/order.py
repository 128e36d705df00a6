"""The search for an order of calls on one value, each within its own time, in which everybody was told the truth.

The search of Wing and Gong (JPDC 1993): try what may come next, and go back when an answer does not fit. Lowe
("Testing for linearizability", 2017) adds to remember what has failed, and to let a call take effect only just in time:
when another ends that needs it. An answer that fits is taken at once, as it changes nothing.

Four more things keep the search small. Each leaves the verdict as it is; the tests try all orders to show it.

* **Covered**: a write that nobody saw may have come right before a later one that covers it. So whether it was seen is
  decided at its own end, not when it is covered; and nothing is written only to be covered.
* **Unseen**: values that nobody was told of are one and the same value.
* **Starved**: nobody leaves a value behind that somebody must still be told of and that cannot come back.
* **Debts**: two searches in the same state differ by what they owe and by what they have used up. One that owes and
  has used no less than another that failed will fail. So a call without an end, which may take effect at any time or
  never, costs nothing until somebody needs it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

from fathom.blocks.verdict import Answer
from fathom.history import Op

__all__ = ["Append", "Call", "Found", "Put", "Saw", "SawOther", "Step", "Swap", "exact", "needed", "search"]

K = TypeVar("K", int, str)


# What a call may do --------------------------------------------------------------------------------------------------


class Saw(NamedTuple):
    """The call was told that this is the value."""

    value: Any


class SawOther(NamedTuple):
    """The call was told that this is not the value: a compare-and-set that did not match."""

    value: Any


class Put(NamedTuple):
    """The call makes this the value, whatever it was."""

    value: Any


class Swap(NamedTuple):
    """The call makes `new` the value, and can only where it is `old`: what matched, or told what it replaced."""

    old: Any
    new: Any


class Append(NamedTuple):
    """The call adds this text at the end of the value; what is no text counts as the empty one."""

    text: str


Step = Saw | SawOther | Put | Swap | Append


class Call(NamedTuple):
    """One call on one value: what it does, its time, and whether it must have happened.

    One that never ended (`end_s` is infinite) may happen at any time after its start; one that is not `owed` may also
    happen never.
    """

    op: Op
    step: Step
    start_s: float
    end_s: float
    owed: bool


def needed(step: Step) -> tuple[Any, ...]:
    """Return the value that must have been there for this step."""
    match step:
        case Saw(value):
            return (value,)
        case Swap(old, _):
            return (old,)
    return ()


def exact(value: Any) -> Hashable:
    """Return a value as a key that keeps 1, 1.0 and true apart, and that takes lists and objects."""
    if isinstance(value, dict):
        return dict, frozenset((exact(k), exact(v)) for k, v in value.items())
    if isinstance(value, list | tuple):
        return list, tuple(exact(item) for item in value)
    return type(value), value


# The search ----------------------------------------------------------------------------------------------------------

FRESH, MIDWAY, BARE = range(3)  # since the last end nothing was done; something; something that nobody has seen yet
DEBTS_COMPARED = 64  # with more, comparing takes longer than it saves


class Found(NamedTuple):
    """Whether there is an order, after how many states; if not, the end that the best order did not reach."""

    answer: Answer
    states: int
    until_s: float = math.inf


def search(calls: Sequence[Call], start: Any, budget: int) -> Found:
    """Try every order that matters, deepest first, until one is found or `budget` states were visited."""
    course = _Course(calls, start)
    ends, values, width = course.ends, course.values, course.width
    last = len(ends) - 1  # a sentinel: who comes there has put everything in order
    failed: defaultdict[tuple[int, int, int], _Debts] = defaultdict(_Debts)
    stack = [(0, values.number(start), 0, ends[0].owes, FRESH)]
    states = furthest = 0
    while stack:
        at, state, done, owed, mood = stack.pop()
        end = ends[at]
        while at < last:
            fits = owed & (end.saw.get(state, 0) | (end.others & ~end.other_than.get(state, 0)))
            if fits:
                owed ^= fits
                mood = mood and MIDWAY
            if owed & end.bit or not (end.looks or done & end.bit):
                break
            done &= ~end.bit
            at, mood = at + 1, FRESH
            end = ends[at]
            owed |= end.owes
        if at == last:
            return Found(Answer.HELD, states)
        furthest = max(furthest, at)
        debt = done << width | owed
        if not failed[at, state, mood].add(debt) or course.stuck(state, at, done, owed):
            continue
        states += 1
        if states > budget:
            return Found(Answer.CANT_TELL, states)
        owes = ends[at + 1].owes
        branches = []
        for change in _choices(end, done, owed):
            bit, kind = change.bit, change.kind
            gone = done | bit
            if kind == PUT:
                if mood == BARE or course.starves(state, change.new, at, gone, owed):
                    continue
                new, left, then = change.new, owed & ~end.coverable, BARE
            elif kind == SWAP:
                if state != change.old or course.starves(state, change.new, at, gone, owed & ~bit):
                    continue
                new, left, then = change.new, owed & ~bit, MIDWAY
            else:
                new, left, then = values.longer(state, change.text), owed & ~bit, BARE
                if new == state and bit != end.bit:
                    continue  # it changes nothing yet, so it may as well come later
            if new == UNSEEN and not course.refuted and not owed & bit:
                continue  # nobody asks for it and nobody can tell
            if bit == end.bit:
                branches.append((at + 1, new, done, left | owes, FRESH))
            else:
                branches.append((at, new, gone, left, then))
        stack += reversed(branches)
        idle = mood == FRESH and not owed & end.bit  # what ends here was covered, or need not have been
        if idle and not course.starves(end.changes[0].new, state, at, done | end.bit, owed):
            stack.append((at + 1, state, done, owed | owes, FRESH))
    return Found(Answer.FAILED, states, max(ends[furthest].end_s, course.starved_s))


class _Debts:
    """The debts with which one state has been searched on."""

    def __init__(self) -> None:
        self.all: set[int] = set()
        self.latest: deque[int] = deque(maxlen=DEBTS_COMPARED)

    def add(self, debt: int) -> bool:
        """Take in a debt, unless it is no less than one that has been tried."""
        if debt in self.all or any(not other & ~debt for other in self.latest):
            return False
        self.all.add(debt)
        self.latest.append(debt)
        return True


def _choices(end: _End, done: int, owed: int) -> list[_Change]:
    """Return what may take effect next. Of those that do the same, one: what is owed first, then the next to end."""
    choices: list[_Change] = []
    owed_alike = alike = 0
    for change in end.changes:
        bit, like = change.bit, change.like
        if done & bit:
            continue
        if like:
            if like & (owed_alike if owed & bit else alike):
                continue
            alike |= like
            if owed & bit:
                owed_alike |= like
        choices.append(change)
    for same in end.endless:
        if not same[0].like & alike:
            choices += [change for change in same if not done & change.bit][:1]
    return choices


# Values as numbers ---------------------------------------------------------------------------------------------------

UNSEEN = 0  # the number of every value that nobody was told of


class _Values:
    """Numbers for values: equal where no answer can tell them apart."""

    def __init__(self, calls: Sequence[Call]) -> None:
        told = [v for call in calls for v in (*needed(call.step), *_refuted(call.step))]
        self.told = {exact(value) for value in told}
        self.grows = any(isinstance(call.step, Append) for call in calls)
        self.texts = sorted({value for value in told if isinstance(value, str)}) if self.grows else []
        self.numbers: dict[Hashable, int] = {}
        self.values: list[Any] = [None]
        self.grown: dict[tuple[int, str], int] = {}

    def number(self, value: Any) -> int:
        key = exact(value)
        if not (key in self.told or self._begins_one(value)):
            return UNSEEN
        number = self.numbers.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number

    def _begins_one(self, value: Any) -> bool:
        """Whether appends may make of this value one that somebody was told of."""
        if not self.grows or not (value is None or isinstance(value, str)):
            return False
        at = bisect_left(self.texts, value or "")
        return at < len(self.texts) and self.texts[at].startswith(value or "")

    def text(self, number: int) -> str:
        """Return what appends are added to: nothing, and what they cannot be added to, count as the empty text."""
        value = self.values[number]
        return value if isinstance(value, str) else ""

    def longer(self, state: int, text: str) -> int:
        """Return the state after an append."""
        if state == UNSEEN:
            return UNSEEN
        grown = self.grown.get((state, text))
        if grown is None:
            grown = self.number(self.text(state) + text)
            self.grown[state, text] = grown
        return grown


def _refuted(step: Step) -> tuple[Any, ...]:
    return (step.value,) if isinstance(step, SawOther) else ()


# Calls as numbers ----------------------------------------------------------------------------------------------------

SAW, SAW_OTHER, PUT, SWAP, APPEND = range(5)
LOOKS = (SAW, SAW_OTHER)
_Shape = tuple[int, int, int, str]  # kind, the value it needs, the value it leaves, the text it adds


class _Change(NamedTuple):
    """A call as the search needs it: plain numbers."""

    end_s: float
    order: int  # of two that end together, any will do, but always the same
    bit: int
    kind: int
    old: int
    new: int
    text: str
    like: int  # a bit for all that do the same; 0 where nobody else does


class _End(NamedTuple):
    """The end of a call, and what is under way just before it. Several are told as the bits of a number."""

    end_s: float
    bit: int
    looks: bool  # it only looked
    changes: tuple[_Change, ...]  # what will end, the next to end first
    endless: tuple[tuple[_Change, ...], ...]  # what never ended, those that do the same together
    coverable: int  # what a Put would cover
    saw: dict[int, int]  # value → who was told it
    others: int  # who was told it was something else
    other_than: dict[int, int]
    wants: dict[int, tuple[_Want, ...]]  # value → who can only happen while it is the value, the next to end first
    leaves: dict[int, int]  # value → who makes it the value
    adds: dict[str, int]  # text → who appends it
    owes: int  # what begins to be owed between the end before and this one


class _Want(NamedTuple):
    """A call that must find a value, and can only happen while it is there."""

    end_s: float
    bit: int
    value: int


class _Begun(NamedTuple):
    """The start of a call, and the first end after it."""

    at: int
    start_s: float


class _Course:
    """Reads calls in the order of their times, and keeps for each end what is under way."""

    def __init__(self, calls: Sequence[Call], start: Any) -> None:
        self.values = _Values(calls)
        self.ends: list[_End] = []
        self.width = 0  # bits that a set of calls may need
        self.starved_s = -math.inf  # what ended until then shows why nothing further was tried
        self._leaving: defaultdict[int, list[_Begun]] = defaultdict(list)  # who makes it the value, as they begin
        self._adding: defaultdict[str, list[_Begun]] = defaultdict(list)
        self._wanting: defaultdict[int, list[tuple[int, _Want]]] = defaultdict(list)  # who wants it: first end, who
        self._all_wanting: list[tuple[int, _Want]] = []
        self._free: list[int] = []  # bits that nobody under way has
        self._changes: list[_Change] = []
        self._endless: dict[_Shape, tuple[_Change, ...]] = {}
        self._coverable = self._others = self._owes = 0
        self._saw: dict[int, int] = {}
        self._other_than: dict[int, int] = {}
        self._wants: dict[int, tuple[_Want, ...]] = {}
        self._leaves: dict[int, int] = {}
        self._adds: dict[str, int] = {}
        self._read(calls)
        self._begun_by: dict[int, list[int]] = {}  # what was told → the values that it begins with and somebody put
        self._sizes = sorted({len(text) for text in self._adding}, reverse=True)

    def _read(self, calls: Sequence[Call]) -> None:
        self.refuted = any(call.owed and isinstance(call.step, SawOther) for call in calls)
        kept = [(call, shape) for call in calls if _matters(call, shape := self._shape(call.step), self.refuted)]
        often = Counter(shape for _, shape in kept)
        like = {shape: 1 << at for at, shape in enumerate(shape for shape, n in often.items() if n > 1)}
        moments = [(call.start_s, False, order) for order, (call, _) in enumerate(kept)]
        moments += [(call.end_s, True, order) for order, (call, _) in enumerate(kept) if call.end_s < math.inf]
        under_way: dict[int, _Change] = {}
        for _, ended, order in sorted(moments):  # of the same time: what touches in time overlaps
            if ended:
                self._end(under_way.pop(order))
                continue
            call, shape = kept[order]
            under_way[order] = _Change(call.end_s, order, self._bit(), *shape, like.get(shape, 0))
            self._begin(under_way[order], shape, call.owed, call.start_s)
        self.ends.append(_End(math.inf, 0, True, (), (), 0, {}, 0, {}, {}, {}, {}, 0))

    def _shape(self, step: Step) -> _Shape:
        number = self.values.number
        match step:
            case Saw(value):
                return SAW, number(value), UNSEEN, ""
            case SawOther(value):
                return SAW_OTHER, number(value), UNSEEN, ""
            case Put(value):
                return PUT, UNSEEN, number(value), ""
            case Append(text):
                return APPEND, UNSEEN, UNSEEN, text
            case Swap(old, new) if exact(old) == exact(new):
                return SAW, number(old), UNSEEN, ""
            case Swap(old, new):
                return SWAP, number(old), number(new), ""

    def _bit(self) -> int:
        if self._free:
            return self._free.pop()
        self.width += 1
        return 1 << (self.width - 1)

    def _begin(self, change: _Change, shape: _Shape, owed: bool, start_s: float) -> None:
        bit, kind = change.bit, change.kind
        self._owes |= bit if owed else 0
        if owed and kind in (SAW, SWAP):
            want = _Want(change.end_s, bit, change.old)
            self._wants = {**self._wants, want.value: tuple(sorted((*self._wants.get(want.value, ()), want)))}
            self._wanting[want.value].append((len(self.ends), want))
            self._all_wanting.append((len(self.ends), want))
        if kind in (PUT, SWAP):
            self._leaves = _with(self._leaves, change.new, bit)
            self._leaving[change.new].append(_Begun(len(self.ends), start_s))
        elif kind == APPEND:
            self._adds = _with(self._adds, change.text, bit)
            self._adding[change.text].append(_Begun(len(self.ends), start_s))
        if kind == SAW:
            self._saw = _with(self._saw, change.old, bit)
        elif kind == SAW_OTHER:
            self._others |= bit
            self._other_than = _with(self._other_than, change.old, bit)
        elif change.end_s == math.inf:
            self._endless = {**self._endless, shape: (*self._endless.get(shape, ()), change)}
        else:
            insort(self._changes, change)
            self._coverable |= bit if kind != SWAP else 0

    def _end(self, change: _Change) -> None:
        bit, kind = change.bit, change.kind
        self.ends.append(
            _End(
                change.end_s,
                bit,
                kind in LOOKS,
                tuple(self._changes),
                tuple(self._endless.values()),
                self._coverable,
                self._saw,
                self._others,
                self._other_than,
                self._wants,
                self._leaves,
                self._adds,
                self._owes,
            )
        )
        self._owes = 0
        self._free.append(bit)
        if any(want.bit == bit for want in self._wants.get(change.old, ())):
            left = tuple(want for want in self._wants[change.old] if want.bit != bit)
            others = {value: wants for value, wants in self._wants.items() if value != change.old}
            self._wants = {**others, change.old: left} if left else others
        self._leaves = _without(self._leaves, change.new, bit)
        self._adds = _without(self._adds, change.text, bit)
        self._saw = _without(self._saw, change.old, bit)
        self._other_than = _without(self._other_than, change.old, bit)
        self._others &= ~bit
        if kind not in LOOKS:
            self._changes.remove(change)
            self._coverable &= ~bit

    def starves(self, value: int, state: int, at: int, gone: int, owed: int) -> bool:
        """Whether somebody must still find `value` when it is `state`, which cannot become it again without `gone`."""
        end = self.ends[at]
        if value in (UNSEEN, state) or self.values.grows or end.leaves.get(value, 0) & ~gone:
            return False
        coming = self._leaving.get(value, [])
        for want in (_next_owed(end.wants.get(value, ()), owed), _next_begun(self._wanting.get(value, []), at)):
            if want is not None and not _comes(coming, at, want.end_s):
                self.starved_s = max(self.starved_s, want.end_s)
                return True
        return False

    def stuck(self, state: int, at: int, done: int, owed: int) -> bool:
        """Whether a growing value can no longer become what somebody is told who is under way, or begins next."""
        if not self.values.grows:
            return False
        wants = [_next_owed(same, owed) for same in self.ends[at].wants.values()]
        for want in (*wants, _next_begun(self._all_wanting, at)):
            if want is not None and not self._may_become(want, state, at, done):
                self.starved_s = max(self.starved_s, want.end_s)
                return True
        return False

    def _may_become(self, want: _Want, state: int, at: int, done: int) -> bool:
        told = want.value
        if state == told:
            return True
        end, text, now = self.ends[at], self.values.text(told), self.values.text(state)
        if state != UNSEEN and text.startswith(now):
            for size in self._sizes:  # the next piece must be there, or come in time
                piece = text[len(now) : len(now) + size]
                if end.adds.get(piece, 0) & ~done or _comes(self._adding.get(piece, []), at, want.end_s):
                    return True
        if told not in self._begun_by:
            begins = [value for value in self._leaving if value != UNSEEN and text.startswith(self.values.text(value))]
            self._begun_by[told] = begins
        return any(
            end.leaves.get(value, 0) & ~done or _comes(self._leaving[value], at, want.end_s)
            for value in self._begun_by[told]
        )


def _next_owed(wants: Sequence[_Want], owed: int) -> _Want | None:
    return next((want for want in wants if want.bit & owed), None)


def _next_begun(wanting: list[tuple[int, _Want]], at: int) -> _Want | None:
    after = bisect_left(wanting, (at + 1,))
    return wanting[after][1] if after < len(wanting) else None


def _comes(calls: list[_Begun], at: int, until_s: float) -> bool:
    """Whether one of these begins after this end, and not too late."""
    after = bisect_left(calls, (at + 1,))
    return after < len(calls) and calls[after].start_s <= until_s


def _with(bits: dict[K, int], value: K, bit: int) -> dict[K, int]:
    return {**bits, value: bits.get(value, 0) | bit}


def _without(bits: dict[K, int], value: K, bit: int) -> dict[K, int]:
    had = bits.get(value, 0)
    if not had & bit:
        return bits
    return {**bits, value: had ^ bit} if had != bit else {other: held for other, held in bits.items() if other != value}


def _matters(call: Call, shape: _Shape, refuted: bool) -> bool:
    """Whether a call can make a difference: not if it need not have happened and nobody could have noticed."""
    kind, _, new, _ = shape
    return call.owed or not (kind in LOOKS or (kind != APPEND and new == UNSEEN and not refuted))
