"""Whoever was disturbed proposes again without looking whether it was done (a counter's retry that counts twice)."""

from random import Random

import pytest

from fathom.sim.schedule import Fault
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.records import Content

breaks = "twice"


def faults(seed: int) -> list[Fault]:
    """Let proposers stand still and meet each other all the time."""
    dice, names, schedule = Random(seed), [f"n{n}" for n in range(1, 6)], []
    for at_ms in range(700, 6_000, 500):
        one, other = dice.sample(names, 2)
        schedule += [
            Fault(at_ms, "pause", (one,), for_ms=dice.choice([100, 300, 450])),
            Fault(at_ms + 50, "slow", (other, dice.choice([name for name in names if name != other])), 400, 100),
            Fault(at_ms + dice.randrange(200), "cut", tuple(dice.sample(names, 2)), for_ms=300),
        ]
    return schedule


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Content, "knows", lambda self, op, count: False)
