"""What may be said of numbers that vary: supported quantiles, exact sign-flip intervals, max-T, and silence.

Nothing here assumes a distribution. Requests of one segment are not independent, so the unit of a comparison is the
block; the blocks' log-ratios are flipped in all 2^n ways (Fisher's randomisation), and the interval is the set of
ratios that those flips do not reject. With fewer than six blocks there is no 95 % interval, and none is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "ALPHA",
    "BLOCKS_MAX",
    "BLOCKS_MIN",
    "Interval",
    "Verdict",
    "blocks_needed",
    "clopper_pearson",
    "equal_or_range",
    "flagged",
    "judge",
    "mad",
    "margin",
    "max_t",
    "nearest_rank",
    "quantile",
    "quantile_bounds",
    "quantile_interval",
    "ratio_of",
    "samples_needed",
    "sign_flip_interval",
    "sign_flip_p",
    "spread",
]

Array = npt.NDArray[Any]

ALPHA = 0.05
BLOCKS_MIN = 6  # 2 / 2^5 > 5 %: five blocks can reject nothing
BLOCKS_MAX = 20  # all 2^n flips are looked at: a million of them is enough
TAIL = 10  # samples that must lie beyond a quantile before it is called one
FLAG = 3.5  # modified z above which a block is looked at (Iglewicz and Hoaglin)


class Verdict(StrEnum):
    """What a comparison says; lower is better for everything that is measured."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    CANT_TELL = "can't tell"


@dataclass(frozen=True)
class Interval:
    """A number with the range that the data do not exclude, and how sure that is."""

    value: float
    low: float
    high: float
    level: float = 1 - ALPHA

    def scaled(self, by: float) -> Interval:
        ends = sorted((self.low * by, self.high * by))
        return Interval(self.value * by, ends[0], ends[1], self.level)

    def meets(self, low: float, high: float) -> bool:
        """Whether it says something, being above nothing and not without end, and that includes some of a range."""
        return 0 < self.low <= high and low <= self.high < math.inf

    def __add__(self, other: Interval) -> Interval:
        level = min(self.level, other.level)
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high, level)


# Quantiles -----------------------------------------------------------------------------------------------------------


def samples_needed(q: float) -> int:
    """Return how many samples a quantile needs so that ten lie beyond it.

    >>> samples_needed(0.99), samples_needed(0.5)
    (1000, 20)
    """
    return math.ceil(round(TAIL / (1 - q), 6))


def nearest_rank(sorted_values: Sequence[Any] | Array, q: float) -> float:
    """Return the smallest value that at least a share q of the values does not exceed."""
    return float(sorted_values[max(0, math.ceil(round(q * len(sorted_values), 9)) - 1)])


def quantile(values: Sequence[float] | Array, q: float) -> float | None:
    """Return the quantile by nearest rank on raw samples, or None where too few samples support it."""
    if len(values) < samples_needed(q):
        return None
    return nearest_rank(np.sort(np.asarray(values)), q)


def quantile_interval(values: Sequence[float] | Array, q: float, level: float = 1 - ALPHA) -> Interval | None:
    """Return a supported quantile with the order statistics around it that hold it with at least this level.

    Exact for independent samples; those of one segment are not, so it judges goals and is never a comparison.
    """
    return quantile_bounds(values, q, level) if len(values) >= samples_needed(q) else None


def quantile_bounds(values: Sequence[float] | Array, q: float, level: float = 1 - ALPHA) -> Interval:
    """Return the order statistics that hold a quantile, however few the samples are (at least one).

    Their ends are true for any number of samples, the value between them is not worth printing: forty samples that all
    took less than a second show that nine tenths do (0.9^40 is 1.5 %), and not what the slowest tenth takes.
    """
    n = len(values)
    ordered = np.sort(np.asarray(values))
    # ranks j < k with P(j <= Binomial(n, q) < k) >= level, found by walking the binomial's tails
    below = _binomial_cdf(n, q)
    tail = (1 - level) / 2
    low = int(np.searchsorted(below, tail, side="right"))  # P(X < low) = below[low - 1] <= tail
    high = int(np.searchsorted(below, 1 - tail, side="left")) + 1  # P(X >= high) = 1 - below[high - 1] <= tail
    least = float(ordered[low - 1]) if low else 0.0
    greatest = float(ordered[high - 1]) if high <= n else math.inf
    return Interval(nearest_rank(ordered, q), least, greatest, level)


