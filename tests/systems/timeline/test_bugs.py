"""Each law is seen to catch a bug that timelines really had, and not to cry without it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from fathom.history import laws_of
from fathom.systems.timeline import laws

from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

HERE = Path(__file__).parent / "bugs"
BUGS = sorted(file.stem for file in HERE.glob("[!_]*.py"))


def bug(name: str) -> Any:
    return importlib.import_module(f"tests.systems.timeline.bugs.{name}")


@pytest.mark.parametrize("name", BUGS)
async def test_a_seeded_bug_breaks_its_law(world: World, name: str):
    crowd = await bug(name).story(world, bug(name).seed)
    broken = {it.law for it in crowd.broken()}
    assert bug(name).breaks in broken, broken


@pytest.mark.parametrize("name", BUGS)
async def test_the_same_story_without_the_bug_breaks_none(world: World, name: str):
    crowd = await bug(name).story(world, lambda stores, fanout: None)
    crowd.check()


async def test_every_law_has_a_bug_that_breaks_it():
    assert {bug(name).breaks for name in BUGS} == set(laws_of(laws))
