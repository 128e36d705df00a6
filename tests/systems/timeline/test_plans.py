"""The timeline's dives fit the time that each mode gives them."""

from __future__ import annotations

import pytest

from fathom.lab.machine import Placement
from fathom.lab.plan import PACES, Mode, draw

from .brief import TIMELINE


@pytest.mark.parametrize("dive", TIMELINE.dives)
def test_a_dive_fits_its_five_minutes_and_foretells_something(dive: str):
    plan = draw(TIMELINE, dive, placement=Placement.of([0, 1]))
    assert plan.lasts_s <= plan.budget_s == 300
    assert plan.predictions


@pytest.mark.parametrize("mode", PACES)
def test_the_celebrity_goes_through_every_fault_in_its_time(mode: Mode):
    plan = draw(TIMELINE, "celebrity", placement=Placement.of([0, 1]), mode=mode)
    assert plan.lasts_s <= plan.budget_s
    assert len(plan.faults) == {"quick": 1, "default": 2, "deep": 10}[mode]