def _binomial_cdf(n: int, q: float) -> Array:
    """P(X <= k) for k = 0 … n, by logarithms so that nothing underflows."""
    k = np.arange(1, n + 1, dtype=float)
    log_choose = np.concatenate(([0.0], np.cumsum(np.log((n - k + 1) / k))))
    k = np.arange(n + 1, dtype=float)
    return np.cumsum(np.exp(log_choose + k * math.log(q) + (n - k) * math.log1p(-q)))


# How often -----------------------------------------------------------------------------------------------------------


def clopper_pearson(k: int, n: int, level: float = 1 - ALPHA) -> Interval:
    """Return a share of `n` tries with the exact range of its probability (Clopper and Pearson, 1934).

    Its ends are where so few, or so many, would come of it with half of what the level leaves: no probability outside
    is believed, however few the tries are. Found by halving on the binomial's tail.

    >>> round(clopper_pearson(0, 300).high, 4)
    0.0122
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if not n:
        return Interval(math.nan, 0.0, 1.0, level)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else _halved(lambda p: 1 - float(_binomial_cdf(n, p)[k - 1]) < tail)
    high = 1.0 if k == n else _halved(lambda p: float(_binomial_cdf(n, p)[k]) > tail)
    return Interval(k / n, low, high, level)


def _halved(below: Callable[[float], bool]) -> float:
    """Return where in (0, 1) something stops being true."""
    low, high = 0.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if below(middle) else (low, middle)
    return low


# Spread of a few repetitions -----------------------------------------------------------------------------------------


def spread(values: Sequence[float]) -> Interval:
    """Return the median of a few repetitions between the order statistics that hold it.

    From six on, the widest pair that is needed for 95 %; below that the whole range, whose level is 1 − 2^(1−n):
    three slices hold their median with 75 %, and the record says that it is the range of three.

    >>> spread([3.0, 1.0, 2.0])
    Interval(value=2.0, low=1.0, high=3.0, level=0.75)
    """
    ordered = sorted(values)
    n = len(ordered)
    if not n:
        return Interval(math.nan, math.nan, math.nan, 0.0)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    cut, level = 0, 1 - 2.0 ** (1 - n)
    outside = 2.0 ** (1 - n)  # the share of the median's chances that lies outside the whole range
    for deeper in range(1, (n - 1) // 2 + 1):
        outside += 2.0 ** (1 - n) * math.comb(n, deeper)
        if outside > ALPHA:
            break
        cut, level = deeper, 1 - outside
    return Interval(middle, ordered[cut], ordered[n - 1 - cut], level)


def equal_or_range(values: Sequence[float]) -> tuple[bool, float, float]:
    """Return whether counts of several repetitions are all the same, and their least and greatest."""
    return min(values) == max(values), min(values), max(values)


# Blocks --------------------------------------------------------------------------------------------------------------


def _subset_sums(values: Array) -> Array:
    """The sums over all 2^n subsets, the empty one first."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate((sums, sums + value))
    return sums


def _check_blocks(n: int) -> None:
    if n > BLOCKS_MAX:
        raise ValueError(f"{n} blocks: all 2^n flips are looked at, so at most {BLOCKS_MAX}")


def sign_flip_p(log_ratios: Sequence[float] | Array) -> float:
    """Return the exact two-sided p that the blocks' log-ratios are centred on nothing."""
    values = np.asarray(log_ratios, dtype=float)
    _check_blocks(len(values))
    total = float(values.sum())
    flipped = total - 2 * _subset_sums(values)  # the sum after flipping each subset
    slack = 1e-12 * float(np.abs(values).sum())
    return float(np.mean(np.abs(flipped) >= abs(total) - slack))


def sign_flip_interval(log_ratios: Sequence[float] | Array, alpha: float = ALPHA) -> Interval | None:
    """Return the mean log-ratio and every shift that the sign-flip test does not reject, or None below six blocks.

    Flipping a subset S lowers the sum around θ unless mean(S) > θ, so the one-sided p of θ is the share of subset
    means up to θ (the empty subset counts): the ends are order statistics of the 2^n − 1 subset means.
    """
    values = np.asarray(log_ratios, dtype=float)
    n = len(values)
    _check_blocks(n)
    beyond = math.floor(round(alpha / 2 * 2**n, 9))  # subsets (with the empty one) that may lie beyond an end
    if beyond < 1:
        return None
    means = np.sort(_subset_sums(values)[1:] / _subset_sums(np.ones(n))[1:])
    return Interval(float(values.mean()), float(means[beyond - 1]), float(means[-beyond]), 1 - alpha)


