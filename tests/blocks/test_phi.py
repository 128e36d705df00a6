"""A detector grows more suspicious while it hears nothing, allows the pause it was told, and learns what is usual."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fathom.blocks.phi import Detector, FixedTimeout, PhiAccrual, phi_of
from tests.features import feature

gaps = st.lists(st.integers(0, 5_000), max_size=40)
DETECTORS: dict[str, Callable[[int], Detector]] = {
    "fixed": lambda pause: FixedTimeout(0, timeout_ms=max(1, pause)),
    "phi": lambda pause: PhiAccrual(0, pause_ms=pause, window=10),
}
every = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS)


def fed(detector: Detector, gaps: list[int]) -> int:
    now_ms = 0
    for gap in gaps:
        now_ms += gap
        detector.heard(now_ms)
    return now_ms


@every
@given(gaps=gaps, pause=st.integers(0, 3_000), silences=st.lists(st.integers(0, 10**6), min_size=2).map(sorted))
def test_suspicion_never_falls_in_silence(
    detector: Callable[[int], Detector], gaps: list[int], pause: int, silences: list[int]
):
    judge = detector(pause)
    last_ms = fed(judge, gaps)
    found = [judge.suspicion(last_ms + silence) for silence in silences]
    assert found == sorted(found) and found[0] >= 0
    suspected = [judge.suspects(last_ms + silence) for silence in silences]
    assert suspected == sorted(suspected)


@every
@given(gaps=gaps, pause=st.integers(1, 3_000))
def test_nobody_is_suspected_within_the_pause_and_everybody_in_the_end(
    detector: Callable[[int], Detector], gaps: list[int], pause: int
):
    judge = detector(pause)
    last_ms = fed(judge, gaps)
    assert not any(judge.suspects(last_ms + silence) for silence in (0, pause // 2, pause))
    assert judge.suspects(last_ms + 10**6)


@every
def test_a_sign_of_life_ends_suspicion_and_one_from_the_past_changes_nothing(detector: Callable[[int], Detector]):
    judge = detector(500)
    assert judge.suspects(60_000)
    judge.heard(60_000)
    assert not judge.suspects(60_001)
    before = judge.suspicion(60_400)
    judge.heard(59_000)
    assert judge.suspicion(60_400) == before


@given(gaps)
def test_what_is_usual_is_what_the_window_holds(gaps: list[int]):
    judge = PhiAccrual(0, window=10, deviation_ms_min=1.0, threshold=1e9)
    fed(judge, gaps)
    held = [150, 250, *gaps][-10:]
    mean_ms, deviation_ms = judge.usual()
    assert mean_ms == pytest.approx(statistics.fmean(held))
    assert deviation_ms == pytest.approx(max(1.0, statistics.pstdev(held)))


@pytest.mark.slow
@pytest.mark.parametrize("deviations", [-8, -1, 0, 0.5, 3, 5, 7, 7.07, 7.08, 9, 20, 35])
@feature("KV-06")
def test_phi_is_the_logarithm_of_the_tail(deviations: float):
    exact = -stats.norm.logsf(deviations) / 2.302585092994046
    assert phi_of(deviations) == pytest.approx(exact, rel=2e-4, abs=1e-12)


def test_phi_does_not_fall_where_its_formulas_meet():
    seam = [7.0 + at / 10_000 for at in range(2_000)]
    found = [phi_of(at) for at in seam]
    assert found == sorted(found)


def test_who_beats_regularly_is_found_out_sooner_than_who_does_not():
    dice = random.Random(7)
    steady, jittery = PhiAccrual(0, deviation_ms_min=1), PhiAccrual(0, deviation_ms_min=1)
    for at in range(1, 200):
        steady.heard(at * 200)
        jittery.heard(at * 200 + dice.randrange(-80, 80))
    took = [next(ms for ms in range(5_000) if judge.suspects(199 * 200 + ms)) for judge in (steady, jittery)]
    assert took[0] < 220 < took[1] < 900


def test_a_long_failure_is_not_learnt_as_usual():
    judge = PhiAccrual(0)
    last_ms = fed(judge, [200] * 50)
    usual = judge.usual()
    judge.heard(last_ms + 60_000)
    assert judge.usual() == usual


def test_a_rare_lateness_is_as_rare_as_phi_says():
    """Of normal intervals one in a hundred comes later than phi 2."""
    dice = random.Random(7)
    judge = PhiAccrual(0, window=1_000, deviation_ms_min=1, threshold=1e9)
    now_ms = late = 0
    for at in range(21_000):
        now_ms += round(dice.gauss(10_000, 500))
        late += at >= 1_000 and judge.suspicion(now_ms) > 2
        judge.heard(now_ms)
    assert late / 20_000 == pytest.approx(0.01, rel=0.25)


@pytest.mark.parametrize(
    "wrong",
    [{"interval_ms": 0}, {"window": 0}, {"pause_ms": -1}, {"threshold": 0.3}, {"deviation_ms_min": 0}],
)
def test_what_suspects_everybody_is_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=r"interval|suspect"):
        PhiAccrual(0, **wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="suspects"):
        FixedTimeout(0, timeout_ms=0)
