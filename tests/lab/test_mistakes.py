"""Mistakes that measuring tools are known to make, and that METHOD names: each would be seen here if it came back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fathom.lab.findings import compute
from fathom.lab.stats import equal_or_range, max_t, sign_flip_p

from .synthetic import FANS, World, write_run

SIX = np.log([1.30, 1.32, 1.29, 1.35, 1.31, 1.33])  # of six blocks, none left any doubt


def test_a_family_of_measures_is_judged_by_max_t_and_not_by_holm_which_could_never_reject_with_six_blocks():
    wins = np.stack([SIX, SIX[::-1]], axis=1)
    p = [sign_flip_p(wins[:, at]) for at in (0, 1)]
    holm = [2 * min(p), max(2 * min(p), max(p))]  # a step down: the second is refused with the first
    assert min(holm) > 0.05, "the smallest p that six blocks can show is 2/2^6, and twice that is too much"
    assert max(max_t(wins)) == pytest.approx(2 / 2**6)
    assert max(max_t(wins)) <= 0.05


def test_counts_are_compared_exactly_and_have_no_bootstrap():
    """Resampling equal counts gives no interval (BCa: nan), and of others means that nobody counted."""
    assert equal_or_range([3_005, 3_005, 3_005]) == (True, 3_005, 3_005)
    assert equal_or_range([3_005, 3_005, 3_006]) == (False, 3_005, 3_006)


@pytest.mark.slow
def test_a_count_is_one_number_where_all_slices_agree_and_all_of_them_where_they_do_not(tmp_path):
    found = {finding.id: finding for finding in compute(write_run(tmp_path, World(faults=False, blocks=0)))}
    for name in ("hybrid", "on-read", "on-write"):
        for fans in FANS:
            count = found[f"census/{name}/{fans}/post.commands"]
            assert count.exact and count.value == count.low == count.high == round(count.value)
    assert not [f.id for f in found.values() if any(x is not None and math.isnan(x) for x in (f.value, f.low, f.high))]


@pytest.mark.slow
def test_demands_are_separated_by_pure_slices_and_not_guessed_from_one_mix(tmp_path):
    """At one mix any split of its CPU explains it, which non-negative least squares then picks from; slices do not."""
    often = 40.0  # home per post: what the two worlds share is the CPU of this mix alone

    def split(post_s: float):
        home_s = (0.030 - post_s) / often
        return lambda fans: {
            "post": {"cpu": post_s, "commands": 1, "statements": 1},
            "home": {"cpu": home_s, "commands": 1, "statements": 0, "rows": 0},
        }

    world = World(costs={"hybrid": split(0.002), "on-read": split(0.020), "on-write": split(0.028)}, cpu_noise=0.01)
    found = {f.id: f for f in compute(write_run(tmp_path, world.but(faults=False, blocks=0)))}
    for name, post_s in (("hybrid", 0.002), ("on-read", 0.020), ("on-write", 0.028)):
        told = found[f"census/{name}/3000/post.cpu_s"]
        assert told.value == pytest.approx(post_s, rel=0.1), name
        home = found[f"census/{name}/3000/home.cpu_s"]
        assert told.value + often * home.value == pytest.approx(0.030, rel=0.1), "all three explain the same mix"
