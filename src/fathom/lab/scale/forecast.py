"""What higher rates make of a system that was measured at low ones: how busy it will be, and from where it is full.

The utilisation law U = X · D (Denning and Buzen 1978) with a D that is not quite one number: who is busy wakes up less
often for each request, so the first requests cost more than the last. A straight line U = u + X · D through two or
more low rates sees that, a line through nothing does not. Its 90 % prediction interval is that of ordinary least
squares by Student's t; four times the highest rate and ten times the state are as far as it is believed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

from fathom.errors import FathomError
from fathom.lab.stats import Interval

__all__ = ["LEVEL", "RATES_MOST", "STATE_MOST", "Line", "refuse"]

STATE_MOST, RATES_MOST = 10.0, 4.0
LEVEL = 0.9
_T90 = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812)  # by degrees of freedom, two-sided
_T90_MANY = 1.645 * 1.1  # above ten: a little more than the normal distribution's
_NORMAL90 = 1.645
FAR = 1e6  # no factor of a load is looked for beyond


@dataclass(frozen=True)
class Line:
    """A straight line through measured points, and how far from it the next one may lie."""

    start: float
    slope: float
    n: int
    middle: float  # mean of the x
    most: float  # the largest of them
    width: float  # sum of the squared distances from it
    noise: float  # standard deviation around the line; infinite where two points are all there is

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> Line | None:
        """Fit by least squares; None where all lie above one x."""
        n = len(points)
        if len({x for x, _ in points}) < 2:
            return None
        middle, height = fsum(x for x, _ in points) / n, fsum(y for _, y in points) / n
        width = fsum((x - middle) ** 2 for x, _ in points)
        slope = fsum((x - middle) * (y - height) for x, y in points) / width
        start = height - slope * middle
        off = fsum((y - start - slope * x) ** 2 for x, y in points)
        noise = math.sqrt(off / (n - 2)) if n > 2 else math.inf
        return cls(start, slope, n, middle, max(x for x, _ in points), width, noise)

    def at(self, x: float) -> Interval:
        """Return what is to be expected there, and where a single measurement will lie."""
        value, half = self.start + self.slope * x, self._half(x)
        return Interval(value, max(0.0, value - half), value + half, LEVEL)

    def reaches(self, y: float, bend: float = 0.0) -> Interval:
        """Return the x at which a height is reached, and between which it is by the interval; open where never.

        Beyond all that was measured the slope may be another one: `bend` is the standard deviation of that, as a share.
        """
        value = (y - self.start) / self.slope if self.slope > 0 else math.inf
        return Interval(value, self._first(y, 1.0, bend), self._first(y, -1.0, bend), LEVEL)

    def _half(self, x: float, bend: float = 0.0) -> float:
        if math.isinf(self.noise):
            return math.inf
        dof = self.n - 2
        t = _T90[dof - 1] if dof <= len(_T90) else _T90_MANY
        scatter = t * self.noise * math.sqrt(1 + 1 / self.n + (x - self.middle) ** 2 / self.width)
        return math.hypot(scatter, _NORMAL90 * bend * self.slope * max(0.0, x - self.most))

    def _first(self, y: float, side: float, bend: float) -> float:
        """Return where the upper (1) or the lower (-1) end of the interval comes to this height for the first time."""

        def above(x: float) -> bool:
            return self.start + self.slope * x + side * self._half(x, bend) >= y

        if math.isinf(self.noise):
            return 0.0 if side > 0 else math.inf
        low, high = self.middle, self.middle * 2
        if above(low):
            return 0.0
        while not above(high):
            low, high = high, high * 2
            if high > FAR * self.middle:
                return math.inf
        for _ in range(60):
            half = (low + high) / 2
            low, high = (low, half) if above(half) else (half, high)
        return (low + high) / 2


def refuse(*, faster: float, times: float) -> None:
    """Raise for what lies too far from what was measured: so many times the rates, so many times the state."""
    if not 0 < times <= STATE_MOST:
        raise FathomError(
            f"nothing is foretold for {times:g} times the state that was measured",
            why=f"demands change with state (caches miss, trees grow); a forecast reaches {STATE_MOST:g} times as far",
            fix="measure with more state, or ask for less",
        )
    if not 0 < faster <= RATES_MOST:
        raise FathomError(
            f"nothing is foretold for {faster:g} times the rates that were measured",
            why=f"other things become the bottleneck far out; a forecast reaches {RATES_MOST:g} times as far",
            fix=f"measure at higher rates, or ask for at most {RATES_MOST:g} times as much",
        )
