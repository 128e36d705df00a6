"""The dives about likes and about what everybody reads: they count what theory says, controls fall."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from fathom.lab.dive import Outage
from fathom.lab.machine import Placement
from fathom.lab.plan import draw
from fathom.lab.run import Ended

from .brief import TIMELINE, carried_out, counted_once

BRIEF = Outage("cache", from_s=0.8, until_s=1.1)


@pytest.mark.parametrize(("dive", "control"), [("counters", "read-then-write"), ("stampede", "none")])
def test_what_is_known_to_be_wrong_is_run_for_its_law_and_not_raced(dive: str, control: str):
    plan = draw(TIMELINE, dive, placement=Placement.of([0, 1]))
    assert list(plan.controls) == [control] and control not in plan.choices
    assert len(plan.choices) == 4


async def dived(name: str, root: Path, only: list[str], **settings: str) -> Ended:
    plan = draw(TIMELINE, name, placement=Placement.here(), mode="quick", only=only, settings=settings, budget_s=300)
    plan = dataclasses.replace(counted_once(plan), faults=(BRIEF,))
    return await carried_out(plan, root)


def verdicts(ended: Ended, how: str) -> dict[str, Any]:
    return {finding.id.partition("/")[2]: finding.verdict for finding in ended.findings if finding.how == how}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("any_machine")
async def test_sixteen_likes_cost_what_theory_says_and_who_writes_back_what_they_read_is_caught(tmp_path: Path):
    ended = await dived("counters", tmp_path, ["row-lock", "on-read", "read-then-write"], likes="50,2000")
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    for likes in (50, 2_000):
        assert found[f"census/row-lock/{likes}/like.statements"].value == 32
        assert found[f"census/on-read/{likes}/like.statements"].value == 16
        assert found[f"census/on-read/{likes}/home.statements"].value == 1
    assert set(verdicts(ended, "closed form").values()) == {"held"}
    assert verdicts(ended, "cross-check")["row-lock/cache.commands"] == "held"
    assert verdicts(ended, "control") == {"read-then-write": "held"}, "it is there to be caught, and was"
    assert "likes_equal_the_likers" in found["control/read-then-write"].detail["laws"]
    kept = verdicts(ended, "law")
    for approach in ("row-lock", "on-read"):
        assert kept[f"{approach}/likes_equal_the_likers"] == "held"
        assert kept[f"{approach}/likes_are_counted_in_time"] == "held"
    assert "failed" not in kept.values()


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("any_machine")
async def test_readers_of_what_trends_are_given_what_is_fresh_and_a_crowd_of_makers_is_caught(tmp_path: Path):
    ended = await dived("stampede", tmp_path, ["lease", "single-flight", "none"], hours="3,24")
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    for approach in ("lease", "single-flight"):
        statements = found[f"census/{approach}/24/read.statements"].value
        assert statements is not None and 1.0 <= statements < 1.2, "of many reads few make it"
    assert verdicts(ended, "control") == {"none": "held"}, "it is there to be caught, and was"
    assert found["control/none"].detail["laws"] == ["what_trends_is_made_by_few_at_once"]
    kept = verdicts(ended, "law")
    for approach in ("lease", "single-flight"):
        assert kept[f"{approach}/what_trends_is_as_fresh_as_promised"] == "held"
        assert kept[f"{approach}/what_trends_is_made_by_few_at_once"] == "held"
    assert "failed" not in kept.values()
