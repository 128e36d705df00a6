"""A hybrid clock never goes back, keeps what happened before below what came after, and stays near the wall clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom.blocks.clocks import COUNTER_BITS, STAMP_MAX, HybridClock, TooFarAhead, ms_of, stamp_of

walls = st.integers(0, 1 << 45)
steps = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-300, 300)), min_size=1, max_size=60)


@given(st.lists(walls, min_size=1))
def test_stamps_only_rise_whatever_the_wall_clock_does(walls: list[int]):
    clock = HybridClock()
    stamps = [clock.tick(wall) for wall in walls]
    assert stamps == sorted(set(stamps))
    assert all(stamp >= stamp_of(wall) for stamp, wall in zip(stamps, walls, strict=True))
    assert stamps[-1] <= STAMP_MAX


@pytest.mark.slow
@given(steps)
def test_what_happened_before_has_the_lower_stamp_and_no_stamp_leaves_the_walls(steps: list[tuple[int, int, int]]):
    """Three nodes send to each other, their clocks are up to 300 ms off: send < receive, and each follows its own."""
    clocks, now_ms, highest = [HybridClock() for _ in range(3)], 1_000_000, 0
    for sender, receiver, skew in steps:
        now_ms += 7
        highest = max(highest, now_ms + skew, now_ms - skew)
        before = clocks[receiver].last
        sent = clocks[sender].tick(now_ms + skew)
        received = clocks[receiver].merge(sent, now_ms - skew)
        assert received > sent > 0 and received > before
        assert ms_of(received) <= highest  # its time is somebody's wall clock, never anybody's invention


class TwoNumbers:
    """The clock of the paper's figure 5, with its two numbers."""

    def __init__(self) -> None:
        self.ms, self.counter = 0, 0

    def tick(self, wall_ms: int) -> tuple[int, int]:
        before, self.ms = self.ms, max(self.ms, wall_ms)
        self.counter = self.counter + 1 if self.ms == before else 0
        return self.ms, self.counter

    def merge(self, ms: int, counter: int, wall_ms: int) -> tuple[int, int]:
        before, self.ms = self.ms, max(self.ms, ms, wall_ms)
        if self.ms == before == ms:
            self.counter = max(self.counter, counter) + 1
        elif self.ms == before:
            self.counter += 1
        elif self.ms == ms:
            self.counter = counter + 1
        else:
            self.counter = 0
        return self.ms, self.counter


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40), st.integers(0, 40), st.integers(0, 5))))
def test_it_says_what_the_paper_says(steps: list[tuple[bool, int, int, int]]):
    clock, plain = HybridClock(), TwoNumbers()
    for local, wall_ms, ms, counter in steps:
        if local:
            stamp, expected = clock.tick(wall_ms), plain.tick(wall_ms)
        else:
            stamp, expected = clock.merge(stamp_of(ms, counter), wall_ms), plain.merge(ms, counter, wall_ms)
        assert (stamp >> COUNTER_BITS, stamp & 0xFFFF) == expected


@given(walls, st.integers(0, 5_000), st.integers(0, 0xFFFF))
def test_a_stamp_too_far_ahead_is_refused_and_changes_nothing(wall: int, ahead: int, counter: int):
    clock = HybridClock(ahead_ms_max=1_000)
    before = clock.tick(wall)
    remote = stamp_of(wall + ahead, counter)
    if ahead > 1_000:
        with pytest.raises(TooFarAhead) as refused:
            clock.merge(remote, wall)
        assert (refused.value.ahead_ms, refused.value.allowed_ms) == (ahead, 1_000)
        assert clock.last == before
    else:
        assert clock.merge(remote, wall) > max(remote, before)


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2_000)), min_size=1))
def test_nothing_told_is_ever_minted_again_after_a_restart(steps: list[tuple[int, int]]):
    """The wall clock may stand anywhere when the node comes back: what was told lies below the persisted ceiling."""
    clock, persisted, told = HybridClock(), 0, 0
    for what, wall_ms in steps:
        if what == 0:
            clock = HybridClock(persisted)
            continue
        stamp = clock.tick(wall_ms) if what == 1 else clock.merge(stamp_of(wall_ms + 900), wall_ms)
        ceiling = clock.reserve()
        persisted = persisted if ceiling is None else ceiling
        assert stamp > told, "a stamp was used twice, or went back"
        told = stamp
        assert persisted >= told


def test_a_ceiling_is_written_seldom_and_is_near():
    clock = HybridClock(reserve_ms=250)
    written = [ms for ms in range(1_000, 11_000) for _ in range(3) if clock.tick(ms) and clock.reserve() is not None]
    assert len(written) <= 10_000 / 250 + 1
    assert clock.reserve() is None
    assert HybridClock(clock._ceiling).ahead_ms(11_000) <= 250


def test_restarting_again_and_again_without_a_stamp_moves_nothing():
    ceiling = stamp_of(5_000)
    for _ in range(100):
        clock = HybridClock(ceiling)
        assert clock.reserve() is None
    assert HybridClock(ceiling).last == ceiling


def test_a_full_counter_runs_over_into_the_next_millisecond():
    clock = HybridClock(stamp_of(7, 0xFFFE))
    assert [clock.tick(7) for _ in range(2)] == [stamp_of(7, 0xFFFF), stamp_of(8)]


@pytest.mark.parametrize(("ceiling", "reserve_ms"), [(-1, 250), (1 << 63, 250), (0, 0), (0, 1_001)])
def test_what_makes_no_clock_is_refused(ceiling: int, reserve_ms: int):
    with pytest.raises(ValueError, match=r"ceiling|reserve"):
        HybridClock(ceiling, reserve_ms=reserve_ms)
