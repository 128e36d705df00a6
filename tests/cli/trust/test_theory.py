"""What theory says of a queue, what others compute of it, and what given arrivals must wait, are one."""

import math

import ciw
import numpy as np
import pytest

from fathom.cli.trust.rows.queues import QUEUES
from fathom.cli.trust.theory import chance, erlang_c, mean_wait_s, waits_s


@pytest.mark.parametrize(("clerks", "offered"), [(1, 0.3), (1, 0.95), (3, 2.1), (10, 8.5)])
def test_erlangs_formula_is_the_one_with_factorials(clerks, offered):
    share = offered / clerks
    all_busy = offered**clerks / math.factorial(clerks) / (1 - share)
    some_free = sum(offered**n / math.factorial(n) for n in range(clerks))
    assert erlang_c(clerks, offered) == pytest.approx(all_busy / (some_free + all_busy))


def test_a_queue_that_never_empties_has_no_mean_wait():
    with pytest.raises(ValueError, match="for ever"):
        mean_wait_s(2, 100, 0.02)


def test_given_arrivals_wait_as_one_can_see():
    assert waits_s([0, 1, 2, 9], [3, 3, 3, 1], clerks=1).tolist() == [0, 2, 4, 0]
    assert waits_s([0, 1, 2, 9], [3, 3, 3, 1], clerks=2).tolist() == [0, 0, 1, 0]


def test_a_fiftieth_more_for_orders_moves_no_quantile_of_the_desk_beyond_the_margin():
    """What may never be announced must be too little in everything that is looked at, also in who waits behind it."""
    dice = np.random.default_rng(5)
    n, lasts_s = 120_000, 200.0
    came, orders = np.sort(dice.random(n)) * lasts_s, dice.random(n) < 2 / 3
    spread = dice.uniform(0.75, 1.25, n)

    def quantiles(order_us: float) -> np.ndarray:
        took = np.where(orders, order_us, 300.0) * spread * 1e-6
        lasted = waits_s(came, took, 1) + took
        return np.array([*np.quantile(lasted[orders], (0.5, 0.9)), *np.quantile(lasted[~orders], (0.5, 0.9))])

    ratios = quantiles(1_020.0) / quantiles(1_000.0)
    assert np.all(ratios > 1) and np.all(ratios < 1.045), ratios


@pytest.mark.slow
@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.row)
def test_waits_of_very_many_arrivals_have_the_theorys_mean(queue):
    dice, n = np.random.default_rng(1), 400_000
    came = np.cumsum(dice.exponential(1 / queue.rate, n))
    waits = waits_s(came, dice.exponential(queue.mean_s, n), queue.clerks)
    assert waits.mean() == pytest.approx(queue.theory_s, rel=0.03)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.row)
def test_ciw_simulates_what_we_compute(queue):
    ciw.seed(3)
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=queue.rate)],
        service_distributions=[ciw.dists.Exponential(rate=1 / queue.mean_s)],
        number_of_servers=[queue.clerks],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_time(1_500)
    records = sorted(simulation.get_all_records(), key=lambda record: record.arrival_date)
    theirs = [record.waiting_time for record in records]
    ours = waits_s([r.arrival_date for r in records], [r.service_time for r in records], queue.clerks)
    # Of the very same arrivals and times; the last may differ, because who is still served is in nobody's record.
    assert ours[:-100] == pytest.approx(theirs[:-100], abs=1e-9)
    assert np.mean(theirs) == pytest.approx(queue.theory_s, rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.row)
def test_days_alike_lie_around_the_theorys_mean_and_begin_with_nobody(queue):
    days = chance(queue.clerks, round(queue.rate * 60), 60.0, queue.mean_s, draws=200, seed=2)
    assert (np.diff(days) >= 0).all()
    assert days.mean() == pytest.approx(queue.theory_s, rel=0.06)
    short = chance(queue.clerks, round(queue.rate * 0.2), 0.2, queue.mean_s, draws=200, seed=2)
    assert short.mean() < 0.7 * queue.theory_s
