"""How a swept value is distributed over the operations of a target: a power law with an end, or shares as counted.

A mean will not do: of two networks with 403 followers a post, in one a tenth of all deliveries may come from stars,
in the other a half. Costs are straight lines between measured values, so all that is asked of a distribution is how
much of it lies between two values, and the sum there: both are exact here.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from fathom.errors import FathomError

__all__ = ["Degrees", "Pareto", "Shares"]

Array = npt.NDArray[np.float64]
HALVINGS = 60  # of the logarithm of the least value: far beyond what a double can tell apart


class Pareto(msgspec.Struct, frozen=True, kw_only=True, tag="pareto"):
    """A power law from some least value to `most`, its mean known and the exponent of its tail between two.

    P(more than x) falls like x^-tail. The least value follows from the mean. An exponent that nobody knows is an
    interval: it is drawn, and what hangs from it is seen.
    """

    mean: float
    most: float
    tail: tuple[float, float]
    source: str = ""

    def __post_init__(self) -> None:
        if not (0 < self.mean < self.most < math.inf and 0 < self.tail[0] <= self.tail[1] < math.inf):
            raise FathomError(
                f"Pareto(mean={self.mean:g}, most={self.most:g}, tail={self.tail}) is no distribution",
                why="its mean lies between nothing and the most, and its tail's exponent from a lower to a higher one",
                fix="write for example: Pareto(mean=403, most=22e6, tail=(1.1, 1.5))",
            )

    def least(self, tail: Array) -> Array:
        """Return from which value each of these tails begins, so that the mean is what it is."""
        low, high = np.full_like(tail, math.log(self.mean) - 50), np.full_like(tail, math.log(self.most))
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            start = np.exp(middle)
            over = _integral(1 - tail, start, self.most) > self.mean * _integral(-tail, start, self.most)
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        return np.exp((low + high) / 2)

    def pieces(self, edges: Array, tail: Array) -> tuple[Array, Array]:
        """Return of every piece between two edges the share of the operations, and the sum of their values."""
        start = self.least(tail)[:, None]
        ends = np.clip(edges[None, :], start, self.most)
        a = tail[:, None]
        whole = _integral(-a, start, self.most)
        low, high = ends[:, :-1], ends[:, 1:]
        return _integral(-a, low, high) / whole, _integral(1 - a, low, high) / whole


def _integral(k: Any, low: Any, high: Any) -> Any:
    """The integral of x^(k-1) from low to high; where k is nothing it is a logarithm."""
    logs = np.log(high / low)
    small = np.abs(k) < 1e-12
    safe = np.where(small, 1.0, k)
    return np.where(small, logs, low**safe * np.expm1(safe * logs) / safe)


class Shares(msgspec.Struct, frozen=True, kw_only=True, tag="shares"):
    """Values and how many operations have each, as counted somewhere: shares or counts, they are put in proportion."""

    counted: tuple[tuple[float, float], ...]
    source: str = ""

    def __post_init__(self) -> None:
        good = all(value >= 0 and share >= 0 and math.isfinite(value + share) for value, share in self.counted)
        if not good or not sum(share for _, share in self.counted) > 0:
            raise FathomError(
                "Shares(counted=…) is no distribution",
                why="it is pairs of a value and how many have it, none below zero, and some above",
                fix="write for example: Shares(counted=((10, 0.9), (1_000, 0.1)))",
            )

    @property
    def tail(self) -> tuple[float, float] | None:
        return None

    @property
    def most(self) -> float:
        return max(value for value, share in self.counted if share > 0)

    @property
    def mean(self) -> float:
        return sum(v * s for v, s in self.counted) / sum(s for _, s in self.counted)

    def pieces(self, edges: Array, tail: Array) -> tuple[Array, Array]:
        """Return of every piece between two edges the share of the operations, and the sum of their values."""
        values, shares = (np.array(column, dtype=float) for column in zip(*self.counted, strict=True))
        shares = shares / shares.sum()
        place = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        mass, first = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
        np.add.at(mass, place, shares)
        np.add.at(first, place, shares * values)
        rows = (len(tail), 1)
        return np.tile(mass, rows), np.tile(first, rows)


Degrees = Pareto | Shares
