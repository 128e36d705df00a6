"""Rates out of counts: what has grown since the last look, also when the service began anew in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fathom.cli.upkeep.meter import Meter, samples
from fathom.web.metrics import Metrics


def text(commands: int, requests: int, pending: float = 0.0) -> str:
    """Return a service's metrics as it writes them."""
    return f"""\
# HELP fathom_work_total Work asked of the engines, by the operation that caused it.
# TYPE fathom_work_total counter
fathom_work_total{{operation="home",resource="commands"}} {commands - 10}
fathom_work_total{{operation="-",resource="commands"}} 10
http_requests_total{{operation="home",method="GET",status="200"}} {requests}
http_requests_total{{operation="-",method="GET",status="404"}} 7
# HELP my_shop_pending What waits.
my_shop_pending {pending}
"""


def test_a_rate_is_what_has_grown_by_the_time_that_has_passed():
    meter = Meter("my-shop")
    assert meter.read(text(100, 10), now_s=5.0).work_per_s == {}, "one look has no rate"
    reading = meter.read(text(160, 16, pending=3), now_s=7.0)
    assert (reading.work_per_s["commands"], reading.door_per_s) == (30.0, 3.0)
    (stock,) = reading.stocks
    assert (stock.name, stock.says, stock.value) == ("pending", "What waits.", 3.0)


def test_a_service_that_began_anew_begins_at_nothing():
    meter = Meter("my-shop")
    meter.read(text(1_000, 1_000), now_s=1.0)
    assert meter.read(text(20, 10), now_s=2.0).work_per_s["commands"] == 20.0


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 10**9), max_size=5))
def test_whatever_the_labels_say_is_read_as_it_was_written(values: dict[str, int]):
    metrics = Metrics()
    counter = metrics.counter("a_counter", "Some.", ("who",))
    for who, value in values.items():
        counter.add(who, n=value)
    found = {labels["who"]: value for name, labels, value in samples(metrics.text()) if name == "a_counter"}
    assert len(found) == len(values) and sorted(found.values()) == sorted(values.values())
