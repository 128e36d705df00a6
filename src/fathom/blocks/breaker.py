"""A circuit breaker: stops calling what keeps failing, and finds out with a few probes whether it is well again.

Nygard, *Release It!* (2007). What makes it open is a `Trip`, of which there are three: a share of failures, as all but
the quietest services want it; a count of failures, which cuts off a healthy dependency as soon as there is traffic
enough; and failures in a row, which one success in five keeps from opening. The first is what to use; the others are
here because people are told to use them, and what comes of that can be measured.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple, Protocol

from fathom.blocks.outcomes import LastSeconds, Outcomes

__all__ = ["Breaker", "FailureCount", "FailureShare", "FailuresInARow", "Permit", "State", "Trip"]


class State(enum.StrEnum):
    """Calls pass; none does; a few do, to find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Trip(Protocol):
    """Judges whether a closed breaker has to open, by the outcomes of calls."""

    def note(self, now_s: float, *, failed: bool, slow: bool) -> bool:
        """Note a call that ended now, and return whether that is enough."""
        ...

    def clear(self) -> None:
        """Begin anew: the breaker has closed."""
        ...


class FailureShare:
    """Trips when so large a share of the calls in the window failed, or was slow, if there were enough to tell.

    >>> trip = FailureShare(0.5, calls_min=4)
    >>> [trip.note(0.0, failed=failed, slow=False) for failed in (True, True, False, True)]
    [False, False, False, True]
    """

    __slots__ = ("calls_min", "outcomes", "share", "slow_share")

    def __init__(
        self,
        share: float = 0.5,
        *,
        slow_share: float = 1.0,
        calls_min: int = 20,
        outcomes: Outcomes | None = None,
    ) -> None:
        if not (0 < share <= 1 and 0 < slow_share <= 1 and calls_min >= 1):
            raise ValueError(f"a share is above 0 and at most 1, of a call at least: not {share}, {slow_share}")
        self.share, self.slow_share, self.calls_min = share, slow_share, calls_min
        self.outcomes = LastSeconds(10.0) if outcomes is None else outcomes

    def note(self, now_s: float, *, failed: bool, slow: bool) -> bool:
        self.outcomes.note(now_s, failed=failed, slow=slow)
        if not failed and not slow:
            return False  # a good call makes no share larger
        tally = self.outcomes.tally(now_s)
        return tally.calls >= self.calls_min and (
            tally.failed_share >= self.share or tally.slow_share >= self.slow_share
        )

    def clear(self) -> None:
        self.outcomes.clear()


class FailureCount:
    """Trips at so many failures in a window, of however many calls.

    >>> trip = FailureCount(2, window_s=10)
    >>> [trip.note(now_s, failed=True, slow=False) for now_s in (0.0, 11.0, 12.0)]
    [False, False, True]
    """

    __slots__ = ("failures", "outcomes")

    def __init__(self, failures: int = 5, *, window_s: float = 10.0) -> None:
        if failures < 1:
            raise ValueError(f"{failures} failures open every breaker")
        self.failures, self.outcomes = failures, LastSeconds(window_s)

    def note(self, now_s: float, *, failed: bool, slow: bool) -> bool:
        self.outcomes.note(now_s, failed=failed)
        return failed and self.outcomes.tally(now_s).failed >= self.failures

    def clear(self) -> None:
        self.outcomes.clear()


class FailuresInARow:
    """Trips at so many failures without a success between them.

    >>> trip = FailuresInARow(2)
    >>> [trip.note(0.0, failed=failed, slow=False) for failed in (True, False, True, True)]
    [False, False, False, True]
    """

    __slots__ = ("_row", "failures")

    def __init__(self, failures: int = 5) -> None:
        if failures < 1:
            raise ValueError(f"{failures} failures open every breaker")
        self.failures, self._row = failures, 0

    def note(self, now_s: float, *, failed: bool, slow: bool) -> bool:
        self._row = self._row + 1 if failed else 0
        return self._row >= self.failures

    def clear(self) -> None:
        self._row = 0


class Permit(NamedTuple):
    """Leave for one call. Its outcome counts only in the turn of the breaker that it was given in."""

    turn: int
    number: int
    at_s: float


