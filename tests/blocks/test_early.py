"""Who makes a value anew early is one of few, however many read it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.early import is_due

seconds = st.floats(min_value=0.0, max_value=1e6)
dice = st.floats(min_value=1e-300, max_value=1.0)


@given(left_s=st.floats(max_value=0.0, allow_infinity=False, allow_nan=False), took_s=seconds, drawn=dice)
def test_what_has_expired_is_always_due(left_s: float, took_s: float, drawn: float):
    assert is_due(left_s, took_s, drawn)


@given(left_s=seconds, sooner_s=seconds, took_s=seconds, longer_s=seconds, drawn=dice)
def test_it_is_due_the_sooner_the_less_is_left_and_the_longer_it_takes(
    left_s: float, sooner_s: float, took_s: float, longer_s: float, drawn: float
):
    if is_due(left_s, took_s, drawn):
        assert is_due(max(0.0, left_s - sooner_s), took_s, drawn)
        assert is_due(left_s, took_s + longer_s, drawn)
        assert is_due(left_s, took_s, drawn, beta=2.0)
        assert is_due(left_s, took_s, drawn / 2 if drawn > 1e-299 else drawn)


@pytest.mark.parametrize("left_s", [0.05, 0.2, 0.5])
def test_the_chance_is_that_of_an_exponential_wait(left_s: float):
    drawn = random.Random(7)
    n = 20_000
    share = sum(is_due(left_s, 0.2, 1.0 - drawn.random()) for _ in range(n)) / n
    expected = math.exp(-left_s / 0.2)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize("per_s", [10, 100, 1_000, 10_000])
def test_few_make_it_anew_however_many_read(per_s: int):
    """A read every 1/`per_s`; making takes 0.1 s, and until it is done the others still find the old one."""
    drawn = random.Random(per_s)
    makers = []
    for _ in range(30):
        at_s, done_s, making = -1.0, math.inf, 0
        while at_s < done_s:
            if is_due(-at_s, 0.1, 1.0 - drawn.random()):
                making += 1
                done_s = min(done_s, at_s + 0.1)
            at_s += 1 / per_s
        makers.append(making)
    assert sum(makers) / len(makers) < 4.0, "many times as many readers, and no more who make it"
