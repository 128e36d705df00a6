"""The bounds of how many are on have the true number between them, whatever the order of things was."""

from __future__ import annotations

import random

import pytest

from fathom.blocks.toggles import Toggles


@pytest.mark.parametrize("seed", range(40))
def test_the_true_number_lies_within_the_bounds(seed: int):
    """Each call takes effect at some moment within it, one whose answer is lost at any later one or never."""
    dice = random.Random(seed)
    turns: list[tuple[object, float, float | None, bool]] = []
    effects: list[tuple[float, object, bool]] = []
    for who in range(dice.randint(1, 12)):
        for _ in range(dice.randint(1, 6)):
            start_s, on = dice.random() * 10, dice.random() < 0.6
            end_s = start_s + dice.random()
            lost = dice.random() < 0.1
            turns.append((who, start_s, None if lost else end_s, on))
            if not lost or dice.random() < 0.5:
                effects.append((start_s + dice.random() * (5 if lost else end_s - start_s), who, on))
    toggles = Toggles(turns)
    for _ in range(200):
        start_s, late_s = dice.random() * 12, dice.choice([0.0, 0.7])
        end_s = start_s + dice.random() * dice.choice([0.01, 2])
        seen_s = start_s - late_s + dice.random() * (end_s - start_s + late_s)
        on: dict[object, bool] = {}
        for at_s, who, state in sorted(effects, key=lambda effect: effect[0]):
            if at_s <= seen_s:
                on[who] = state
        low, high = toggles.bounds(start_s, end_s, late_s=late_s)
        assert low <= sum(on.values()) <= high


def test_bounds_are_tight_where_all_is_known():
    toggles = Toggles([(who, who, who + 0.5, True) for who in range(10)] + [(3, 20.0, 20.5, False)])
    assert toggles.bounds(15, 16) == (10, 10)
    assert toggles.bounds(21, 22) == (9, 9)
    assert toggles.bounds(19, 20.2) == (9, 10)


def test_two_calls_of_one_at_the_same_time_leave_it_open():
    toggles = Toggles([("ann", 1.0, 3.0, True), ("ann", 2.0, 4.0, False)])
    assert toggles.bounds(5, 6) == (0, 1)
