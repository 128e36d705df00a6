"""Where the numbers of a draw come from: all thrown, or all held still but for one, to see what that one does."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from statistics import NormalDist
from typing import Protocol

import numpy as np

from fathom.lab.scale.degrees import Array
from fathom.lab.stats import Interval

__all__ = ["HIGH", "LEVEL", "LOW", "Dice", "Held", "Thrown", "between", "of_interval", "ranged", "scores"]

LEVEL = 0.9  # nine draws of ten lie between the ends that are printed
LOW, HIGH = (1 - LEVEL) / 2, (1 + LEVEL) / 2
_NORMAL = NormalDist()
_SURE = 0.999  # an interval that claims more is taken to claim this


class Dice(Protocol):
    """One number between 0 and 1 per draw, for everything that is uncertain and has a name."""

    def share(self, label: str, key: str = "") -> Array: ...


class Thrown:
    """Thrown by seed. Two things of one name get the same throws, so that approaches are compared draw by draw."""

    def __init__(self, seed: int, draws: int) -> None:
        self.seed, self.draws = seed, draws
        self.labels: dict[str, None] = {}  # all that was uncertain, in the order of asking

    def share(self, label: str, key: str = "") -> Array:
        self.labels[label] = None
        name = zlib.crc32(f"{label}/{key}".encode())
        return np.random.default_rng([self.seed, name]).random(self.draws)


class Held:
    """Everything in its middle; then, draw by draw, one label after the other alone at its low and at its high end."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._place = {label: 1 + 2 * at for at, label in enumerate(labels)}

    def share(self, label: str, key: str = "") -> Array:
        shares = np.full(1 + 2 * len(self._place), 0.5)
        at = self._place[label]
        shares[at : at + 2] = LOW, HIGH
        return shares

    def ends(self, label: str, drawn: Array) -> tuple[float, float]:
        """Return what came of this label's low and of its high end."""
        at = self._place[label]
        return float(drawn[at]), float(drawn[at + 1])


def between(shares: Array, low: float, high: float) -> Array:
    """Return values that are as likely anywhere from low to high."""
    return low + shares * (high - low)


def scores(shares: Array) -> Array:
    """Return how many standard deviations of a normal distribution lie below each share."""
    clipped = np.clip(shares, 1e-12, 1 - 1e-12)
    return np.fromiter((_NORMAL.inv_cdf(float(share)) for share in clipped), dtype=float, count=len(shares))


def of_interval(score: Array, interval: Interval) -> Array:
    """Return values whose middle and ends are those of an interval: half a normal distribution to either side."""
    reach = _NORMAL.inv_cdf((1 + min(interval.level, _SURE)) / 2)
    sides = np.where(score > 0, interval.high - interval.value, interval.value - interval.low)
    return np.maximum(0.0, interval.value + score / reach * sides)


def ranged(least: Array, likely: Array, most: Array) -> Interval:
    """Return the median of what is likely, and the ends that the bounds do not leave: values that were drawn."""
    value, low, high = (
        float(np.quantile(drawn, q, method="inverted_cdf")) for drawn, q in ((likely, 0.5), (least, LOW), (most, HIGH))
    )
    return Interval(value, low, high, LEVEL)
