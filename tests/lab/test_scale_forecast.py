"""A forecast follows a line through what was measured, says how far off it may be, and refuses what is too far."""

import math

import numpy as np
import pytest

from fathom.errors import FathomError
from fathom.lab.scale.forecast import LEVEL, Line, refuse


def test_the_line_is_that_of_least_squares():
    x, y = [1.0, 1.0, 2.0, 2.0, 3.0], [1.1, 0.9, 2.2, 1.9, 2.8]
    line = Line.through(list(zip(x, y, strict=True)))
    assert line is not None
    assert (line.slope, line.start) == pytest.approx(tuple(np.polyfit(x, y, 1)))


def test_waking_up_less_often_is_no_surprise_to_it():
    def busy(rate: float) -> float:
        return 0.1 + 0.05 * rate

    line = Line.through([(rate, busy(rate)) for rate in (1.0, 2.0, 2.0)])
    assert line is not None
    assert line.at(8.0).value == pytest.approx(0.5) and line.reaches(1.0).value == pytest.approx(18.0)


def test_nine_of_ten_measurements_lie_in_the_interval():
    dice = np.random.default_rng(7)
    held = full = 0
    for _ in range(1_000):
        points = [(x, 0.1 + 0.2 * x + 0.01 * float(dice.standard_normal())) for x in (0.5, 0.5, 1.0, 1.0)]
        line = Line.through(points)
        assert line is not None
        next_one = 0.1 + 0.2 * 4 + 0.01 * float(dice.standard_normal())
        told = line.at(4.0)
        held += told.low <= next_one <= told.high
        reached = line.reaches(0.9)
        full += reached.low <= 4.0 <= reached.high
    assert 0.88 <= held / 1_000 <= 0.92 and told.level == LEVEL
    assert 0.87 <= full / 1_000 <= 0.93, "so far out, nearly all of the error is the line's own"


def test_nine_of_ten_heights_are_reached_in_the_interval_also_where_lines_bend():
    """What scatters little may still cost more, or less, once much is asked: a few points know nothing of that."""
    dice = np.random.default_rng(7)
    narrow = wide = 0
    for _ in range(1_000):
        line = Line.through([(x, 0.02 + 0.2 * x + 0.002 * float(dice.standard_normal())) for x in (1.0, 1.0, 2.0, 2.0)])
        assert line is not None
        other = 0.2 * max(0.02, 1 + 0.3 * float(dice.standard_normal()))
        truth = 2.0 + (1.0 - 0.42) / other
        told = line.reaches(1.0), line.reaches(1.0, bend=0.3)
        assert told[0].value == told[1].value, "what bends to either side is no reason to expect one of them"
        narrow += told[0].low <= truth <= told[0].high
        wide += told[1].low <= truth <= told[1].high
    assert narrow < 400 and 880 <= wide <= 950


def test_nothing_bends_among_what_was_measured():
    line = Line.through([(1.0, 0.2), (1.0, 0.22), (2.0, 0.4), (2.0, 0.41)])
    assert line is not None and line.reaches(0.25, bend=0.5) == line.reaches(0.25)


def test_what_cannot_be_told_is_open():
    assert Line.through([(1.0, 0.2), (1.0, 0.3)]) is None
    two = Line.through([(1.0, 0.2), (2.0, 0.3)])
    assert two is not None and two.at(3.0).value == pytest.approx(0.4) and math.isinf(two.at(3.0).high)
    falling = Line.through([(1.0, 0.3), (1.1, 0.3), (2.0, 0.2)])
    assert falling is not None and math.isinf(falling.reaches(1.0).value)


@pytest.mark.parametrize(
    ("asked", "says"), [({"times": 11.0}, "11 times the state"), ({"faster": 4.1}, "4.1 times the rates")]
)
def test_what_lies_too_far_out_is_refused(asked, says):
    with pytest.raises(FathomError, match=says):
        refuse(**{"times": 1.0, "faster": 1.0, **asked})


def test_ten_times_the_state_and_four_times_the_rates_are_not_too_far():
    refuse(times=10.0, faster=4.0)
