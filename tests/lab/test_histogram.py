"""Histograms: as exact as they say, and merging is the same as counting together."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from fathom.lab.histogram import RELATIVE_ERROR, Histogram

numbers = some.one_of(
    some.integers(0, 5_000),
    some.integers(0, 2**63 - 1),
    some.integers(0, 62).map(lambda power: 2**power - 1),
    some.sampled_from((0, 1, 1_023, 1_024, 2_047, 2_048, 2**53 + 1, 2**63 - 1)),
)
several = some.lists(numbers, min_size=1, max_size=200)
shares = some.floats(0, 1)


def exact(values: list[int], q: float) -> int:
    return sorted(values)[min(max(math.ceil(q * len(values)), 1), len(values)) - 1]


@pytest.mark.slow
@given(several, shares)
def test_a_quantile_is_off_by_less_than_half_a_thousandth(values, q):
    found, true = Histogram.of(values).quantile(q), exact(values, q)
    rounded = 2 if true >= 2**53 else 0  # ns: a double does not hold every whole number beyond 104 days
    assert abs(found - true) <= RELATIVE_ERROR * true + rounded
    assert RELATIVE_ERROR < 0.0005


@pytest.mark.slow
@given(some.lists(some.integers(0, 2_047), min_size=1), shares)
def test_small_numbers_are_exact(values, q):
    assert Histogram.of(values).quantile(q) == exact(values, q)


@pytest.mark.slow
@given(several)
def test_the_ends_are_exact(values):
    histogram = Histogram.of(values)
    assert (histogram.lowest, histogram.highest, len(histogram)) == (min(values), max(values), len(values))
    assert histogram.lowest <= histogram.quantile(0) <= histogram.quantile(1) <= histogram.highest


@pytest.mark.slow
@given(some.lists(some.lists(numbers, max_size=50), max_size=5))
def test_merging_is_the_same_as_counting_together(parts):
    merged = Histogram.merged(Histogram.of(part) for part in parts)
    assert merged == Histogram.of([value for part in parts for value in part])


@pytest.mark.slow
@given(several)
def test_it_comes_back_from_json_as_it_was(values):
    histogram = Histogram.of(values)
    assert Histogram.from_dict(json.loads(json.dumps(histogram.as_dict()))) == histogram


def test_it_tells_how_many_lie_above():
    histogram = Histogram.of(np.arange(1, 1_001) * 1_000_000)
    assert histogram.above(100_000_000) == pytest.approx(900, abs=1)


def test_what_it_cannot_count_is_refused():
    with pytest.raises(ValueError, match="no negative numbers: -1"):
        Histogram.of([3, -1])
    with pytest.raises(ValueError, match="empty"):
        Histogram().quantile(0.5)
