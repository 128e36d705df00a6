"""What a walk met twice or passed over is told, by the quick way and by the one that anybody can see is right."""

from __future__ import annotations

import random

import pytest

from fathom.blocks.walks import There, Walk, met_again


def passed_over(things: list[tuple[float, int]], walk: Walk) -> list[int]:
    """The same, by looking at everything."""
    met = {key for page in walk.pages for key in page}
    bottom = float("-inf") if walk.whole else min(met, default=float("inf"))
    return sorted(key for from_s, key in things if from_s < walk.began_s and key >= bottom and key not in met)


@pytest.mark.parametrize("seed", range(7, 10))
def test_the_quick_way_tells_what_looking_at_everything_tells(seed: int):
    dice, told = random.Random(seed), 0
    for _ in range(400):
        things = [(dice.random() * 10, key) for key in dice.sample(range(100), dice.randint(0, 30))]
        seen = sorted((key for _, key in things if dice.random() < 0.8), reverse=True)
        pages = [seen[at : at + 4] for at in range(0, dice.randint(0, len(seen)), 4)]
        walk = Walk(dice.random() * 10, pages, whole=dice.random() < 0.3)
        found = list(There(things).passed_over(walk))
        assert found == passed_over(things, walk), f"seed {seed}"
        told += len(found)
    assert told > 100


def test_what_is_met_three_times_is_met_again_twice():
    walk = Walk(0.0, [[5, 4, 4], [4, 3]], whole=True)
    assert [(again.thing, again.first, again.again) for again in met_again(walk)] == [(4, 0, 0), (4, 0, 1)]


def test_a_walk_that_saw_nothing_and_did_not_end_passes_over_nothing():
    there = There([(0.0, 1)])
    assert list(there.passed_over(Walk(1.0, [], whole=False))) == []
    assert list(there.passed_over(Walk(1.0, [[]], whole=True))) == [1]
    assert list(there.passed_over(Walk(0.0, [[]], whole=True))) == [], "it came as the walk began"
