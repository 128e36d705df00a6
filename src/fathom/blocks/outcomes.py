"""How many of the latest calls failed or were slow: a window of outcomes that slides, by time or by number."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple, Protocol

__all__ = ["LastCalls", "LastSeconds", "Outcomes", "Tally"]


class Tally(NamedTuple):
    """Calls that ended, and how many of them failed or took too long; one may be both."""

    calls: int = 0
    failed: int = 0
    slow: int = 0

    @property
    def failed_share(self) -> float:
        """0.0 where nothing was called."""
        return self.failed / self.calls if self.calls else 0.0

    @property
    def slow_share(self) -> float:
        """0.0 where nothing was called."""
        return self.slow / self.calls if self.calls else 0.0


class Outcomes(Protocol):
    """Outcomes of the latest calls."""

    def note(self, now_s: float, *, failed: bool, slow: bool = False) -> None:
        """Note a call that ended now."""
        ...

    def tally(self, now_s: float) -> Tally:
        """Return what is within reach."""
        ...

    def clear(self) -> None:
        """Forget all of them."""
        ...


class LastCalls:
    """The last so many calls, however long ago they were.

    >>> last = LastCalls(3)
    >>> for failed in (True, False, False, True):
    ...     last.note(0.0, failed=failed)
    >>> last.tally(0.0)
    Tally(calls=3, failed=1, slow=0)
    """

    __slots__ = ("_failed", "_last", "_slow", "calls")

    def __init__(self, calls: int) -> None:
        if calls < 1:
            raise ValueError(f"a window of {calls} calls shows nothing")
        self.calls = calls
        self.clear()

    def note(self, now_s: float, *, failed: bool, slow: bool = False) -> None:
        if len(self._last) == self.calls:
            was_failed, was_slow = self._last.popleft()
            self._failed -= was_failed
            self._slow -= was_slow
        self._last.append((failed, slow))
        self._failed += failed
        self._slow += slow

    def tally(self, now_s: float) -> Tally:
        return Tally(len(self._last), self._failed, self._slow)

    def clear(self) -> None:
        self._last: deque[tuple[bool, bool]] = deque()
        self._failed, self._slow = 0, 0


class LastSeconds:
    """The calls of the last so many seconds, counted in slices: the oldest slice goes as a whole.

    So what is within reach is never older than `window_s`, and reaches back at least that less one slice. It takes
    three numbers for each slice, however many calls there are.

    >>> last = LastSeconds(10.0, slices=10)
    >>> for now_s in (0.5, 3.0, 3.0):
    ...     last.note(now_s, failed=now_s < 1)
    >>> last.tally(9.9), last.tally(10.0)
    (Tally(calls=3, failed=1, slow=0), Tally(calls=2, failed=0, slow=0))
    """

    __slots__ = ("_calls", "_failed", "_latest", "_per_s", "_slices", "_slow", "slices", "window_s")

    def __init__(self, window_s: float, slices: int = 10) -> None:
        if not (0 < window_s < math.inf and slices >= 1):
            raise ValueError(f"a window is a time and has slices, not {window_s} s in {slices}")
        self.window_s, self.slices, self._per_s = window_s, slices, slices / window_s
        self.clear()

    def note(self, now_s: float, *, failed: bool, slow: bool = False) -> None:
        if math.floor(now_s * self._per_s + 1e-9) != self._latest:
            self._pass(now_s)
        latest = self._slices[-1]
        latest[0] += 1
        latest[1] += failed
        latest[2] += slow
        self._calls += 1
        self._failed += failed
        self._slow += slow

    def tally(self, now_s: float) -> Tally:
        self._pass(now_s)
        return Tally(self._calls, self._failed, self._slow)

    def clear(self) -> None:
        self._slices: deque[list[int]] = deque([0, 0, 0] for _ in range(self.slices))
        self._latest: int | None = None  # number of the latest slice; a clock that steps back stays in it
        self._calls, self._failed, self._slow = 0, 0, 0

    def _pass(self, now_s: float) -> None:
        number = math.floor(now_s * self._per_s + 1e-9)
        if self._latest is None:
            self._latest = number
        for _ in range(min(number - self._latest, self.slices)):
            calls, failed, slow = self._slices.popleft()
            self._slices.append([0, 0, 0])
            self._calls -= calls
            self._failed -= failed
            self._slow -= slow
        self._latest = max(self._latest, number)
