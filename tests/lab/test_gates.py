"""A gate says what broke, by how much, and knows nothing of who would look better."""

import dataclasses
import sys

import numpy as np
import pytest

from fathom.lab import gates
from fathom.lab.demand import Used
from fathom.lab.hiccups import Hiccup
from fathom.lab.load import Samples
from fathom.lab.machine import Busy, Placement

HERE = Placement.of([0, 1])
CALM = Used(
    covers_s=3.0,
    counts={},
    cpu_s={"generator": 2.9, "service": 0.8, "cache": 0.3},
    engine={},
    state={},
    busy=Busy(4.02, 0.0, {0: 2.92, 1: 1.1}),
    foreign_s=0.01,
    pressure_s={"io.full": 0.05, "memory.full": 0.0, "cpu.some": 2.0},
    gone=0,
)


def tripped(found) -> set[str]:
    return {gate.name for gate in gates.broken(found)}


def test_a_calm_machine_passes():
    assert not tripped(gates.machine(CALM, HERE, [Hiccup(0, 2_000, 1e-4, 3e-4, 1e-3)]))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"busy": Busy(4.02, 0.2, {0: 2.92, 1: 1.1})}, "steal"),
        ({"busy": Busy(5.5, 0.0, {0: 2.9, 1: 2.6})}, "ledger"),
        ({"foreign_s": 0.4}, "others"),
        ({"pressure_s": {"io.full": 1.0}}, "io.full"),
        ({"pressure_s": {"memory.full": 1.0}}, "memory.full"),
    ],
)
def test_a_machine_that_was_not_ours_trips(change, name):
    found = gates.machine(dataclasses.replace(CALM, **change), HERE)
    assert tripped(found) == {name}
    (gate,) = gates.broken(found)
    assert gate.value > gate.limit and gate.says


def test_the_kernel_is_no_neighbour_and_is_accounted_for():
    wrote = dataclasses.replace(CALM, kernel_s=0.4, busy=Busy(4.42, 0.0, {0: 3.02, 1: 1.4}))
    assert not tripped(gates.machine(wrote, HERE))
    assert tripped(gates.machine(dataclasses.replace(wrote, kernel_s=2.4), HERE)) == {"ledger"}


def test_what_others_use_at_rest_is_allowed_for():
    noisy = dataclasses.replace(CALM, foreign_s=0.4, busy=Busy(4.4, 0.0, {0: 2.95, 1: 1.45}))
    assert "others" not in tripped(gates.machine(noisy, HERE, idle_s=0.15))


def test_a_neighbour_disturbs_what_is_counted_less_than_what_is_timed():
    noisy = dataclasses.replace(CALM, foreign_s=0.5, busy=Busy(4.5, 0.0, {0: 2.95, 1: 1.55}))
    assert tripped(gates.machine(noisy, HERE)) == {"others"}
    assert not tripped(gates.machine(noisy, HERE, counting=True))


def test_time_that_the_host_took_disturbs_what_is_counted_less_and_a_tick_nobody():
    stolen = dataclasses.replace(CALM, busy=dataclasses.replace(CALM.busy, steal_s=0.04 * CALM.covers_s * 2))
    assert tripped(gates.machine(stolen, HERE)) == {"steal"}
    assert not tripped(gates.machine(stolen, HERE, counting=True))
    more = dataclasses.replace(CALM, busy=dataclasses.replace(CALM.busy, steal_s=0.07 * CALM.covers_s * 2))
    assert tripped(gates.machine(more, HERE, counting=True)) == {"steal"}
    short = dataclasses.replace(CALM, covers_s=0.15, busy=Busy(0.2, 0.01, {0: 0.1, 1: 0.1}))
    assert "steal" not in tripped(gates.machine(short, HERE)), "one tick in a short slice is no neighbour"


def test_a_neighbour_who_was_there_before_us_is_no_measure_of_calm():
    assert not tripped(gates.idle(CALM, 2))
    hog = dataclasses.replace(CALM, foreign_s=2.9)  # as much as one core has
    assert tripped(gates.idle(hog, 2)) == {"idle"}
    assert not tripped(gates.idle(hog, 16)), "there is room for both"
    half = dataclasses.replace(CALM, foreign_s=1.5)
    assert tripped(gates.idle(half, 2)) and not tripped(gates.idle(half, 2, counting=True))


def test_a_control_that_woke_late_trips():
    for core in (0, 1):
        assert not tripped(gates.machine(CALM, HERE, [Hiccup(core, 2_000, 1e-4, 5e-3, 9e-3)]))  # it waits for us too
        assert tripped(gates.machine(CALM, HERE, [Hiccup(core, 2_000, 1e-4, 5e-2, 9e-2)])) == {f"hiccups.{core}"}


def test_a_machine_that_counts_nothing_has_no_gate_for_it():
    bare = dataclasses.replace(CALM, busy=None, pressure_s={})
    assert {gate.name for gate in gates.machine(bare, HERE)} == {"others"}


def test_requests_that_were_sent_late_trip_unless_the_latency_is_long():
    assert tripped(gates.arrivals(0.002, {"get": 0.004})) == {"lag"}
    assert not tripped(gates.arrivals(0.002, {"get": 0.05, "put": 0.1}))


def test_there_is_no_number_without_success():
    assert tripped(gates.work({"get": 100, "put": 5}, {"get": 100})) == {"successes", "errors"}
    assert not tripped(gates.work({"get": 1_000, "put": 5}, {"get": 995, "put": 5}))
    assert tripped(gates.work({"get": 100}, {"get": 98})) == {"errors"}


def trial(*, failed: int = 0, lag_ms: int = 0) -> Samples:
    """Two hundred requests, one each 20 ms, of a trial whose fault begins after two seconds."""
    due = np.arange(200, dtype=np.int64) * 20_000_000
    outcome = np.where(np.arange(200) < failed, 1, 0).astype(np.int8)
    sent = due + lag_ms * 1_000_000
    return Samples(("get",), np.zeros(200, np.int8), due, sent, sent + 1_000_000, outcome)


def test_one_answer_of_a_lesser_kind_spoils_a_count_and_one_in_a_hundred_a_latency():
    assert tripped(gates.whole(1_000, 1, counting=True)) == {"degraded"}
    assert not tripped(gates.whole(1_000, 0, counting=True)) and not tripped(gates.whole(0, 0, counting=True))
    assert not tripped(gates.whole(1_000, 10)) and tripped(gates.whole(1_000, 11)) == {"degraded"}


def test_a_trial_needs_a_system_that_was_well_and_a_generator_that_never_stood_still():
    assert not tripped(gates.under_fault(trial(lag_ms=50), 2.0))
    assert tripped(gates.under_fault(trial(failed=5), 2.0)) == {"errors"}
    assert tripped(gates.under_fault(trial(lag_ms=150), 2.0)) == {"lag.trial"}


def test_a_system_that_does_not_keep_up_trips():
    full = dataclasses.replace(CALM, cpu_s={"generator": 2.9, "service": 1.5, "cache": 1.3})
    assert tripped(gates.saturation(full, HERE, 0)) == {"busy"}
    assert tripped(gates.saturation(CALM, HERE, 2)) == {"left over"}
    assert tripped(gates.saturation(CALM, HERE, 0, [(0.010, 0.030)])) == {"drift"}
    assert not tripped(gates.saturation(CALM, HERE, 0, [(0.001, 0.003)]))  # twice of nearly nothing


def test_limits_are_finite_and_gates_are_written_as_json():
    for gate in gates.machine(CALM, HERE):
        assert 0 <= gate.limit < sys.float_info.max
