"""Draws meet closed forms, swings meet derivatives taken by hand, and what breaks does so where arithmetic says."""

import math
from statistics import NormalDist

import pytest

from fathom.errors import FathomError
from fathom.lab.estimate import Outlook, case_of, outlook
from fathom.lab.scale.dice import HIGH, LOW

Z = NormalDist().inv_cdf(HIGH)


def told(cells: str, more: str = "", **settings: str) -> Outlook:
    """The outlook of a case of these cells; the last is its answer."""
    return outlook(case_of("small", f'question = "?"\n{more}\n[sheet.s]\n{cells}\n'), settings, draws=20_000)


def test_a_range_has_the_quantiles_of_a_range():
    span = told('x = { assume = "100..300" }\ny = { derive = "3 * x" }').spans["y"]
    assert span.low == pytest.approx(3 * 110, rel=0.01)
    assert span.value == pytest.approx(3 * 200, rel=0.01)
    assert span.high == pytest.approx(3 * 290, rel=0.01)


def test_nine_of_ten_of_a_lognormal_lie_between_what_was_said():
    span = told('x = { assume = "10~1000" }').spans["x"]
    assert (span.low, span.value, span.high) == (
        pytest.approx(10, rel=0.08),
        pytest.approx(100, rel=0.05),
        pytest.approx(1_000, rel=0.08),
    )


def test_a_product_of_lognormals_is_the_lognormal_that_theory_says():
    span = told('x = { assume = "1~4" }\ny = { assume = "10~1000" }\nz = { derive = "x * y" }').spans["z"]
    deviation = math.hypot(math.log(4) / 2, math.log(100) / 2)  # of the logarithm, in units of what nine of ten reach
    assert span.value == pytest.approx(2 * 100, rel=0.05)
    assert span.low == pytest.approx(200 * math.exp(-deviation), rel=0.06)
    assert span.high == pytest.approx(200 * math.exp(deviation), rel=0.06)


def test_a_sum_of_two_ranges_is_the_triangle_that_theory_says():
    span = told('x = { assume = "0..1" }\ny = { assume = "0..1" }\nz = { derive = "x + y" }').spans["z"]
    assert span.low == pytest.approx(math.sqrt(2 * LOW), rel=0.03)  # of a triangle: P(z < t) = t²/2
    assert span.high == pytest.approx(2 - math.sqrt(2 * LOW), rel=0.03)


def test_one_uncertain_thing_is_the_same_wherever_it_stands():
    assert not told('x = { assume = "1..9" }\ny = { derive = "x / x" }').is_open("y")


def test_the_same_seed_draws_the_same_and_another_does_not():
    cells = '[sheet.s]\nx = { assume = "1..9" }'
    case = case_of("small", f'question = "?"\n{cells}')
    one, again, other = (outlook(case, seed=seed).spans["x"] for seed in (1, 1, 2))
    assert one == again != other


def test_swings_are_those_of_derivatives_taken_by_hand():
    cells = 'x = { assume = "8..12" }\ny = { assume = "4~25" }\nk = { assume = 3 }\nf = { derive = "x ** 2 / y + k" }'
    found = {swing.name: swing for swing in told(cells).swings["f"]}
    middle = 100 / 10 + 3
    assert found["x"].elasticity == pytest.approx(10 * 2 * 10 / 10 / middle, rel=1e-3)  # x/f · df/dx
    assert found["y"].elasticity == pytest.approx(-10 * 100 / 100 / middle, rel=1e-3)
    assert found["k"].elasticity == pytest.approx(3 / middle, rel=1e-3)
    assert (found["x"].low, found["x"].high) == (pytest.approx(8.2**2 / 10 + 3), pytest.approx(11.8**2 / 10 + 3))
    assert (found["y"].low, found["y"].high) == (pytest.approx(100 / 4 + 3), pytest.approx(100 / 25 + 3))
    assert (found["k"].low, found["k"].high) == (pytest.approx(10 + 2.7), pytest.approx(10 + 3.3))


def test_the_widest_swing_stands_first_and_what_moves_nothing_is_left_out():
    cells = 'a = { assume = "1..2" }\nb = { assume = "1..9" }\nc = { assume = 5 }\nf = { derive = "a * b" }'
    assert [swing.name for swing in told(cells).swings["f"]] == ["b", "a"]


def test_a_share_is_turned_by_a_tenth_of_what_is_less_itself_or_its_rest():
    cells = 'hit = { assume = "95%", unit = "%" }\nmisses = { derive = "1 / (1 - hit)" }'
    (swing,) = told(cells).swings["misses"]
    assert (swing.low, swing.high) == (pytest.approx(1 / 0.055), pytest.approx(1 / 0.045))


LIMITS = """
grows = "users"
[limits.{0}]
load = "{1}"
most = "{2}"
"""


@pytest.mark.parametrize(
    ("load", "most", "at", "begins"),
    [
        ("users * 2/s", "5K/s", ["holds", "holds", "breaks"], 2.5),
        ("users * users * 1/s", "9M/s", ["holds", "holds", "breaks"], 3.0),
        ("users * 1 KB", "500 KB", ["breaks", "breaks", "breaks"], 0.5),
        ("users", "1B", ["holds", "holds", "holds"], math.inf),
        ("users * wide", "2K", ["may break", "may break", "breaks"], 4 / 3),
        ("users", "0", ["breaks", "breaks", "breaks"], 0.0),
    ],
)
def test_what_breaks_does_so_from_where_arithmetic_says(load: str, most: str, at: list[str], begins: float):
    cells = 'users = { assume = "1K" }\nwide = { assume = "0.5..2.5" }'
    (found,) = told(cells, LIMITS.format("it", load, most)).breaks
    assert list(found.at.values()) == at
    assert found.from_times == (math.inf if math.isinf(begins) else pytest.approx(begins, rel=0.01, abs=0.01))


def test_what_breaks_first_stands_first():
    more = LIMITS.format("late", "users", "50K") + LIMITS.format("soon", "users", "3K").replace('grows = "users"\n', "")
    assert [it.name for it in told('users = { assume = "1K" }', more).breaks] == ["soon", "late"]


def test_a_limit_is_of_the_same_kind_as_its_load():
    with pytest.raises(FathomError, match="compare"):
        told('users = { assume = "1K" }', LIMITS.format("it", "users * 1 KB", "5"))


def test_where_nothing_is_left_to_divide_by_it_looks_upward_alone():
    cells = (
        'users = { assume = "1K" }\nservers = { derive = "floor(users / 500)" }\nload = { derive = "users / servers" }'
    )
    (found,) = told(cells, LIMITS.format("it", "users + 0 * load", "3K")).breaks
    assert found.from_times == pytest.approx(3.0, rel=0.01)
    (found,) = told(cells, LIMITS.format("it", "users + 0 * load", "700")).breaks
    assert found.from_times == 1.0, "it is broken already; of fewer nothing was looked at"
