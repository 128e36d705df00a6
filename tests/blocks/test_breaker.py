"""A breaker opens when it should and only then, tries again with a few calls, and is told nothing by the past."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.blocks.breaker import Breaker, FailureCount, FailureShare, FailuresInARow, State, Trip
from fathom.blocks.outcomes import LastCalls, LastSeconds, Tally
from tests.features import feature


def calls(breaker: Breaker, now_s: float, *outcomes: bool) -> None:
    for ok in outcomes:
        permit = breaker.ask(now_s)
        assert permit is not None
        breaker.tell(permit, now_s, ok=ok)


def opened(**settings_: float) -> Breaker:
    breaker = Breaker(FailuresInARow(1), **settings_)  # pyright: ignore[reportArgumentType]
    calls(breaker, 0.0, False)
    assert breaker.state(0.0) is State.OPEN
    return breaker


@feature("BLOCK-19", "BLOCK-81")
def test_five_failures_in_ten_seconds_open_it_thirty_seconds_later_it_is_tried_and_three_successes_close_it():
    breaker = Breaker(FailureCount(5, window_s=10), open_s=30, probes=3)
    calls(breaker, 1.0, False, False, True, False, False)
    assert breaker.state(1.0) is State.CLOSED
    calls(breaker, 2.0, False)
    assert breaker.state(2.0) is State.OPEN
    assert breaker.ask(31.9) is None and breaker.retry_s(31.9) == pytest.approx(0.1)
    probes = [breaker.ask(32.0) for _ in range(4)]
    assert breaker.state(32.0) is State.HALF_OPEN and [probe is not None for probe in probes] == [True] * 3 + [False]
    for at, probe in enumerate(probes[:3]):
        assert probe is not None and breaker.state(32.0) is State.HALF_OPEN
        breaker.tell(probe, 32.0 + at / 10, ok=True)
    assert breaker.state(32.2) is State.CLOSED
    calls(breaker, 32.3, False, False, False, False)
    assert breaker.state(32.3) is State.CLOSED, "it begins to count anew"


@feature("BLOCK-81")
def test_failures_that_lie_further_back_than_the_window_do_not_count():
    breaker = Breaker(FailureCount(5, window_s=10))
    for now_s in range(0, 300, 3):  # four in any ten seconds
        calls(breaker, now_s, False)
    assert breaker.state(300) is State.CLOSED


@feature("BLOCK-82")
def test_the_state_machine_that_counts_in_a_row_goes_back_to_normal_on_a_success():
    breaker = Breaker(FailuresInARow(3), open_s=5, probes=2)
    calls(breaker, 0.0, False, False, True, False, False)
    assert breaker.state(0.0) is State.CLOSED, "counting failures → normal"
    calls(breaker, 0.0, False)
    assert breaker.state(0.0) is State.OPEN and breaker.ask(4.9) is None, "threshold → failing: all fail fast"
    calls(breaker, 5.0, True, False)
    assert breaker.state(5.0) is State.OPEN, "testing → open on any failure"
    calls(breaker, 10.0, True, True)
    assert breaker.state(10.0) is State.CLOSED


# What makes it open --------------------------------------------------------------------------------------------------


def drawn(trip: Trip, *, failing: float, per_s: float, lasts_s: float, seed: int) -> int | None:
    """Return after how many calls a breaker opens before a dependency that fails so often; None: it does not."""
    dice, breaker = random.Random(seed), Breaker(trip)
    for number in range(int(per_s * lasts_s)):
        now_s = number / per_s
        permit = breaker.ask(now_s)
        if permit is None:
            return number
        breaker.tell(permit, now_s, ok=dice.random() >= failing)
    return None


@feature("BLOCK-19")
def test_a_count_of_failures_cuts_off_what_is_healthy_and_a_share_does_not():
    """1,000 calls a second within an error budget of 0.1 %: ten failures in ten seconds are what is to be expected."""
    few = sum(math.exp(-10) * 10**n / math.factorial(n) for n in range(5))
    assert 1 - few == pytest.approx(0.971, abs=0.001)  # windows with five failures or more
    healthy = {"failing": 0.001, "per_s": 1_000, "lasts_s": 20}
    assert all(drawn(FailureCount(5, window_s=10), **healthy, seed=seed) is not None for seed in range(3))
    assert all(drawn(FailureShare(0.5), **healthy, seed=seed) is None for seed in range(3))


@pytest.mark.slow
@feature("BLOCK-82")
def test_failures_in_a_row_let_thousands_fail_before_it_opens_and_a_share_two_dozen():
    """At 20 % errors a row of five comes after (1 - p^5) / (p^5 (1 - p)) = 3,905 calls, on average."""
    expected = (1 - 0.2**5) / (0.2**5 * 0.8)
    assert expected == pytest.approx(3_905, abs=1)
    sick = {"failing": 0.2, "per_s": 100, "lasts_s": 1_000}
    passed = [drawn(FailuresInARow(5), **sick, seed=seed) or 100_000 for seed in range(30)]
    assert 2_000 < sum(passed) / len(passed) < 7_000
    assert all((drawn(FailureShare(0.15), **sick, seed=seed) or 1_000) < 200 for seed in range(30))


def test_a_share_of_too_few_calls_says_nothing():
    breaker = Breaker(FailureShare(0.5, calls_min=20))
    calls(breaker, 0.0, *[False] * 19)
    assert breaker.state(0.0) is State.CLOSED
    calls(breaker, 0.0, False)
    assert breaker.state(0.0) is State.OPEN


def test_calls_that_take_too_long_open_it_as_failures_do():
    breaker = Breaker(FailureShare(0.5, slow_share=0.5, calls_min=4), slow_s=1.0)
    for at in range(4):
        permit = breaker.ask(at)
        assert permit is not None
        breaker.tell(permit, at + 1.5, ok=True)
    assert breaker.state(6.0) is State.OPEN


def test_a_probe_that_takes_too_long_is_no_success():
    breaker = opened(open_s=5, probes=1, slow_s=1.0)
    probe = breaker.ask(5.0)
    assert probe is not None
    breaker.tell(probe, 6.5, ok=True)
    assert breaker.state(6.5) is State.OPEN


# Turns ---------------------------------------------------------------------------------------------------------------


def test_what_was_begun_before_it_opened_neither_closes_it_nor_opens_it_again():
    breaker = Breaker(FailuresInARow(1), open_s=5, probes=1)
    old = [breaker.ask(0.0) for _ in range(3)]
    assert old[0] and old[1] and old[2]
    breaker.tell(old[0], 1.0, ok=False)
    probe = breaker.ask(6.0)
    assert probe is not None
    breaker.tell(old[1], 6.1, ok=True)
    assert breaker.state(6.1) is State.HALF_OPEN, "an old success is no probe's"
    breaker.tell(old[2], 6.2, ok=False)
    assert breaker.state(6.2) is State.HALF_OPEN, "nor is an old failure"
    breaker.tell(probe, 6.3, ok=True)
    breaker.tell(old[2], 6.4, ok=False)
    assert breaker.state(6.4) is State.CLOSED, "nor does it count after that"


def test_what_had_opened_it_is_forgotten_when_it_closes():
    breaker = Breaker(FailureCount(2, window_s=100), open_s=5, probes=1)
    calls(breaker, 0.0, False, False)
    calls(breaker, 5.0, True, False)
    assert breaker.state(5.0) is State.CLOSED
    calls(breaker, 5.0, False)
    assert breaker.state(5.0) is State.OPEN


def test_a_probe_that_nobody_tells_of_has_failed_and_does_not_hold_it_half_open_for_ever():
    breaker = opened(open_s=5, probes=1, probe_s=10)
    lost = breaker.ask(5.0)
    assert lost is not None and breaker.ask(15.0) is None and breaker.retry_s(14.0) == pytest.approx(1.0)
    assert breaker.state(15.1) is State.OPEN
    breaker.tell(lost, 15.2, ok=True)
    assert breaker.state(15.2) is State.OPEN, "too late"
    assert breaker.ask(20.2) is not None


def test_a_call_that_its_caller_gave_up_says_nothing_and_gives_its_place_back():
    breaker = opened(open_s=5, probes=1)
    probe = breaker.ask(5.0)
    assert probe is not None and breaker.ask(5.0) is None
    breaker.drop(probe)
    calls(breaker, 5.1, True)
    assert breaker.state(5.1) is State.CLOSED


@pytest.mark.parametrize("borne", [0, 1])
def test_a_stray_error_among_the_probes_is_borne_as_often_as_is_said(borne: int):
    breaker = opened(open_s=5, probes=3, probe_failures_max=borne)
    calls(breaker, 5.0, True, False)
    assert breaker.state(5.0) is (State.HALF_OPEN if borne else State.OPEN)
    if borne:
        calls(breaker, 5.0, True, True)
        assert breaker.state(5.0) is State.CLOSED


def test_told_twice_counts_once():
    breaker = opened(open_s=5, probes=2)
    probe = breaker.ask(5.0)
    assert probe is not None
    for _ in range(2):
        breaker.tell(probe, 5.0, ok=True)
    assert breaker.state(5.0) is State.HALF_OPEN


deeds = st.lists(st.tuples(st.sampled_from(["ask", "ok", "fail", "drop"]), st.integers(0, 8)), max_size=80)


@settings(max_examples=60, deadline=None)
@given(deeds=deeds, probes=st.integers(1, 3), borne=st.integers(0, 2))
@feature("BLOCK-19")
def test_whatever_is_done_it_is_in_one_of_three_states_and_lets_no_more_probes_through_than_it_may(
    deeds: list[tuple[str, int]], probes: int, borne: int
):
    breaker = Breaker(FailuresInARow(2), open_s=5, probes=probes, probe_failures_max=borne, probe_s=6)
    out, now_s = [], 0.0
    for deed, step in deeds:
        now_s += step / 2
        before = breaker.state(now_s)
        if deed == "ask":
            permit = breaker.ask(now_s)
            assert not (permit and before is State.OPEN) and not (permit is None and before is State.CLOSED)
            out += [permit] if permit else []
        elif out:
            permit = out.pop(0)
            if deed == "drop":
                breaker.drop(permit)
            else:
                breaker.tell(permit, now_s, ok=deed == "ok")
            if before is State.OPEN:
                assert breaker.state(now_s) is State.OPEN, "only time opens the way to a probe"
        if breaker.state(now_s) is State.HALF_OPEN:
            asked = 0
            while (permit := breaker.ask(now_s)) is not None:
                out.append(permit)
                asked += 1
            assert asked <= probes
        wait_s = breaker.retry_s(now_s)
        assert 0 <= wait_s <= 6


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Breaker(open_s=0),
        lambda: Breaker(probes=0),
        lambda: FailureShare(0),
        lambda: FailureShare(1.1),
        lambda: FailureCount(0),
        lambda: FailuresInARow(0),
        lambda: LastCalls(0),
        lambda: LastSeconds(0),
        lambda: LastSeconds(10, slices=0),
    ],
)
def test_what_makes_no_breaker_is_refused(wrong):
    with pytest.raises(ValueError, match=r"breaker|share|window|open every"):
        wrong()


# The window of outcomes ----------------------------------------------------------------------------------------------

told = st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.booleans()), max_size=60)


@settings(max_examples=60, deadline=None)
@given(told=told, size=st.integers(1, 8))
def test_the_last_calls_are_those(told: list[tuple[int, bool, bool]], size: int):
    last = LastCalls(size)
    for at, (_, failed, slow) in enumerate(told, start=1):
        last.note(0.0, failed=failed, slow=slow)
        within = told[max(0, at - size) : at]
        assert last.tally(0.0) == Tally(len(within), sum(f for _, f, _ in within), sum(s for _, _, s in within))


@settings(max_examples=60, deadline=None)
@given(told=told, slices=st.sampled_from([1, 4, 10]))
def test_the_last_seconds_are_whole_slices_also_when_the_clock_steps_back(
    told: list[tuple[int, bool, bool]], slices: int
):
    """By the sentence: of ten seconds, the slice that it is now and those before it, as many as there are."""
    dice = random.Random(7)
    last, slice_s, noted, latest, now_s = LastSeconds(10.0, slices=slices), 10.0 / slices, [], 0, 0.0
    for step, failed, slow in told:
        now_s += step / 4 * dice.choice((1, 1, 1, -1))
        latest = max(latest, math.floor(now_s / slice_s + 1e-9)) if noted else math.floor(now_s / slice_s + 1e-9)
        last.note(now_s, failed=failed, slow=slow)
        noted.append((latest, failed, slow))
        within = [each for each in noted if each[0] > latest - slices]
        assert last.tally(now_s) == Tally(len(within), sum(f for _, f, _ in within), sum(s for _, _, s in within))


def test_shares_of_nothing_are_none():
    assert Tally().failed_share == Tally().slow_share == 0.0
    assert Tally(4, 1, 2).failed_share == 0.25 and Tally(4, 1, 2).slow_share == 0.5
