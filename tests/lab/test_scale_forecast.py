"""A forecast says how busy each resource will be and where it queues, and nothing of what lies too far out."""

import pytest

from fathom.errors import FathomError
from fathom.lab.scale.forecast import forecast
from fathom.lab.stats import Interval

DEMANDS = {
    "home": {"service": Interval(0.0002, 0.00018, 0.00022), "truth": Interval(0.0005, 0.0004, 0.0006)},
    "post": {"service": Interval(0.001, 0.001, 0.001), "truth": Interval(0.002, 0.002, 0.002)},
}
MEASURED = {"home": 400.0, "post": 10.0}


def test_it_follows_the_utilisation_law():
    said = forecast(DEMANDS, {"home": 800.0, "post": 20.0}, {"service": 1, "truth": 2}, measured=MEASURED)
    assert said.utilisation["service"].value == pytest.approx(0.18)
    assert said.utilisation["truth"].value == pytest.approx(0.22)
    assert said.bottleneck == "truth"
    assert said.utilisation["truth"].low == pytest.approx(0.18) and said.utilisation["truth"].high == pytest.approx(
        0.26
    )


def test_the_knee_of_one_core_lies_at_half_of_what_is_possible():
    said = forecast(DEMANDS, MEASURED, {}, measured=MEASURED)
    assert said.bottleneck == "truth" and said.most.value == pytest.approx(1 / 0.22)
    assert said.knee.value == pytest.approx(0.5 / 0.22, rel=1e-5)
    assert said.most.low == pytest.approx(1 / 0.26), "the dearest that it may be is full first"


def test_the_residence_is_that_of_all_resources():
    said = forecast(DEMANDS, {"home": 400.0}, {"service": 1, "truth": 1}, measured=MEASURED)
    assert said.residence_s == pytest.approx(0.0002 / (1 - 0.08) + 0.0005 / (1 - 0.2))


@pytest.mark.parametrize(
    ("rates", "state", "says"),
    [
        ({"home": 400.0}, 11.0, "11 times the state"),
        ({"home": 1_601.0}, 1.0, "1,601 home/s"),
        ({"like": 1.0}, 1.0, "1 like/s"),
    ],
)
def test_what_lies_too_far_out_is_refused(rates, state, says):
    with pytest.raises(FathomError, match=says):
        forecast(DEMANDS, rates, {}, measured=MEASURED, state=state)


def test_ten_times_the_state_and_four_times_the_rates_are_not_too_far():
    assert forecast(DEMANDS, {"home": 1_600.0, "post": 40.0}, {}, measured=MEASURED, state=10.0).most.value < 2
