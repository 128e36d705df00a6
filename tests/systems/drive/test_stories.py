"""Each story ends well; with the bug that it is about it does not."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from fathom.errors import Refusal

from . import stories
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

HERE = Path(__file__).parent / "bugs" / "service"
BUGS = sorted(file.stem for file in HERE.glob("[!_]*.py"))
STORIES = [
    stories.a_chunk_that_was_promised_stays,
    stories.a_condemned_chunk_lives_again,
    stories.a_chunk_comes_to_be_needed_while_it_is_swept,
    stories.nothing_goes_before_the_grace,
    stories.a_slow_gift_is_not_taken_for_dead,
    stories.a_gift_that_came_too_late_is_refused,
    stories.the_journal_has_no_gap,
    stories.what_is_told_has_no_gap,
    stories.no_more_begins_than_there_is_room_for,
    stories.what_is_damaged_heals_when_it_comes_again,
    stories.what_is_left_of_a_pack_is_written_anew,
    stories.an_edit_is_done_once,
    stories.no_byte_is_lost_beside_the_collector,
]


def bug(name: str) -> Any:
    return importlib.import_module(f"tests.systems.drive.bugs.service.{name}")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_story_ends_well(world: World, story: Any):
    await story(world, lambda stores: None)


@pytest.mark.parametrize("name", BUGS)
async def test_a_seeded_bug_is_noticed(world: World, name: str):
    with pytest.raises((AssertionError, Refusal)):
        await bug(name).story(world, bug(name).seed)


async def test_every_bug_has_a_story_that_ends_well_without_it():
    assert {bug(name).story for name in BUGS} <= set(STORIES)
