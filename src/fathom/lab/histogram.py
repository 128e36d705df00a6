"""A histogram with three significant digits at every scale: merged, never averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

__all__ = ["RELATIVE_ERROR", "Histogram"]

# A float's own bits are the buckets: exponent and the first ten bits of the fraction, so 1,024 to every doubling.
_DROPPED = 52 - 10
RELATIVE_ERROR = 2.0**-11  # half a bucket, for all but the whole numbers below 2,048, which are exact


class Histogram:
    """Counts of whole numbers from 0 to 2^63 - 1 (nanoseconds, bytes) in buckets at most 0.1 % wide.

    >>> seconds = Histogram.of([1_000_000_000, 2_000_000_000, 3_000_000_000])
    >>> len(seconds), round(seconds.quantile(0.5) / 1e9, 2)
    (3, 2.0)
    """

    def __init__(self) -> None:
        self._buckets = np.empty(0, np.int64)  # those that hold something, ascending
        self._counts = np.empty(0, np.int64)
        self.lowest, self.highest = 0, 0  # exact; 0 while it is empty

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Histogram:
        """Return the histogram of some values."""
        numbers = np.asarray(values, np.int64)
        histogram = cls()
        if numbers.size == 0:
            return histogram
        if numbers.min() < 0:
            raise ValueError(f"a histogram counts no negative numbers: {numbers.min()}")
        buckets = numbers.astype(np.float64).view(np.int64) >> _DROPPED
        histogram._buckets, histogram._counts = np.unique(buckets, return_counts=True)
        histogram.lowest, histogram.highest = int(numbers.min()), int(numbers.max())
        return histogram

    @classmethod
    def merged(cls, histograms: Iterable[Histogram]) -> Histogram:
        """Return what one histogram of all their values would be."""
        parts = [each for each in histograms if len(each)]
        whole = cls()
        if not parts:
            return whole
        whole._buckets, places = np.unique(np.concatenate([part._buckets for part in parts]), return_inverse=True)
        whole._counts = np.zeros(len(whole._buckets), np.int64)
        np.add.at(whole._counts, places, np.concatenate([part._counts for part in parts]))
        whole.lowest, whole.highest = min(p.lowest for p in parts), max(p.highest for p in parts)
        return whole

    def __len__(self) -> int:
        return int(self._counts.sum())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.as_dict() == other.as_dict()

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def quantile(self, q: float) -> int:
        """Return the value below or at which a share `q` lies (nearest rank), at most RELATIVE_ERROR off."""
        if not len(self):
            raise ValueError("an empty histogram has no quantiles")
        rank = min(max(math.ceil(q * len(self)), 1), len(self))
        bucket = int(self._buckets[np.searchsorted(np.cumsum(self._counts), rank)])
        low, high = map(float, np.array([bucket << _DROPPED, (bucket + 1) << _DROPPED]).view(np.float64))
        whole = math.ceil(low)  # whole numbers are counted: below 2,048 a bucket holds only one of them
        middle = whole if whole + 1 >= high else round((low + high) / 2)
        return min(max(middle, self.lowest), self.highest)

    def above(self, value: int) -> int:
        """Return how many lie above `value`, to within the bucket that it falls in."""
        return int(self._counts[self._buckets > _bucket(value)].sum())

    def as_dict(self) -> dict[str, list[int]]:
        """Return it as plain lists for JSON: bucket numbers, counts, and the exact ends."""
        return {
            "buckets": self._buckets.tolist(),
            "counts": self._counts.tolist(),
            "ends": [self.lowest, self.highest],
        }

    @classmethod
    def from_dict(cls, plain: dict[str, list[int]]) -> Histogram:
        """Return what `as_dict` was made from."""
        histogram = cls()
        histogram._buckets = np.array(plain["buckets"], np.int64)
        histogram._counts = np.array(plain["counts"], np.int64)
        histogram.lowest, histogram.highest = plain["ends"]
        return histogram


def _bucket(value: int) -> int:
    return int(np.array([value], np.float64).view(np.int64)[0] >> _DROPPED)
