"""The dive about celebrities and crowds: what is sampled costs less, and one line for all is caught."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fathom.lab.dive import Outage
from fathom.lab.machine import Placement
from fathom.lab.plan import draw

from .brief import TIMELINE, carried_out, counted_once

APART = Placement(generator=frozenset({0}), system=frozenset({1}))
LAW = "no_post_waits_for_the_rest_of_others"


def test_the_dive_compares_three_and_a_control():
    plan = draw(TIMELINE, "celebrities", placement=APART)
    assert list(plan.choices) == ["hybrid", "lossy", "on-write"] and list(plan.controls) == ["fifo"]


def test_the_dive_about_who_pays_still_compares_three():
    plan = draw(TIMELINE, "celebrity", placement=APART)
    assert list(plan.choices) == ["hybrid", "on-read", "on-write"] and not plan.controls


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("any_machine")
async def test_a_sample_costs_less_and_a_line_of_whole_posts_is_unfair(tmp_path: Path):
    asked = {"only": ["lossy", "fifo"], "settings": {"follows": "600", "limit": "150"}}
    plan = counted_once(draw(TIMELINE, "celebrities", placement=Placement.here(), mode="quick", **asked))
    plan = dataclasses.replace(plan, faults=(Outage("cache", from_s=1.5, until_s=1.8),))
    ended = await carried_out(plan, tmp_path)
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    sampled = found["census/lossy/600/post.commands"].value
    assert sampled is not None and 23 < sampled < 36, "43 are what it costs to push it to all"
    assert found["control/fifo"].verdict == "held" and found["control/fifo"].detail["laws"] == [LAW]
    for law in (LAW, "no_acknowledged_post_is_lost"):
        assert found[f"law/lossy/{law}"].verdict == "held"
    assert found["law/lossy/a_sampled_home_has_its_share"].verdict == "held"
