"""The load is raised until it is too much, and what the costs foretold of it stands beside."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.lab.capacity import Bracket, low_rates, nearer
from fathom.lab.findings import compute
from fathom.lab.findings.capacity import NEAR, by_costs, foretold, misses
from fathom.lab.plan import STEP_S
from fathom.lab.runs import Aim, Gate, Run, Samples, Segment

from .synthetic import World, plan_of, write_run

STEPS = 7  # of a deep dive


@given(capacity=st.floats(0.05, 20), first=st.floats(0.05, 20))
def test_a_bracket_always_holds_the_capacity_and_closes(capacity, first):
    bracket = Bracket(first)
    for _ in range(60):
        if bracket.found:
            break
        times = bracket.next()
        bracket.saw(times, times <= capacity)
        assert bracket.held <= capacity < bracket.failed
    assert bracket.found and bracket.failed / bracket.held <= NEAR


@given(capacity=st.floats(0.7, 1.5))
def test_a_deep_dive_has_steps_enough_where_the_costs_foretold_it_by_half(capacity):
    bracket = Bracket(0.8)
    for _ in range(STEPS):
        if not bracket.found:
            bracket.saw(times := bracket.next(), times <= capacity)
    assert bracket.found


def step(times: float, kept_up: bool, **more) -> Segment:
    gates = [Gate(name="drift", value=1.0 if kept_up else 9.0, limit=2.0, ok=kept_up, says="how much slower")]
    return Segment(
        id=f"capacity-{times}", part="capacity", approach="on-read", slice="mix", point=3_000, lasts_s=4.0,
        rates={"home": 200 * times, "post": 5 * times}, done={"home": 800, "post": 20}, kept_up=gates,
        placement={"generator": [0], "system": [1]}, **more,
    )  # fmt: skip


def test_what_it_did_not_keep_up_with_and_a_goal_that_it_surely_missed_are_told():
    plan = plan_of(World())
    plan.goals = [Aim(op="home", measure="p90", less_than=0.2)]
    due = np.arange(100, dtype=np.int64) * 1_000_000

    def of(slow: int) -> Samples:
        done = due + np.where(np.arange(100) < slow, 300, 10) * 1_000_000
        return Samples(("home",), np.stack([np.zeros(100, np.int64), due, due, done, np.zeros(100, np.int64)]))

    assert misses(plan, step(1.0, kept_up=True), of(0)) == ""
    assert misses(plan, step(1.0, kept_up=False), of(0)) == "its queue never emptied"
    assert misses(plan, step(1.0, kept_up=True), of(30)) == "the goal for home.p90"
    assert misses(plan, step(1.0, kept_up=True), of(11)) == "", "that may be chance"


@pytest.fixture
def world(tmp_path) -> Run:
    return write_run(tmp_path, World(faults=False, blocks=0))


LOW = (0.25, 0.5)  # of where unit costs put it


def fits(per_load_s: float, start_s: float = 0.0) -> list[Segment]:
    """Make up the mix at low multiples of the load: so much CPU per second, and what waking up takes."""
    found = []
    for times in LOW:
        for again in range(2):
            segment = step(times, True, fits=True)
            segment.id += f"-fit-{again}"
            segment.cpu_s = {"service": 4.0 * (start_s + per_load_s * times) * (1 + 0.01 * (again - 0.5))}
            segment.covers_s = 4.0
            found.append(segment)
    return found


def capacity_of(run: Run, *steps: Segment):
    run.segments[:] = [s for s in run.segments if s.part != "capacity"] + list(steps)
    return {f.id: f for f in compute(run)}["capacity/on-read"]


@pytest.mark.slow
def test_unit_costs_say_about_where_to_look(world):
    told = by_costs(world.plan, world.segments, "on-read", 3_000, 1)
    assert told is not None and told.value == pytest.approx(1 / (200 * 1.2e-3 + 5 * 5e-4), rel=0.1)
    assert foretold(world.plan, world.segments, "on-read", 3_000, 1) is None, "no low multiple was run"


@pytest.mark.slow
def test_the_capacity_lies_between_the_last_that_held_and_the_first_that_did_not(world):
    found = capacity_of(world, *fits(0.25), step(3.2, True), step(4.4, False), step(4.0, True))
    assert (found.low, found.high) == pytest.approx((4.0, 4.4), rel=1e-3)
    assert found.value == pytest.approx(math.sqrt(found.low * found.high)) and found.verdict == "held"
    assert found.detail["foretold"][0] == pytest.approx(4.0, rel=0.02)
    assert found.detail["why"] == "its queue never emptied" and found.over == "3 steps"


@pytest.mark.slow
def test_low_rates_at_which_something_went_wrong_neither_foretell_nor_count(world):
    bad = fits(0.25)
    bad[1].kept_up = [Gate(name="drift", value=9.0, limit=2.0, ok=False)]
    bad[1].cpu_s = {"service": 3.9}
    found = capacity_of(world, *bad, step(3.9, True), step(4.1, False))
    assert found.detail["foretold"][0] == pytest.approx(4.0, rel=0.05)
    assert (found.low, found.high) == pytest.approx((3.9, 4.1))


def test_low_rates_are_whole_numbers_and_one_is_twice_the_other():
    low, high = low_rates({"home": 400.0, "post": 2.0}, 1.3)
    assert {op: rate * STEP_S for op, rate in low.items()} == {"home": 520, "post": 3}
    assert high == {op: 2 * rate for op, rate in low.items()}


@pytest.mark.parametrize("by_single_operations", [4.0, 10.0, 25.0, 50.0])
def test_pilots_find_where_the_cores_are_half_busy(by_single_operations: float):
    """At 25 times its load it is full; but single operations wake it up each time, and so does little of a load."""

    def busy(times: float) -> float:
        return 0.034 * times + 0.15 * (1 - math.exp(-times / 2))

    full = by_single_operations
    for share in LOW:
        full = nearer(full, share * full, busy(share * full))
    assert 0.35 < busy(full / 2) < 0.6
    assert nearer(10.0, 1.0, 0.0) == 10.0 and nearer(10.0, 2.0, 1e-9) == 40.0, "a meter that saw nothing says nothing"


@pytest.mark.slow
def test_rates_that_leave_the_cores_idle_say_nothing_of_where_they_are_full(world):
    line = fits(0.2, start_s=0.1)
    pilot = step(0.05, True, fits=True)
    pilot.id, pilot.cpu_s, pilot.covers_s = "capacity-pilot", {"service": 4.0 * 0.05}, 4.0
    found = capacity_of(world, pilot, *line, step(4.2, True), step(4.6, False))
    assert found.detail["foretold"][0] == pytest.approx(4.5, rel=0.02)


@pytest.mark.slow
def test_who_wakes_up_less_often_when_busy_takes_more_than_unit_costs_say(world):
    found = capacity_of(world, *fits(0.2, start_s=0.1), step(4.2, True), step(4.6, False))
    assert found.detail["foretold"][0] == pytest.approx(4.5, rel=0.02) and found.verdict == "held"
    assert found.detail["by costs"] == pytest.approx(4.12, rel=0.1)


@pytest.mark.slow
def test_what_was_not_foretold_and_what_was_not_found_is_said(world):
    off = capacity_of(world, *fits(0.25), step(1.9, True), step(2.0, False))
    assert off.verdict == "failed" and off.detail["off"] == pytest.approx(math.sqrt(3.8) / 4 - 1, rel=0.03)
    wide = capacity_of(world, *fits(0.25), step(3.0, True), step(5.0, False))
    assert (wide.verdict, wide.low, wide.high) == ("can't tell", 3.0, 5.0), "it was not brought nearer"
    open_end = capacity_of(world, *fits(0.25), step(0.6, True))
    assert (open_end.verdict, open_end.value, open_end.high) == ("can't tell", None, None)
    assert open_end.says == "no rate was too much"
    never = capacity_of(world, step(0.4, False))
    assert never.says == "no rate that held was found" and never.low == 0


@pytest.mark.slow
def test_an_interval_that_says_nothing_holds_nothing(world):
    wild = fits(0.25)
    wild[0].cpu_s = {"service": 0.9}
    found = capacity_of(world, *wild, step(1.9, True), step(2.0, False))
    assert None in found.detail["foretold"] or found.detail["foretold"][1] == 0
    assert found.verdict == "failed"
