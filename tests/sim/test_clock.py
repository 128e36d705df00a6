"""Wall clocks step, monotonic ones do not; both drift."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.sim.clock import EPOCH_MS, Clock
from fathom.sim.world import MS, S, World

PPM = st.integers(-900_000, 900_000)
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 10 * S)),
        st.tuples(st.just("step"), st.integers(-3_600_000, 3_600_000)),
        st.tuples(st.just("drift"), PPM),
    )
)


@pytest.mark.slow
@given(PPM, deeds)
@settings(deadline=None)
def test_a_wall_clock_steps_and_a_monotonic_one_never_goes_back(ppm: int, deeds: list[tuple[str, int]]):
    world = World(0)
    clock = Clock(world, drift_ppm=ppm)
    stepped_ms, last = 0, clock.now()
    for deed, size in deeds:
        if deed == "wait":
            world.run(world.now_ns + size)
        elif deed == "step":
            clock.step(size)
            stepped_ms += size
        else:
            clock.drift(size)
        now = clock.now()
        assert now.mono_ms >= last.mono_ms
        assert deed == "wait" or now.mono_ms == last.mono_ms
        assert now.wall_ms == EPOCH_MS + stepped_ms + now.mono_ms
        last = now


@settings(deadline=None)
@given(PPM, st.integers(0, 100 * S), st.integers(0, 200_000))
def test_a_wait_ends_when_the_clock_shows_what_was_waited_for_and_not_much_later(ppm: int, at_ns: int, mono_ms: int):
    world = World(0)
    clock = Clock(world, drift_ppm=ppm)
    world.run(at_ns)
    before_ms = clock.now().mono_ms
    world.run(world.now_ns + clock.wait_ns(mono_ms))
    assert max(mono_ms, before_ms) <= clock.now().mono_ms <= max(mono_ms, before_ms) + 1


def test_a_fast_clock_is_ahead_by_its_millionths_and_by_its_offset():
    world = World(0)
    clock = Clock(world, offset_ms=30, drift_ppm=200)
    world.run(1_000 * S)
    assert clock.now().mono_ms == 1_000_200 and clock.now().wall_ms == EPOCH_MS + 1_000_230


def test_a_boot_begins_the_monotonic_clock_anew():
    world = World(0)
    clock = Clock(world)
    world.run(5 * MS)
    clock.boot()
    world.run(7 * MS)
    assert (clock.now().mono_ms, clock.now().wall_ms) == (2, EPOCH_MS + 7)
