"""The operational laws agree with closed forms, with textbooks, and with the guides' figures as they should be."""

import math

import pytest
from scipy import stats

from fathom.lab.scale.laws import (
    DAY_S,
    amplified,
    bottleneck,
    erlang_c,
    knee,
    mva,
    parts,
    per_second,
    residence_s,
    servers,
    stored_bytes,
    throughput_max,
    utilisation,
)

YEAR_S = 365 * DAY_S


def erlang_c_by_poisson(count: int, busy: float) -> float:
    """Erlang C by the Poisson distribution: all of `count` busy, over that and fewer of them busy."""
    full = stats.poisson.pmf(count, busy) / (1 - busy / count)
    return full / (stats.poisson.cdf(count - 1, busy) + full)


@pytest.mark.parametrize("count", [1, 2, 5, 30, 400])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.99])
def test_erlang_c_is_what_the_poisson_distribution_says(count, share):
    assert erlang_c(count, share * count) == pytest.approx(erlang_c_by_poisson(count, share * count), rel=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8, 0.95])
def test_one_server_takes_its_demand_over_what_is_idle(share):
    assert erlang_c(1, share) == pytest.approx(share)
    assert residence_s(share / 0.004, 0.004) == pytest.approx(0.004 / (1 - share))


def test_who_is_full_never_answers():
    assert residence_s(250, 0.004) == math.inf and residence_s(1_000, 0.004, 4) == math.inf
    assert erlang_c(3, 3.0) == 1.0


def test_the_knee_of_one_server_is_a_half_and_that_of_many_comes_later():
    assert knee() == pytest.approx(0.5, abs=1e-6)
    found = [knee(count) for count in (1, 2, 4, 16, 64)]
    assert found == sorted(found) and found[-1] > 0.8


@pytest.mark.parametrize("count", [2, 8])
def test_at_the_knee_no_other_load_gives_more_throughput_per_residence(count):
    def power(u: float) -> float:
        return u / residence_s(u * count, 1.0, count)

    assert max(range(1, 1_000), key=lambda n: power(n / 1_000)) / 1_000 == pytest.approx(knee(count), abs=1e-3)


def test_a_balanced_closed_system_has_its_textbook_throughput():
    """N users among M equal stations: X = N / (D (N + M − 1))."""
    for users, stations in ((1, 3), (5, 3), (40, 2)):
        rate, took = mva([0.01] * stations, users)
        assert rate == pytest.approx(users / (0.01 * (users + stations - 1)))
        assert rate * took == pytest.approx(users), "Little's law"


def test_no_number_of_sessions_passes_the_bottleneck():
    rate, _ = mva([0.02, 0.05, 0.01], 500, think_s=1.0)
    assert rate == pytest.approx(throughput_max({"cpu": 0.02, "disk": 0.05, "net": 0.01}), rel=1e-3)


def test_one_session_that_thinks_meets_nobody():
    rate, took = mva([0.02, 0.05], 1, think_s=0.93)
    assert took == pytest.approx(0.07) and rate == pytest.approx(1.0)


def test_the_largest_demand_is_the_bottleneck():
    demands = {"service": 0.0002, "cache": 0.00005, "truth": 0.0007}
    assert bottleneck(demands) == "truth" and throughput_max(demands) == pytest.approx(1 / 0.0007)
    assert utilisation({"home": 1_000, "post": 10}, {"home": 0.0002, "post": 0.02}) == pytest.approx(0.4)
    assert throughput_max({}) == math.inf


def test_servers_are_rounded_up_and_rounding_alone_adds_none():
    assert servers(300_000, 0.0007, 0.6) == 350
    assert servers(0.3, 10 / 3, 1.0) == 1  # 1.0000000000000002 in floating point is one
    assert parts(3 * 0.1, 0.1) == 3
    with pytest.raises(ValueError, match="aim at"):
        servers(1, 1, 1.2)


# What the guides compute ---------------------------------------------------------------------------------------------

GUIDES = {
    "CLM-049 messages a day": (500e6 * 50, 25e9),
    "CLM-050 messages stored in a year at 1 kB": (stored_bytes(25e9 / DAY_S, 1_000, YEAR_S), 9.125e15),
    "CLM-051 messages a second": (per_second(500e6, 50), 289_352),
    "CLM-052 messages a second at peak": (per_second(500e6, 50, peak=3), 868_056),
    "CLM-057 messages a second in each of 16 shards, at peak": (per_second(500e6, 50, peak=3) / 16, 54_253),
    "CLM-032 deliveries a second to stars": (14_000 * 0.01 * 1e6, 140e6),
    "CLM-045 deliveries a second of the others": (14_000 * 0.99 * 500, 6.93e6),
    "CLM-181 nodes for 200 M connections": (parts(100e6 * 2, 100e3), 2_000),
    "CLM-183 nodes for those who are there, twice": (2 * parts(100e6 * 0.2 * 2, 100e3), 800),
    "CLM-205 posts a day": (500e6 * 0.5, 250e6),
    "CLM-206 posts a second at peak": (per_second(500e6, 0.5, peak=10), 28_935),
    "CLM-208 views a second at peak": (per_second(500e6, 50, peak=10), 2.894e6),
    "CLM-210 text a day": (stored_bytes(250e6 / DAY_S, 500, DAY_S), 125e9),
    "CLM-211 text a year": (stored_bytes(250e6 / DAY_S, 500, YEAR_S), 45.6e12),
    "CLM-212 three copies of it": (stored_bytes(250e6 / DAY_S, 500, YEAR_S, copies=3), 136.9e12),
    "CLM-213 with an image on one post of ten": (stored_bytes(0.1 * 250e6 / DAY_S, 200e3, DAY_S), 5e12),
    "CLM-214 bytes in a second": (per_second(500e6, 0.5, peak=10) * 500, 14.5e6),
    "CLM-215 bytes out a second, twenty posts a view": (per_second(500e6, 50, peak=10) * 20 * 500, 29e9),
    "CLM-188 of a broker's million a second": (utilisation({"event": 7e3}, {"event": 1e-6}), 0.007),
    "CLM-166 servers of 1,024 shards with two replicas": (amplified(0, 1_024, copies=3), 3_072),
    "CLM-287 operations in the replicas": (amplified(450e3, 50e3, read_from=2, copies=3), 1_050e3),
    "CLM-147 hot, warm and cold": (15e6 * (0.2 * 0.10 + 0.5 * 0.02 + 0.3 * 0.004), 468e3),
}


@pytest.mark.feature("MSG-01", "SOCIAL-17", "METHOD-26", "KV-60")
@pytest.mark.parametrize(("ours", "theirs"), GUIDES.values(), ids=GUIDES)
def test_the_figures_of_guides_come_out_as_they_were_recomputed(ours, theirs):
    assert ours == pytest.approx(theirs, rel=5e-3)


def test_what_a_guide_got_wrong_does_not_come_out():
    assert amplified(450e3, 50e3, read_from=2, copies=3) != 1.5e6, "only if every read asked all three"
    assert 14_000 * 0.01 * 1e6 != 140e9
