"""Every number of the statistics agrees with a twin in plain Python or with SciPy, and covers what it promises."""

import itertools
import math
import random

import numpy as np
import pytest
import scipy.stats

from fathom.lab.runs import DELTA
from fathom.lab.stats import (
    BLOCKS_MIN,
    Interval,
    Verdict,
    blocks_needed,
    clopper_pearson,
    flagged,
    judge,
    mad,
    margin,
    max_t,
    nearest_rank,
    quantile,
    quantile_bounds,
    quantile_interval,
    ratio_of,
    sign_flip_interval,
    sign_flip_p,
    spread,
)


def numbers(seed: int, n: int, centre: float = 0.0) -> list[float]:
    dice = random.Random(seed)
    return [centre + dice.gauss(0, 1) for _ in range(n)]


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_a_quantile_is_the_nearest_rank_of_raw_samples(q):
    values = numbers(1, 1_003)
    assert quantile(values, q) == float(np.quantile(values, q, method="inverted_cdf"))
    assert nearest_rank([1, 2, 3, 4], 0.5) == 2


def test_a_quantile_without_ten_samples_beyond_it_is_no_number():
    assert quantile(numbers(1, 999), 0.99) is None
    assert quantile(numbers(1, 1_000), 0.99) is not None
    assert quantile_interval(numbers(1, 19), 0.5) is None


@pytest.mark.parametrize(("n", "q"), [(20, 0.5), (100, 0.9), (1_000, 0.99), (2_500, 0.5)])
def test_order_statistics_around_a_quantile_hold_it_as_the_binomial_says(n, q):
    interval = quantile_interval(range(1, n + 1), q)
    assert interval is not None
    low, high = int(interval.low), int(interval.high) if math.isfinite(interval.high) else n + 1
    binomial = scipy.stats.binom(n, q)
    assert binomial.cdf(high - 1) - binomial.cdf(low - 1) >= 0.95
    assert binomial.cdf(low) > 0.025, "the lower end could be higher"
    assert high == n + 1 or binomial.sf(high - 2) > 0.025, "the upper end could be lower"


def test_few_samples_bound_a_quantile_that_they_cannot_name():
    assert quantile_interval(range(40), 0.9) is None
    assert quantile_bounds(range(40), 0.9).high == 39, "0.9^40 is less than 2.5 %"
    assert math.isinf(quantile_bounds(range(34), 0.9).high), "0.9^34 is more"
    assert quantile_bounds([1.0], 0.9).low == 0.0, "nothing is excluded below"


def test_requests_that_were_never_answered_leave_a_quantile_open_above():
    values = [1.0] * 988 + [math.inf] * 12
    interval = quantile_interval(values, 0.99)
    assert interval is not None and math.isinf(interval.value) and math.isinf(interval.high)
    assert quantile([1.0] * 990 + [math.inf] * 10, 0.99) == 1.0


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 8, 12, 17])
def test_the_spread_of_a_few_slices_holds_their_median_at_the_level_it_names(n):
    ordered = [float(i) for i in range(n)]
    found = spread(ordered)
    cut = int(found.low)
    inside = 1 - 2 * scipy.stats.binom(n, 0.5).cdf(cut)
    assert found.high == n - 1 - cut and found.value == (n - 1) / 2
    assert found.level == pytest.approx(max(inside, 0.0))
    assert n < 6 or found.level >= 0.95