class Breaker:
    """Stands before one dependency. Ask it before a call, and tell it what became of the call.

    `open_s`: how long nothing passes before it is tried again. `probes`: how many calls then have to succeed; no more
    are under way at once. `probe_failures_max`: how many of them may fail meanwhile; at 0 one stray error keeps it open
    for another turn. `probe_s`: a probe that has not been told of for so long has failed: whoever asked may be gone.
    `slow_s`: what takes longer is slow.

    >>> breaker = Breaker(FailuresInARow(2), open_s=30, probes=1)
    >>> for _ in range(2):
    ...     breaker.tell(breaker.ask(0.0), 0.0, ok=False)
    >>> breaker.state(0.0).value, breaker.ask(29.9), breaker.retry_s(10.0)
    ('open', None, 20.0)
    >>> breaker.tell(breaker.ask(30.0), 30.1, ok=True)
    >>> breaker.state(30.1).value
    'closed'
    """

    __slots__ = (
        "_failed",
        "_number",
        "_opened_s",
        "_probes",
        "_state",
        "_succeeded",
        "_turn",
        "open_s",
        "probe_failures_max",
        "probe_s",
        "probes",
        "slow_s",
        "trip",
    )

    def __init__(
        self,
        trip: Trip | None = None,
        *,
        open_s: float = 30.0,
        probes: int = 3,
        probe_failures_max: int = 0,
        probe_s: float = 10.0,
        slow_s: float = math.inf,
    ) -> None:
        if not (open_s > 0 and probes >= 1 and probe_failures_max >= 0 and probe_s > 0 and slow_s > 0):
            raise ValueError(f"a breaker opens for a time and is tried by a probe at least: not {open_s} s, {probes}")
        self.trip = FailureShare() if trip is None else trip
        self.open_s, self.probe_s, self.slow_s = open_s, probe_s, slow_s
        self.probes, self.probe_failures_max = probes, probe_failures_max
        self._state, self._turn, self._number, self._opened_s = State.CLOSED, 0, 0, 0.0
        self._probes: dict[int, float] = {}  # under way: number → when it was let through
        self._succeeded, self._failed = 0, 0

    def state(self, now_s: float) -> State:
        """Return what a call would meet now."""
        self._look(now_s)
        return self._state

    def retry_s(self, now_s: float) -> float:
        """Return the wait before it is worth while to ask again: 0.0 where a call may pass at once."""
        self._look(now_s)
        if self._state is State.OPEN:
            return self._opened_s + self.open_s - now_s
        if self._state is State.HALF_OPEN and len(self._probes) >= self.probes - self._succeeded:
            return max(0.0, min(self._probes.values()) + self.probe_s - now_s)  # at the latest
        return 0.0

    def ask(self, now_s: float) -> Permit | None:
        """Return leave for one call, to be told of with `tell` or `drop`; None: do not call, fail at once."""
        if self._state is not State.CLOSED:  # only an open or half-open one changes with time
            self._look(now_s)
        if self._state is State.OPEN:
            return None
        self._number += 1
        permit = Permit(self._turn, self._number, now_s)
        if self._state is State.HALF_OPEN:
            if len(self._probes) >= self.probes - self._succeeded:
                return None
            self._probes[permit.number] = now_s
        return permit

    def tell(self, permit: Permit, now_s: float, *, ok: bool) -> None:
        """Tell what became of a call. What was begun in an earlier turn says nothing of this one."""
        if self._state is not State.CLOSED:
            self._look(now_s)
        if permit.turn != self._turn:
            return
        slow = now_s - permit.at_s > self.slow_s
        if self._state is State.CLOSED:
            if self.trip.note(now_s, failed=not ok, slow=slow):
                self._open(now_s)
        elif self._probes.pop(permit.number, None) is not None:
            self._probed(now_s, ok and not slow)

    def drop(self, permit: Permit) -> None:
        """Tell that a call was given up by who made it: that says nothing of who was called."""
        self._probes.pop(permit.number, None)

    def _look(self, now_s: float) -> None:
        """Let time take effect: an open breaker is to be tried, a probe that nobody told of has failed."""
        if self._state is State.OPEN and now_s - self._opened_s >= self.open_s:
            self._to(State.HALF_OPEN)
        for number, since_s in list(self._probes.items()):
            if self._state is State.HALF_OPEN and now_s - since_s > self.probe_s:
                self._probes.pop(number, None)
                self._probed(now_s, ok=False)

    def _probed(self, now_s: float, ok: bool) -> None:
        self._succeeded += ok
        self._failed += not ok
        if self._failed > self.probe_failures_max:
            self._open(now_s)
        elif self._succeeded >= self.probes:
            self._to(State.CLOSED)
            self.trip.clear()

    def _open(self, now_s: float) -> None:
        self._to(State.OPEN)
        self._opened_s = now_s

    def _to(self, state: State) -> None:
        self._state, self._turn = state, self._turn + 1
        self._probes.clear()
        self._succeeded, self._failed = 0, 0
