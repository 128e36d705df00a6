"""What comes to a process reaches it in order, at once or later, or finds it dead."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom.sim.process import Process
from fathom.sim.world import MS, World


def process(seed: int = 0) -> tuple[World, Process, list[tuple[int, int, int]]]:
    """Return a process, and what it has handled: life, event, when."""
    world, handled = World(seed), list[tuple[int, int, int]]()
    lives = iter(range(100))

    def born():
        life = next(lives)
        return lambda event: handled.append((life, event, world.now_ns))

    return world, Process(world, "n1", born), handled


def test_a_paused_process_gets_its_events_later_and_in_order():
    world, one, handled = process()
    one.start()
    one.take(0)
    one.pause()
    for event in (1, 2, 3):
        one.take(event)
    world.run(50 * MS)
    assert handled == [(0, 0, 0)]
    one.resume()
    one.take(4)
    assert handled[1:] == [(0, event, 50 * MS) for event in (1, 2, 3, 4)]


def test_a_starved_process_handles_one_thing_after_another():
    world, one, handled = process()
    one.start()
    one.starve(10 * MS)
    for event in range(200):
        one.take(event)
    world.run()
    assert [event for _, event, _ in handled] == list(range(200))
    assert 1_400 * MS < handled[-1][2] < 2_600 * MS


deeds = st.lists(
    st.sampled_from(["take", "take", "take", "wait", "pause", "resume", "starve", "feed", "crash", "start"])
)


@pytest.mark.slow
@given(st.integers(), deeds)
@settings(deadline=None)
def test_in_every_life_events_are_handled_in_order_and_none_is_left_out(seed: int, deeds: list[str]):
    world, one, handled = process(seed)
    one.start()
    taken: list[list[int]] = [[]]
    for number, deed in enumerate(deeds):
        if deed == "take":
            one.take(number)
            if one.alive:
                taken[-1].append(number)
        elif deed == "wait":
            world.run(world.now_ns + 3 * MS)
        elif deed in ("starve", "feed"):
            one.starve(2 * MS if deed == "starve" else 0)
        else:
            taken += [[]] if deed == "start" and not one.alive else []
            getattr(one, deed)()
    one.resume()
    world.run()
    for life, events in enumerate(taken):
        of_life = [event for lived, event, _ in handled if lived == life]
        assert of_life == (events if life == len(taken) - 1 and one.alive else events[: len(of_life)])


def test_the_dead_get_nothing_and_the_next_life_nothing_of_theirs():
    world, one, handled = process()
    one.start()
    one.pause()
    one.take(1)
    one.crash()
    one.take(2)
    one.start()
    one.take(3)
    world.run()
    assert handled == [(1, 3, 0)]
    assert world.counters["an event found its process dead"] == 1
