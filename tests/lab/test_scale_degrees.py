"""A distribution keeps its mean, and what lies between two values is what integration says."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate

from fathom.errors import FathomError
from fathom.lab.scale.curve import Spread, Unmeasured, average
from fathom.lab.scale.degrees import Pareto, Shares

EDGES = np.array([0.0, 100.0, 3_000.0, 30_000.0, np.inf])


def stars(tail: float) -> Pareto:
    return Pareto(mean=403, most=22e6, tail=(tail, tail))


def by_quadrature(tail: float, low: float, high: float, power: int) -> float:
    """∫ x^power · density, over the logarithm of x so that the tail is not lost."""
    start = float(stars(tail).least(np.array([tail]))[0])

    def density(log_x: float) -> float:
        return math.exp(-tail * log_x)

    def over(a: float, b: float, p: int) -> float:
        a, b = math.log(max(a, start)), math.log(min(b, 22e6))
        return integrate.quad(lambda t: density(t) * math.exp(p * t), a, b, limit=500)[0] if a < b else 0.0

    return over(low, high, power) / over(start, 22e6, 0)


@pytest.mark.parametrize("tail", [0.7, 1.0, 1.1, 1.5, 2.5])
def test_a_power_law_has_the_mean_that_was_asked_for(tail):
    mass, first = stars(tail).pieces(EDGES, np.array([tail]))
    assert mass.sum() == pytest.approx(1) and first.sum() == pytest.approx(403, rel=1e-9)


@pytest.mark.parametrize("tail", [1.0, 1.1, 1.5])
def test_its_pieces_are_what_integration_says(tail):
    mass, first = stars(tail).pieces(EDGES, np.array([tail]))
    for at, (low, high) in enumerate(pairwise(EDGES)):
        assert mass[0, at] == pytest.approx(by_quadrature(tail, low, high, 0), abs=1e-7)
        assert first[0, at] == pytest.approx(by_quadrature(tail, low, high, 1), rel=1e-5, abs=1e-7)


def test_one_mean_hides_how_much_the_stars_have():
    """Of 403 deliveries a post, a fifteenth may come from accounts beyond 30,000 followers, or two fifths."""
    tails = np.array([1.05, 1.5])
    _, first = Pareto(mean=403, most=22e6, tail=(1.05, 1.5)).pieces(EDGES, tails)
    shares = first[:, -1] / first.sum(axis=1)
    assert shares[0] > 0.4 and shares[1] < 0.07


def test_shares_are_put_in_proportion_and_a_value_on_an_edge_lies_above_it():
    counted = Shares(counted=((10, 90), (100, 9), (5_000, 1)))
    mass, first = counted.pieces(EDGES, np.ones(2))
    assert mass.tolist() == [[0.9, 0.09, 0.01, 0.0]] * 2
    assert first[0].sum() == pytest.approx(counted.mean) == pytest.approx(68)
    assert counted.most == 5_000


@pytest.mark.parametrize(
    "build",
    [
        lambda: Pareto(mean=403, most=100, tail=(1.1, 1.5)),
        lambda: Pareto(mean=403, most=1e6, tail=(1.5, 1.1)),
        lambda: Pareto(mean=0, most=1e6, tail=(1, 1)),
        lambda: Shares(counted=()),
        lambda: Shares(counted=((1, -1), (2, 2))),
    ],
)
def test_what_is_no_distribution_is_refused(build):
    with pytest.raises(FathomError, match="no distribution"):
        build()


# Costs over it -------------------------------------------------------------------------------------------------------

POINTS = (100.0, 3_000.0, 30_000.0)


def mean_cost(costs, degrees, *, points=POINTS, turns=()):
    tail = np.array([degrees.tail[0] if degrees.tail else 1.0])
    return average(Spread.of(points, turns, degrees, tail), np.array([costs], dtype=float))


@pytest.mark.parametrize("tail", [1.1, 1.5])
def test_a_cost_that_is_a_straight_line_costs_what_its_mean_value_costs(tail):
    found = mean_cost([0.0004 + 12e-6 * x for x in POINTS], stars(tail))
    assert found.likely[0] == pytest.approx(0.0004 + 12e-6 * 403, rel=1e-9)
    assert found.least[0] < found.likely[0] < found.most[0]
    beyond = by_quadrature(tail, 30_000, 22e6, 1) * 12e-6
    assert found.outside[0] == pytest.approx(beyond / found.likely[0], rel=0.02)


def test_points_may_come_in_any_order():
    one = mean_cost([1.0, 2.0, 5.0], stars(1.2))
    other = mean_cost([5.0, 1.0, 2.0], stars(1.2), points=(30_000.0, 100.0, 3_000.0))
    assert one.likely[0] == other.likely[0]


def test_the_mean_of_a_bent_cost_is_not_the_cost_of_the_mean():
    costs = [0.001, 0.001, 0.1]
    counted = Shares(counted=((100, 0.99), (30_000, 0.01)))
    assert counted.mean == pytest.approx(399)
    assert mean_cost(costs, counted).likely[0] == pytest.approx(0.99 * 0.001 + 0.01 * 0.1)


def test_a_line_does_not_lead_across_a_turn():
    """Pushed below ten thousand, pulled above: the cost climbs until the turn, and drops there."""

    def cost(x: float) -> float:
        return 0.0004 + 12e-6 * x if x < 10_000 else 0.0006

    found = mean_cost([cost(x) for x in POINTS], stars(1.276), turns=(10_000.0,))
    start = float(stars(1.276).least(np.array([1.276]))[0])
    weight = integrate.quad(lambda t: math.exp(-1.276 * t), math.log(start), math.log(22e6))[0]
    truth = integrate.quad(
        lambda t: cost(math.exp(t)) * math.exp(-1.276 * t), math.log(start), math.log(22e6), points=[math.log(1e4)]
    )[0]
    assert found.likely[0] == pytest.approx(truth / weight, rel=1e-5)
    across = mean_cost([cost(x) for x in POINTS], stars(1.276))
    assert across.likely[0] != pytest.approx(truth / weight, rel=0.02), "without the turn it would be another number"


def test_a_side_of_a_turn_that_nobody_measured_is_refused():
    with pytest.raises(Unmeasured, match="from 50000"):
        mean_cost([1, 2, 3], stars(1.2), turns=(50_000.0,))


def test_what_no_distribution_reaches_need_not_be_measured():
    counted = Shares(counted=((200, 1.0),))
    assert mean_cost([1, 2, 3], counted, turns=(50_000.0,)).likely[0] == pytest.approx(1 + 100 / 2_900)


def test_beyond_the_largest_it_stays_or_grows_in_proportion():
    counted = Shares(counted=((300_000, 1.0),))
    found = mean_cost([0.1, 1.0, 4.0], counted)
    assert found.least[0] == 4.0 and found.most[0] == pytest.approx(40.0) and found.outside[0] == 1.0
    assert found.likely[0] == pytest.approx(4.0 + 270_000 * 3 / 27_000)


def test_a_cost_that_falls_is_not_foretold_to_fall_on():
    counted = Shares(counted=((300_000, 1.0),))
    assert mean_cost([5.0, 2.0, 1.0], counted).likely[0] == 1.0


def test_one_point_says_nothing_of_a_slope():
    found = mean_cost([4.0], Shares(counted=((10, 1.0),)), points=(100.0,))
    assert (found.least[0], found.likely[0], found.most[0]) == (pytest.approx(0.4), 4.0, 4.0)
