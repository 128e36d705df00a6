"""Which intervals hold a place is what looking at each of them finds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.intervals import Held, holders

ENDS = st.one_of(st.integers(0, 8), st.sampled_from([-math.inf, math.inf]))


def test_a_place_is_held_from_the_low_end_and_not_at_the_high_one():
    assert holders([1, 2, 3], [(1, 3)], most=9) == {1: Held(1, (0,)), 2: Held(1, (0,))}


def test_an_interval_that_ends_before_it_begins_holds_nothing():
    assert holders([1, 2, 3], [(3, 1), (2, 2), (math.inf, -math.inf)], most=9) == {}


@pytest.mark.slow
@given(st.lists(st.integers(0, 8)), st.lists(st.tuples(ENDS, ENDS), max_size=12), st.integers(0, 4))
@settings(deadline=None)
def test_it_finds_what_looking_at_each_finds(places: list[int], intervals: list[tuple[float, float]], most: int):
    expected: dict[float, Held] = {}
    for place in places:
        numbers = [number for number, (low, high) in enumerate(intervals) if low <= place < high]
        if numbers:
            expected[place] = Held(len(numbers), tuple(numbers[:most]))
    assert holders(places, intervals, most) == expected
