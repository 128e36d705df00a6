"""Whether a node that is silent has failed: by how improbable its silence is, or by a fixed time.

`PhiAccrual` is Hayashibara, Défago, Yared and Katayama, *The φ Accrual Failure Detector* (2004): phi is minus the
decimal logarithm of the probability that a heartbeat which comes at all comes this late, if intervals are normally
distributed as the last ones were. At a threshold of 8 it is wrong once in 10^8 heartbeats, as far as they are. A floor
of the deviation and an acceptable pause allow for what they are not.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

__all__ = ["Detector", "FixedTimeout", "PhiAccrual", "phi_of"]

_LN10 = math.log(10)
_ROOT2 = math.sqrt(2)
_FAR = 5.0  # deviations over the root of two, from where on the logarithm is of the tail's asymptote


class Detector(Protocol):
    """Judges one node by when it was heard of; times are milliseconds of the observer's monotonic clock."""

    def heard(self, now_ms: int) -> None:
        """Note that the node gave a sign of life."""
        ...

    def suspicion(self, now_ms: int) -> float:
        """Return how suspicious its silence is: from 0, never less while it lasts."""
        ...

    def suspects(self, now_ms: int) -> bool:
        """Whether that is enough to call it suspect."""
        ...


class FixedTimeout:
    """Suspects whoever was silent for longer than so many milliseconds.

    >>> detector = FixedTimeout(0, timeout_ms=1_000)
    >>> detector.suspects(1_000), detector.suspects(1_001), detector.suspicion(500)
    (False, True, 0.5)
    """

    __slots__ = ("_last_ms", "timeout_ms")

    def __init__(self, now_ms: int, *, timeout_ms: int = 1_000) -> None:
        if timeout_ms < 1:
            raise ValueError(f"a timeout of {timeout_ms} ms suspects everybody")
        self.timeout_ms, self._last_ms = timeout_ms, now_ms

    def heard(self, now_ms: int) -> None:
        self._last_ms = max(self._last_ms, now_ms)

    def suspicion(self, now_ms: int) -> float:
        return max(0, now_ms - self._last_ms) / self.timeout_ms

    def suspects(self, now_ms: int) -> bool:
        return now_ms - self._last_ms > self.timeout_ms


class PhiAccrual:
    """Suspects whoever is silent for longer than is likely for it.

    `interval_ms`: the interval that is expected before any is known; `window`: how many of the last are remembered.
    `pause_ms` is added to what is usual: nobody is suspected within it. An interval that had led to suspicion is not
    remembered: it tells of a failure, not of heartbeats.

    >>> detector = PhiAccrual(0, interval_ms=100)
    >>> for now_ms in range(100, 2_001, 100):
    ...     detector.heard(now_ms)
    >>> [round(detector.suspicion(2_000 + silence_ms), 1) for silence_ms in (0, 100, 150, 200, 300)]
    [0.0, 0.3, 1.6, 4.5, 15.2]
    >>> detector.suspects(2_200), detector.suspects(2_300)
    (False, True)
    """

    __slots__ = ("_intervals", "_last_ms", "_squares", "_sum", "deviation_ms_min", "pause_ms", "threshold")

    def __init__(
        self,
        now_ms: int,
        *,
        interval_ms: int = 200,
        threshold: float = 8.0,
        window: int = 100,
        deviation_ms_min: float = 25.0,
        pause_ms: int = 0,
    ) -> None:
        if interval_ms < 1 or window < 1 or pause_ms < 0:
            raise ValueError(f"an interval of {interval_ms} ms, a window of {window}, a pause of {pause_ms} ms")
        if not (threshold > 0.5 and deviation_ms_min > 0):  # half of all heartbeats come later than usual: phi 0.3
            raise ValueError(f"a threshold of {threshold} and a deviation of {deviation_ms_min} ms suspect everybody")
        self.threshold, self.deviation_ms_min, self.pause_ms = threshold, deviation_ms_min, pause_ms
        self._intervals = deque[int](maxlen=window)
        self._sum = self._squares = 0  # whole numbers, so that they do not drift
        self._last_ms = now_ms
        # As if two had been seen, a fourth less and a fourth more than expected.
        for interval in (interval_ms - interval_ms // 4, interval_ms + interval_ms // 4)[-window:]:
            self._remember(interval)

    def heard(self, now_ms: int) -> None:
        if now_ms < self._last_ms:
            return
        if not self.suspects(now_ms):
            self._remember(now_ms - self._last_ms)
        self._last_ms = now_ms

    def suspicion(self, now_ms: int) -> float:
        silence_ms = now_ms - self._last_ms
        if silence_ms <= 0:
            return 0.0
        mean_ms, deviation_ms = self.usual()
        return phi_of((silence_ms - mean_ms - self.pause_ms) / deviation_ms)

    def suspects(self, now_ms: int) -> bool:
        return self.suspicion(now_ms) > self.threshold

    def usual(self) -> tuple[float, float]:
        """Return the mean and the deviation of the intervals remembered, in milliseconds."""
        count = len(self._intervals)
        variance = (count * self._squares - self._sum * self._sum) / (count * count)
        return self._sum / count, max(self.deviation_ms_min, math.sqrt(variance))

    def _remember(self, interval_ms: int) -> None:
        if len(self._intervals) == self._intervals.maxlen:
            oldest = self._intervals[0]
            self._sum -= oldest
            self._squares -= oldest * oldest
        self._intervals.append(interval_ms)
        self._sum += interval_ms
        self._squares += interval_ms * interval_ms


def phi_of(deviations: float) -> float:
    """Return minus the decimal logarithm of how probable it is to be later than so many deviations after the mean.

    >>> [round(phi_of(deviations), 2) for deviations in (-40, 0, 1.2816, 5.6, 1_000)]
    [0.0, 0.3, 1.0, 7.97, 217150.64]
    """
    if deviations <= _FAR * _ROOT2:
        return -math.log10(math.erfc(deviations / _ROOT2) / 2) + 0.0
    # Farther out the probability is too small for a float, but its logarithm is not (Laplace's asymptote, one term of
    # the series more than needed so that it lies above the exact one at the seam: phi never falls).
    x = deviations / _ROOT2
    return (x * x + math.log(2 * x * math.sqrt(math.pi)) - math.log1p(-1 / (2 * x * x))) / _LN10
