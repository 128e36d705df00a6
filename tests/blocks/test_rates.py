"""Five rate limiters: what each promises, where they differ, and the mistakes that are made in building them."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fathom.blocks.fixed_window import FixedWindow
from fathom.blocks.leaky_bucket import LeakyBucket, poured
from fathom.blocks.limiter import Limiter
from fathom.blocks.rates import Rate, RateLimit, most_within
from fathom.blocks.sliding_counter import SlidingCounter
from fathom.blocks.sliding_log import SlidingLog
from fathom.blocks.token_bucket import TokenBucket
from tests.features import feature

EVERY: dict[str, Callable[[Rate], RateLimit]] = {
    "fixed window": FixedWindow,
    "sliding log": SlidingLog,
    "sliding counter": SlidingCounter,
    "token bucket": TokenBucket,
    "leaky bucket": LeakyBucket,
}
every = pytest.mark.parametrize("limiter", EVERY.values(), ids=EVERY)

# Quarters of a second and powers of two: sums of these are exact, so that no edge is decided by a float's last bit.
rates = st.builds(Rate, st.sampled_from([0.25, 1.0, 2.0, 8.0]), st.integers(1, 12))
gaps = st.lists(st.integers(0, 12).map(lambda n: n / 4), min_size=1, max_size=60)


def granted(limit: RateLimit, arrivals_s: list[float]) -> list[float]:
    return [now_s for now_s in arrivals_s if limit.take(now_s).ok]


def times(gaps_s: list[float]) -> list[float]:
    now_s, found = 0.0, []
    for gap_s in gaps_s:
        found.append(now_s := now_s + gap_s)
    return found


@every
@settings(max_examples=30, deadline=None)
@given(rate=rates, gaps_s=gaps)
@feature("BLOCK-07")
def test_whoever_waits_as_long_as_it_says_is_let_in_and_not_sooner(
    limiter: Callable[[Rate], RateLimit], rate: Rate, gaps_s: list[float]
):
    limit, now_s = limiter(rate), 0.0
    for gap_s in gaps_s:
        now_s += gap_s
        taken = limit.take(now_s)
        assert taken.remaining >= 0 and (taken.remaining < rate.burst or not taken.ok)
        assert (taken.retry_s == 0.0) == taken.ok
        if not taken.ok:
            assert not limit.take(now_s + 0.999 * taken.retry_s - 1e-6).ok
            now_s += taken.retry_s
            assert limit.take(now_s).ok


@every
@settings(max_examples=25, deadline=None)
@given(rate=rates, gaps_s=gaps)
def test_all_tokens_are_back_when_it_says_so(limiter: Callable[[Rate], RateLimit], rate: Rate, gaps_s: list[float]):
    limit, arrivals_s = limiter(rate), times(gaps_s)
    for now_s in arrivals_s:
        taken = limit.take(now_s)
    assert 0 < taken.full_s <= 2 * rate.window_s + 1e-9
    assert limit.take(arrivals_s[-1] + taken.full_s, rate.burst).ok


@every
@settings(max_examples=25, deadline=None)
@given(rate=rates, gaps_s=gaps, tokens=st.integers(1, 5))
def test_several_tokens_are_taken_together_or_not_at_all(
    limiter: Callable[[Rate], RateLimit], rate: Rate, gaps_s: list[float], tokens: int
):
    limit, one_by_one = limiter(rate), limiter(rate)
    for now_s in times(gaps_s):
        before = one_by_one.take(now_s, 0).remaining
        ok = limit.take(now_s, tokens).ok
        assert ok == (before >= tokens)
        for _ in range(tokens * ok):
            assert one_by_one.take(now_s).ok


@every
def test_more_than_a_burst_is_never_there(limiter: Callable[[Rate], RateLimit]):
    limit = limiter(Rate(2, 4))
    assert limit.take(0.0, 5).retry_s == math.inf and limit.take(1e6, 5).retry_s == math.inf
    assert limit.take(1e6, 4).ok


BOUND = {  # bursts in any stretch of one window; and in a stretch of a tenth of it
    "fixed window": (2, 2),
    "sliding log": (1, 1),
    "sliding counter": (2, 1.1),
    "token bucket": (2, 1.1),
    "leaky bucket": (2, 1.1),
}


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=30, deadline=None)
@given(rate=rates, gaps_s=gaps)
@feature("BLOCK-56", "BLOCK-57", "BLOCK-58", "BLOCK-59", "BLOCK-60")
def test_no_stretch_holds_more_than_its_kind_allows(name: str, rate: Rate, gaps_s: list[float]):
    let_in = granted(EVERY[name](rate), times(gaps_s))
    window, tenth = BOUND[name]
    assert most_within(let_in, rate.window_s) <= window * rate.burst
    assert most_within(let_in, rate.window_s / 10) <= math.ceil(tenth * rate.burst)


@feature("BLOCK-56")
def test_a_fixed_window_lets_twice_the_rate_in_across_its_boundary_and_no_other_does():
    rate = Rate(per_s=10, burst=100)  # a hundred in ten seconds
    around_s = [9.99] * 100 + [10.0] * 100  # twice that within a hundredth of one
    let_in = {name: len(granted(limiter(rate), around_s)) for name, limiter in EVERY.items()}
    assert let_in == {
        "fixed window": 200,
        "sliding log": 100,
        "sliding counter": 100,
        "token bucket": 100,
        "leaky bucket": 100,
    }


@feature("BLOCK-58")
def test_a_sliding_counter_errs_both_ways_and_by_less_than_a_burst():
    rate = Rate(per_s=10, burst=100)
    late = [9.99] * 100 + [10 + n / 100 for n in range(1_000)]  # what came late is forgotten while it is within reach
    let_in = granted(SlidingCounter(rate), late)
    assert 190 <= most_within(let_in, 10.0) < 200 and most_within(let_in, 1.0) <= 110
    assert most_within(granted(SlidingLog(rate), late), 10.0) == 100
    early = [0.0] * 100 + [10.0] * 100  # what came early weighs though it is long gone
    assert len(granted(SlidingCounter(rate), early)) == 100
    assert len(granted(SlidingLog(rate), early)) == 200


@settings(max_examples=30, deadline=None)
@given(rate=rates, gaps_s=gaps)
@feature("BLOCK-57")
def test_the_sliding_log_is_the_definition(rate: Rate, gaps_s: list[float]):
    log, let_in = SlidingLog(rate), []
    for now_s in times(gaps_s):
        within = [then for then in let_in if now_s - rate.window_s < then]
        ok = log.take(now_s).ok
        assert ok == (len(within) < rate.burst)
        assert log.kept == len(within) + ok <= rate.burst
        if ok:
            let_in.append(now_s)


@settings(max_examples=30, deadline=None)
@given(rate=rates, gaps_s=gaps)
@feature("BLOCK-59", "BLOCK-60")
def test_a_leaky_bucket_lets_in_whom_a_token_bucket_lets_in_and_so_does_the_limiter(rate: Rate, gaps_s: list[float]):
    bucket, leaky, limiter = TokenBucket(rate), LeakyBucket(rate), Limiter(rate)
    for now_s in times(gaps_s):
        taken, poured_in, limited = bucket.take(now_s), leaky.take(now_s), limiter.take("ann", now_s)
        assert taken.ok == poured_in.ok == limited.ok
        assert taken.remaining == poured_in.remaining == limited.remaining
        for other in (poured_in, limited):
            assert taken.retry_s == pytest.approx(other.retry_s) and taken.full_s == pytest.approx(other.full_s)
        assert taken.wait_s == limited.wait_s == 0.0


@settings(max_examples=30, deadline=None)
@given(rate=rates, gaps_s=gaps)
@feature("BLOCK-60")
def test_what_comes_out_of_a_leaky_bucket_is_never_closer_than_the_rate(rate: Rate, gaps_s: list[float]):
    leaky, out_s = LeakyBucket(rate), []
    for now_s in times(gaps_s):
        taken = leaky.take(now_s)
        if taken.ok:
            assert 0 <= taken.wait_s < rate.window_s
            out_s.append(now_s + taken.wait_s)
    assert all(after - before >= 1 / rate.per_s - 1e-9 for before, after in pairwise(out_s))


@feature("BLOCK-07")
def test_what_each_keeps_of_a_caller():
    kept = {}
    for name, limiter in EVERY.items():
        limit = limiter(Rate(per_s=10, burst=100))
        granted(limit, [0.0] * 100)
        kept[name] = limit.kept
    assert kept == {
        "fixed window": 2,
        "sliding log": 100,
        "sliding counter": 3,
        "token bucket": 2,
        "leaky bucket": 1,
    }


# Clocks --------------------------------------------------------------------------------------------------------------


class RefillsTwice:
    """A token bucket that believes every clock: what it did on the way back it does again on the way forward."""

    def __init__(self, rate: Rate) -> None:
        self.rate, self.tokens, self.at_s = rate, float(rate.burst), 0.0

    def take(self, now_s: float) -> bool:
        self.tokens = min(self.rate.burst, self.tokens + max(0.0, now_s - self.at_s) * self.rate.per_s)
        self.at_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


def two_clocks(seed: int, rate: Rate, apart_s: float, n: int = 400) -> list[float]:
    """Return the times of requests to two servers whose clocks are so far apart, as each of them reads its own."""
    dice, now_s, found = random.Random(seed), 100.0, []
    for _ in range(n):
        now_s += dice.expovariate(4 * rate.per_s)
        found.append(now_s + dice.choice((0.0, apart_s)))
    return found


def too_many(taken: int, rate: Rate, read_s: list[float]) -> bool:
    """Whether more was let in than any clock that they read can account for."""
    return taken > rate.burst + (max(read_s) - min(read_s)) * rate.per_s + 1


@pytest.mark.parametrize("name", ["sliding log", "token bucket", "leaky bucket"])
@pytest.mark.parametrize("seed", range(3))
@feature("BLOCK-61")
def test_clocks_that_disagree_make_nothing_come_back_twice(name: str, seed: int):
    rate = Rate(per_s=10, burst=20)
    read_s = two_clocks(seed, rate, apart_s=1.5)
    limit, naive = EVERY[name](rate), RefillsTwice(rate)
    assert not too_many(sum(limit.take(now_s).ok for now_s in read_s), rate, read_s)
    assert too_many(sum(naive.take(now_s) for now_s in read_s), rate, read_s), f"the bug is not seen, seed {seed}"


@every
@settings(max_examples=25, deadline=None)
@given(rate=rates, steps=st.lists(st.integers(-20, 8).map(lambda n: n / 4), min_size=1, max_size=40))
@example(rate=Rate(per_s=1, burst=4), steps=[3.75, 0, 0, 0, 2.25, 0, -2])
@feature("BLOCK-61")
def test_a_clock_that_steps_back_lets_no_more_in_than_one_that_stands_still(
    limiter: Callable[[Rate], RateLimit], rate: Rate, steps: list[float]
):
    stepping, standing, now_s, latest_s, more = limiter(rate), limiter(rate), 100.0, -math.inf, 0
    for step in steps:
        now_s += step
        latest_s = max(latest_s, now_s)
        taken = stepping.take(now_s)
        more += taken.ok - standing.take(latest_s).ok
        assert more <= 0 <= taken.remaining


def test_a_log_says_how_long_to_wait_also_after_its_clock_stepped_back():
    log = SlidingLog(Rate(per_s=1, burst=2))
    assert log.take(100.0).ok and log.take(95.0).ok
    assert log.take(95.0, 2).retry_s == 7.0 and log.take(102.0, 2).ok


# Several at once -----------------------------------------------------------------------------------------------------


class Shared:
    """The one number of a bucket, in a store that several servers reach: each call is a step of its own."""

    def __init__(self) -> None:
        self.empty_s = 0.0

    def swap(self, old: float, new: float) -> bool:
        if self.empty_s != old:
            return False
        self.empty_s = new
        return True


def servers(shared: Shared, rate: Rate, n: int, seed: int, *, compare: bool) -> int:
    """Return how many of `n` servers that ask at once are let in, each between reading and writing when dice say so."""
    dice = random.Random(seed)

    def one():
        while True:
            read = shared.empty_s
            yield
            taken, after = poured(read, 10.0, rate)
            if not taken.ok:
                return False
            if not compare:
                shared.empty_s = after
                return True
            if shared.swap(read, after):
                return True

    running, let_in = [one() for _ in range(n)], 0
    while running:
        at = dice.randrange(len(running))
        try:
            next(running[at])
        except StopIteration as ended:
            let_in += bool(ended.value)
            del running[at]
    return let_in


@pytest.mark.parametrize("seed", range(5))
@feature("BLOCK-61")
def test_servers_that_read_and_then_write_let_more_in_and_those_that_compare_and_set_do_not(seed: int):
    rate = Rate(per_s=1, burst=10)
    assert servers(Shared(), rate, 50, seed, compare=True) == 10
    assert servers(Shared(), rate, 50, seed, compare=False) > 10, f"the bug is not seen, seed {seed}"


# Mistakes ------------------------------------------------------------------------------------------------------------


class LogsRefusals(SlidingLog):
    """A sliding log that remembers what it refused, too."""

    def take(self, now_s: float, tokens: int = 1):
        taken = super().take(now_s, tokens)
        if not taken.ok:
            self._log.append(now_s)
            self._log = deque(self._log, maxlen=self.rate.burst)
        return taken


def test_a_log_that_remembers_refusals_locks_out_whoever_keeps_asking():
    rate, asks_s = Rate(per_s=1, burst=5), [n / 4 for n in range(400)]  # four times what is allowed
    assert len(granted(SlidingLog(rate), asks_s)) == 100
    assert len(granted(LogsRefusals(rate), asks_s)) == 5, "the bug is not seen"


def test_the_fullest_stretch_is_found():
    assert most_within([], 1.0) == 0 and most_within([1.0], 1.0) == 1
    assert most_within([0.0, 1.0], 1.0) == 1, "its end is left out"
    assert most_within([0.0, 1.0], 1.01) == 2


@every
@pytest.mark.parametrize("rate", [Rate(0, 1), Rate(-1, 1), Rate(math.inf, 1), Rate(math.nan, 1), Rate(1, 0)])
def test_a_rate_that_means_nothing_is_refused(limiter: Callable[[Rate], RateLimit], rate: Rate):
    with pytest.raises(ValueError, match="positive rate"):
        limiter(rate)