def max_t(columns: Array) -> Array:
    """Return family-wise adjusted p-values of several measures: step-down max-T (Westfall and Young).

    `columns` has a row per block and a column per measure. Whole blocks are flipped, so that measures which move
    together are not paid for twice. Flips leave a column's sum of squares alone, hence |sum| / root of squares orders
    the flips as Student's t does.
    """
    data = np.asarray(columns, dtype=float)
    blocks, measures = data.shape
    _check_blocks(blocks)
    length = np.sqrt((data**2).sum(axis=0))
    scaled = np.divide(data, length, out=np.zeros_like(data), where=length > 0)
    sums = np.zeros((1, measures))
    for row in scaled:
        sums = np.concatenate((sums, sums + row))
    flips = np.abs(scaled.sum(axis=0) - 2 * sums)
    seen = flips[0]  # nothing flipped
    order = np.argsort(-seen, kind="stable")
    adjusted = np.ones(measures)
    largest = np.maximum.accumulate(flips[:, order[::-1]], axis=1)[:, ::-1]  # max over this and all weaker measures
    so_far = 0.0
    for place, measure in enumerate(order):
        so_far = max(so_far, float(np.mean(largest[:, place] >= seen[measure] - 1e-12)))
        adjusted[measure] = so_far
    return adjusted


def mad(values: Sequence[float] | Array) -> float:
    """Return the median distance from the median."""
    array = np.asarray(values, dtype=float)
    return float(np.median(np.abs(array - np.median(array)))) if len(array) else 0.0


def flagged(values: Sequence[float] | Array) -> list[int]:
    """Return the places of blocks whose modified z exceeds 3.5: worth a look, never dropped for that alone."""
    array = np.asarray(values, dtype=float)
    scale = mad(array)
    if scale == 0:
        return []
    return [int(at) for at in np.nonzero(np.abs(0.6745 * (array - np.median(array)) / scale) > FLAG)[0]]


def margin(twin_log_ratios: Sequence[float] | Array, floor: float) -> float:
    """Return delta as a log-ratio: what is material (`floor`, a share), or twice the twins' own MAD if larger."""
    return max(math.log1p(floor), 2 * mad(twin_log_ratios))


def judge(interval: Interval | None, p: float, delta: float) -> Verdict:
    """Return what a log-ratio says: a winner only if both p and the whole interval do; equal only if all of it is."""
    if interval is None:
        return Verdict.CANT_TELL
    if p <= ALPHA and interval.high < -delta:
        return Verdict.BETTER
    if p <= ALPHA and interval.low > delta:
        return Verdict.WORSE
    if -delta < interval.low and interval.high < delta:
        return Verdict.EQUIVALENT
    return Verdict.CANT_TELL


def blocks_needed(interval: Interval | None, n: int, delta: float) -> int | None:
    """Return about how many blocks would tell, as far as these ones show; None where the truth sits on the margin.

    An interval narrows with the root of its blocks, and it has to come clear of the margin that it lies across.
    """
    if interval is None:
        return BLOCKS_MIN
    middle = interval.value
    gap = min(abs(middle - delta), abs(middle + delta))
    inside = -delta < middle < delta
    reach = max(middle - interval.low, interval.high - middle) if inside else _inward(interval)
    if gap * 15 < reach:  # over 200 times as many
        return None
    return max(n + 1, math.ceil(n * (reach / gap) ** 2))


def _inward(interval: Interval) -> float:
    """How far an interval reaches from its middle towards nothing."""
    return interval.value - interval.low if interval.value > 0 else interval.high - interval.value


def ratio_of(top: Interval, bottom: Interval) -> Interval:
    """Return top over bottom at their worst and best: wider than needed, never too narrow."""
    level = min(top.level, bottom.level)
    if bottom.low <= 0:
        value = top.value / bottom.value if bottom.value > 0 else math.inf
        return Interval(value, top.low / bottom.high if bottom.high > 0 else math.inf, math.inf, level)
    return Interval(top.value / bottom.value, top.low / bottom.high, top.high / bottom.low, level)
