"""Each bug that a sync client of the field had is caught by the simulation.

A bug may say which world has `shown` it: that one is run first. Worlds change with the simulation, so others follow.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

import pytest

from fathom.systems.drive.simulation.run import simulate

from ..bugs import client as bugs

BUGS = sorted(module.name for module in pkgutil.iter_modules(bugs.__path__))
SEARCHED = 200


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_a_bug_of_the_field_is_caught(name: str):
    bug: Any = importlib.import_module(f"{bugs.__name__}.{name}")
    said: list[str] = []
    for seed in (getattr(bug, "shown", 0), *range(SEARCHED)):
        with pytest.MonkeyPatch.context() as patch:
            bug.seed(patch)
            said += simulate(seed).broken
        if any(bug.breaks in sentence for sentence in said):
            print(f"{name}: seed {seed}")
            return
    pytest.fail(f"{SEARCHED} seeds did not notice; they said {said}")


def test_there_are_bugs_to_catch():
    assert len(BUGS) >= 10
