"""A token bucket grants no more than its burst and its rate, to anybody, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.limiter import Limiter, Rate

rates = st.builds(Rate, st.floats(0.1, 1_000), st.integers(1, 50))
waits = st.lists(st.floats(0, 5), min_size=1, max_size=80)


class PlainBucket:
    """The token bucket of the textbook, with its two numbers."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.tokens, self.at_s = rate, float(rate.burst), 0.0

    def take(self, now_s: float) -> bool:
        self.tokens = min(self.rate.burst, self.tokens + (now_s - self.at_s) * self.rate.per_s)
        self.at_s = now_s
        if self.tokens < 1 - 1e-6:
            return False
        self.tokens -= 1
        return True


@given(rates, waits)
def test_it_decides_as_the_textbook_does(rate: Rate, gaps: list[float]):
    limiter, plain, now_s = Limiter(rate), PlainBucket(rate), 0.0
    for gap in gaps:
        now_s += gap
        if abs(plain.tokens + (now_s - plain.at_s) * rate.per_s - 1) < 1e-4:
            return  # on the very edge the last bit of a float decides
        assert limiter.take("ann", now_s).ok == plain.take(now_s)


@given(rates, waits)
def test_no_stretch_of_time_holds_more_than_burst_and_rate_allow(rate: Rate, gaps: list[float]):
    limiter, now_s, granted = Limiter(rate), 0.0, []
    for gap in gaps:
        now_s += gap
        if limiter.take("ann", now_s).ok:
            granted.append(now_s)
    for i, begin in enumerate(granted):
        for n, end in enumerate(granted[i:], start=1):
            assert n <= rate.burst + (end - begin) * rate.per_s + 1e-6


@given(rates, waits)
def test_whoever_waits_as_long_as_it_says_is_let_in_and_not_sooner(rate: Rate, gaps: list[float]):
    limiter, now_s = Limiter(rate), 0.0
    for gap in gaps:
        now_s += gap
        taken = limiter.take("ann", now_s)
        if not taken.ok:
            assert taken.retry_s > 0
            assert not limiter.take("ann", now_s + taken.retry_s * 0.99 - 1e-6).ok
            now_s += taken.retry_s
            assert limiter.take("ann", now_s).ok


@given(rates)
def test_it_says_how_many_are_left(rate: Rate):
    limiter = Limiter(rate)
    for left in range(rate.burst - 1, -1, -1):
        assert limiter.take("ann", 0.0).remaining == left
    refused = limiter.take("ann", 0.0)
    assert (refused.ok, refused.remaining) == (False, 0)
    assert refused.full_s == pytest.approx(rate.burst / rate.per_s)


@given(rates, st.lists(st.booleans(), max_size=60))
def test_what_is_given_back_may_be_taken_again_and_no_more(rate: Rate, kept: list[bool]):
    limiter = Limiter(rate)
    for keep in kept:
        taken = limiter.take("ann", 0.0)
        if taken.ok and not keep:
            limiter.back("ann")
    limiter.back("bob")
    left = sum(limiter.take("ann", 0.0).ok for _ in range(rate.burst + 1))
    assert left == rate.burst - min(rate.burst, sum(kept))
    assert sum(limiter.take("bob", 0.0).ok for _ in range(rate.burst + 1)) == rate.burst


def test_keys_do_not_share_unless_the_table_is_full():
    limiter = Limiter(Rate(per_s=1, burst=1), keys_max=10)
    assert all(limiter.take(key, 0.0).ok for key in range(10))
    assert limiter.take("the eleventh", 0.0).ok  # the one bucket that all further keys share
    assert not limiter.take("the twelfth", 0.0).ok


def test_a_flood_of_new_keys_gets_no_more_than_one_caller_and_refills_nobody():
    limiter = Limiter(Rate(per_s=1, burst=5), keys_max=100)
    for _ in range(5):
        limiter.take("ann", 0.0)
    for key in range(99):
        limiter.take(key, 0.0)
    flood = sum(limiter.take(f"flood {n}", 0.001).ok for n in range(10_000))
    assert flood <= 5
    assert not limiter.take("ann", 0.002).ok
    assert len(limiter) == 100


def test_a_full_bucket_is_forgotten_to_make_room():
    limiter = Limiter(Rate(per_s=1, burst=1), keys_max=2)
    limiter.take("ann", 0.0)
    limiter.take("bob", 0.0)
    limiter.take("cid", 10.0)
    assert len(limiter) == 2
    assert not limiter.take("cid", 10.0).ok


def test_a_clock_that_goes_back_grants_nothing():
    limiter = Limiter(Rate(per_s=1, burst=2))
    assert limiter.take("ann", 100.0).ok
    assert limiter.take("ann", 0.0).ok is False
    assert limiter.take("ann", 100.0).ok


@pytest.mark.parametrize("rate", [Rate(0, 1), Rate(-1, 1), Rate(float("inf"), 1), Rate(1, 0)])
def test_a_rate_that_means_nothing_is_refused(rate: Rate):
    with pytest.raises(ValueError, match="positive rate"):
        Limiter(rate)