@pytest.mark.parametrize(("seed", "n", "centre"), [(1, 6, 0.0), (2, 8, 1.0), (3, 8, 0.3), (4, 10, -0.5)])
def test_the_p_of_flipped_blocks_is_that_of_scipys_permutation_test(seed, n, centre):
    values = np.array(numbers(seed, n, centre))
    theirs = scipy.stats.permutation_test(
        (values, np.zeros(n)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    # SciPy doubles the smaller tail; ours counts both: the same where the flips are symmetric, as they are
    assert sign_flip_p(values) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_every_shift_that_the_flips_do_not_reject(seed):
    values = np.array(numbers(seed, 7, 0.4))
    interval = sign_flip_interval(values)
    assert interval is not None
    width = interval.high - interval.low
    for shift in np.linspace(interval.low - width * 0.51, interval.high + width * 0.53, 101):
        if min(abs(shift - interval.low), abs(shift - interval.high)) < 1e-9:
            continue  # at an end itself the last digit decides
        # one-sided, by plain enumeration, on the side on which the shift lies
        sums = [sum(s * d for s, d in zip(signs, values - shift, strict=True)) for signs in SIGNS[7]]
        seen = float((values - shift).sum())
        above = sum(total >= seen - 1e-12 for total in sums) / len(sums)
        below = sum(total <= seen + 1e-12 for total in sums) / len(sums)
        rejected = min(above, below) <= 0.025
        assert rejected == (shift < interval.low or shift > interval.high)


SIGNS = {7: list(itertools.product((1, -1), repeat=7)), 6: list(itertools.product((1, -1), repeat=6))}


def test_five_blocks_give_no_interval_and_six_do():
    assert sign_flip_interval(numbers(1, BLOCKS_MIN - 1)) is None
    six = numbers(1, BLOCKS_MIN)
    interval = sign_flip_interval(six)
    assert interval is not None and (interval.low, interval.high) == (min(six), max(six))


@pytest.mark.slow
@pytest.mark.parametrize("draw", ["normal", "skewed"])
def test_the_interval_holds_the_truth_as_often_as_it_says(draw):
    dice = np.random.default_rng(20)
    held, rounds = 0, 1_500
    for _ in range(rounds):
        noise = dice.standard_normal(8) if draw == "normal" else dice.laplace(size=8)
        interval = sign_flip_interval(0.3 + noise)
        assert interval is not None
        held += interval.low <= 0.3 <= interval.high
    assert held / rounds > 0.94, f"{held} of {rounds}, seed 20"


def plain_max_t(columns: list[list[float]]) -> list[float]:
    """Step-down max-T with loops alone."""
    blocks, measures = len(columns), len(columns[0])
    scale = [math.sqrt(sum(row[m] ** 2 for row in columns)) for m in range(measures)]

    def statistic(signs, m):
        return abs(sum(s * row[m] for s, row in zip(signs, columns, strict=True))) / scale[m]

    seen = [statistic((1,) * blocks, m) for m in range(measures)]
    order = sorted(range(measures), key=lambda m: -seen[m])
    adjusted, so_far = [0.0] * measures, 0.0
    flips = list(itertools.product((1, -1), repeat=blocks))
    for place, measure in enumerate(order):
        weaker = order[place:]
        beyond = sum(max(statistic(f, m) for m in weaker) >= seen[measure] - 1e-12 for f in flips)
        so_far = max(so_far, beyond / len(flips))
        adjusted[measure] = so_far
    return adjusted


@pytest.mark.parametrize("seed", range(3))
def test_max_t_is_what_loops_alone_give(seed):
    columns = [[a, a + b, b] for a, b in zip(numbers(seed, 6, 0.7), numbers(seed + 50, 6), strict=True)]
    assert max_t(np.array(columns)) == pytest.approx(plain_max_t(columns))


def test_max_t_of_one_measure_is_its_own_p_and_a_copy_of_it_costs_nothing():
    values = np.array(numbers(3, 8, 0.8))
    alone = sign_flip_p(values)
    assert max_t(values[:, None]) == pytest.approx([alone])
    assert max_t(np.stack([values, values], axis=1)) == pytest.approx([alone, alone])


def test_two_measures_can_both_win_with_eight_blocks():
    wins = np.stack([np.array(numbers(1, 8)) * 0.01 + 0.3, np.array(numbers(2, 8)) * 0.01 - 0.2], axis=1)
    assert max(max_t(wins)) == pytest.approx(2 / 2**8)


@pytest.mark.slow
def test_a_duel_of_equals_has_a_winner_in_at_most_five_of_a_hundred():
    """An A/A duel over three measures that share noise: false winners over the family, by the whole rule."""
    dice = np.random.default_rng(7)
    winners, rounds = 0, 400
    for _ in range(rounds):
        shared = dice.standard_normal((8, 1)) * 0.03
        columns = shared + dice.standard_normal((8, 3)) * 0.03
        twin = dice.standard_normal(8) * 0.03
        p = max_t(columns)
        verdicts = [judge(sign_flip_interval(columns[:, m]), p[m], margin(twin, DELTA)) for m in range(3)]
        winners += any(v in (Verdict.BETTER, Verdict.WORSE) for v in verdicts)
    assert winners / rounds <= 0.05, f"{winners} of {rounds}, seed 7"


@pytest.mark.slow
@pytest.mark.parametrize(("effect", "least", "most"), [(0.20, 0.9, 1.0), (0.02, 0.0, 0.01)])
def test_a_large_effect_is_found_and_a_small_one_never_announced(effect, least, most):
    dice = np.random.default_rng(3)
    found, rounds = 0, 300
    for _ in range(rounds):
        logs = math.log1p(effect) + dice.standard_normal(8) * 0.05
        twin = dice.standard_normal(8) * 0.05
        found += judge(sign_flip_interval(logs), sign_flip_p(logs), margin(twin * 0.5, DELTA)) is Verdict.WORSE
    assert least <= found / rounds <= most, f"{found} of {rounds}, seed 3"


def test_a_verdict_needs_the_whole_interval():
    delta = math.log1p(0.05)

    def says(low, high, p=0.01):
        return judge(Interval((low + high) / 2, low, high), p, delta)

    assert says(-0.3, -0.1) is Verdict.BETTER
    assert says(0.1, 0.3) is Verdict.WORSE
    assert says(0.1, 0.3, p=0.06) is Verdict.CANT_TELL
    assert says(0.02, 0.3) is Verdict.CANT_TELL
    assert says(-0.04, 0.04) is Verdict.EQUIVALENT
    assert says(0.01, 0.04) is Verdict.EQUIVALENT, "surely more, and surely not enough to matter"
    assert judge(None, 0.0, delta) is Verdict.CANT_TELL


def test_the_margin_is_five_percent_or_the_noise_of_the_twins():
    assert margin([0.001, -0.001, 0.0], 0.05) == pytest.approx(math.log(1.05))
    assert margin([0.2, -0.2, 0.0, 0.1, -0.1], 0.05) == pytest.approx(2 * 0.1)
    assert margin([], 0.10) == pytest.approx(math.log(1.10))


def test_how_many_blocks_would_tell_grows_as_the_truth_nears_the_margin():
    delta = math.log1p(0.05)
    far = blocks_needed(Interval(0.2, 0.02, 0.38), 8, delta)
    near = blocks_needed(Interval(0.1, 0.02, 0.18), 8, delta)
    assert far is not None and near is not None and 8 < far < near
    assert blocks_needed(Interval(delta, 0.0, 0.1), 8, delta) is None
    assert blocks_needed(None, 3, delta) == BLOCKS_MIN


def test_a_block_far_from_the_others_is_flagged():
    assert flagged([0.01, 0.02, 0.0, 0.015, 0.9, 0.01]) == [4]
    assert flagged([1.0, 1.0, 1.0]) == []
    assert mad([1.0, 2.0, 9.0]) == scipy.stats.median_abs_deviation([1.0, 2.0, 9.0])


def test_a_ratio_of_intervals_is_never_too_narrow():
    ratio = ratio_of(Interval(4, 3, 5), Interval(2, 1, 4))
    assert (ratio.value, ratio.low, ratio.high) == (2, 0.75, 5)
    assert math.isinf(ratio_of(Interval(4, 3, 5), Interval(2, -1, 4)).high)


@pytest.mark.parametrize(("k", "n"), [(0, 1), (1, 1), (0, 300), (1, 300), (5, 300), (100, 100), (95, 100), (3, 7)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_how_often_something_may_happen_is_the_range_of_clopper_and_pearson(k, n, level):
    tail = (1 - level) / 2
    found = clopper_pearson(k, n, level)
    assert found.value == k / n
    assert found.low == pytest.approx(scipy.stats.beta.ppf(tail, k, n - k + 1) if k else 0.0, abs=1e-9)
    assert found.high == pytest.approx(scipy.stats.beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0, abs=1e-9)


def test_nothing_tried_excludes_nothing_and_more_successes_than_tries_are_refused():
    assert (clopper_pearson(0, 0).low, clopper_pearson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="4 of 3"):
        clopper_pearson(4, 3)
