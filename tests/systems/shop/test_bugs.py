"""Laws of stock, orders and keys are each seen to catch a bug that shops really had, and not to cry without it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from fathom.history import laws_of, proof, tried
from fathom.systems.shop import laws

from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

BUGS = sorted(file.stem for file in (Path(__file__).parent / "bugs").glob("[!_]*.py"))


def bug(name: str) -> Any:
    return importlib.import_module(f"tests.systems.shop.bugs.{name}")


@pytest.mark.parametrize("name", BUGS)
async def test_a_seeded_bug_breaks_its_law_and_the_same_story_without_it_breaks_none(world: World, name: str):
    law = laws_of(laws)[bug(name).breaks]
    sound = await bug(name).story(world, lambda stores, choices: None)
    assert tried(law, sound) and not list(law(sound))
    history = await bug(name).story(world, bug(name).seed)
    broken = next(iter(law(history)))
    assert broken.law == bug(name).breaks
    assert len(proof(law, broken, history)) == len(set(broken.ops)) > 0
