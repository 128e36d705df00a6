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
MINE = {
    "an_order_costs_what_it_cost", "an_order_goes_only_allowed_ways", "nothing_is_sold_twice",
    "money_equals_the_orders", "no_order_is_left_half_done", "what_a_buyer_was_told_stays_true",
    "an_event_is_told_once_and_in_order", "no_event_comes_to_light_behind_a_reader",
    "nothing_is_told_that_did_not_happen", "read_models_are_the_fold_of_the_log",
    "one_key_has_one_answer", "one_key_has_one_effect", "stock_equals_the_orders", "stock_never_goes_below_nothing",
}  # fmt: skip


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


async def test_each_of_these_laws_has_a_bug_that_breaks_it():
    assert {bug(name).breaks for name in BUGS} == MINE
