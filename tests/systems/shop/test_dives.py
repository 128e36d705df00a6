"""The shop's dives fit their time, count what is known beforehand, and catch the controls."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.engines.ledger import charging, work
from fathom.history import laws_of
from fathom.lab.dive.operation import Turn
from fathom.lab.machine import Placement
from fathom.lab.plan import PACES, draw
from fathom.systems.shop import laws
from fathom.systems.shop.dives.idempotency import Idempotency
from fathom.systems.shop.dives.rush import Rush
from fathom.systems.shop.dives.stock import Stock
from tests.features import feature

from .world import SHOP, World, basket

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]


@pytest.mark.parametrize("mode", PACES)
@pytest.mark.parametrize("dive", SHOP.dives)
async def test_a_dive_fits_the_time_of_its_mode_and_foretells_something(dive: str, mode: Any):
    plan = draw(SHOP, dive, placement=Placement.of([0, 1]), mode=mode)
    assert plan.lasts_s <= plan.budget_s and plan.predictions


@pytest.mark.parametrize("approach", ["conditional-update", "reservation-rows", "row-lock", "redis"])
async def test_an_order_costs_what_the_dive_says_that_it_does(world: World, approach: str):
    async with world.open({"stock": approach}) as shop:
        (thing,) = await world.goods(shop, 50)
        (ann,) = await world.users(1)
        await shop.checkout(ann, basket((thing.id, 1)))  # the first one finds nothing of what is remembered
        with charging(f"buying by {approach}"):
            await shop.checkout(ann, basket((thing.id, 1)))
        spent = work.snapshot()[f"buying by {approach}"]
        told = Stock().expects(approach, "buy", 1)
        assert {name: spent.get(name, 0) * 16 for name in told} == told


def built(world: World, decision: str, approach: str, **knobs: str) -> Any:
    question = SHOP.decision(decision)
    return question.build(question.choice(approach, knobs), world.stores)


async def counted(dive: Any, world: World, approach: Any, **at: str) -> tuple[dict[str, float], set[str]]:
    """Have a dive count by itself; return its numbers, and the laws that its history breaks."""
    ((swept, point),) = at.items()
    await dive.prepare(world.stores, approach, [point])
    numbers, history = await dive.trial(approach, Turn(f"seed 7 {point}", 0, swept, point))
    return numbers, {broken.law for law in laws_of(laws).values() for broken in law(history)}


@feature("SHOP-21")
@pytest.mark.parametrize("approach", ["batching", "read-then-write"])
async def test_of_a_rush_nobody_goes_with_what_is_not_there_but_from_the_control(world: World, approach: str):
    found, broken = await counted(Rush(), world, built(world, "stock", approach), rows="sorted")
    assert found["served"] + found["refused"] + found["gave_up"] == 500
    assert (found["oversold"] > 0, broken) == (
        (True, {"nothing_is_sold_twice"}) if approach == "read-then-write" else (False, set())
    )
    assert approach == "read-then-write" or 90 <= found["served"] <= 100


@pytest.mark.parametrize(
    ("approach", "knobs", "rows"),
    [("optimistic", {"tries": "1"}, "sorted"), ("row-lock", {}, "basket")],
)
async def test_who_was_told_to_come_again_is_not_counted_as_refused_and_circles_are_the_databases_own_count(
    world: World, approach: str, knobs: dict[str, str], rows: str
):
    found, broken = await counted(Rush(), world, built(world, "stock", approach, **knobs), rows=rows)
    print(found)
    assert found["served"] + found["refused"] + found["gave_up"] == 500 and not broken
    assert found["gave_up"] > 0 and found["deadlocks"] == (found["gave_up"] if rows == "basket" else 0)


@feature("SHOP-22")
@pytest.mark.parametrize(
    ("approach", "first", "twice"),
    [
        ("same-transaction", "killed-after", 0), ("in-cache", "killed-after", 100), ("none", "answered", 100),
    ],
)  # fmt: skip
async def test_a_key_where_its_effect_is_has_one_effect_wherever_it_was_killed(
    world: World, approach: str, first: str, twice: int
):
    keys = built(world, "idempotency", approach, **({"claim_s": "0.05"} if approach == "in-cache" else {}))
    found, broken = await counted(Idempotency(), world, keys, first=first)
    assert found["twice"] == twice and ("one_key_has_one_effect" in broken) == (twice > 0)
