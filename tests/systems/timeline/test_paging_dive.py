"""The dive about paging: the depth costs who skips, the controls are caught, and the right way is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fathom.lab.dive import Outage
from fathom.lab.machine import Placement
from fathom.lab.plan import draw

from .brief import TIMELINE, carried_out, counted_once

APART = Placement(generator=frozenset({0}), system=frozenset({1}))
LAW = "a_walk_meets_once_what_was_there"


def test_both_ways_that_miss_posts_are_weighed_beside_the_right_one():
    plan = draw(TIMELINE, "paging", placement=APART)
    assert list(plan.choices) == ["keyset"] and set(plan.weighed) == {"offset", "time-cursor"}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("any_machine")
async def test_depth_costs_who_skips_and_both_controls_are_caught(tmp_path: Path):
    asked = {"mode": "quick", "settings": {"depth": "40,8000"}}
    plan = counted_once(draw(TIMELINE, "paging", placement=Placement.here(), **asked))
    plan = dataclasses.replace(plan, faults=(Outage("truth", from_s=1.6, until_s=1.9),))
    ended = await carried_out(plan, tmp_path)
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    verdicts = {approach: found[f"control/{approach}"] for approach in ("offset", "time-cursor")}
    assert {it.verdict for it in verdicts.values()} == {"held"}
    assert all(it.detail["laws"] == [LAW] for it in verdicts.values())
    assert found[f"law/keyset/{LAW}"].verdict == "held"
    near, far = (found[f"census/offset/{depth}/page.cpu_s"].value for depth in (40, 8_000))
    assert near is not None and far is not None and far > 2 * near, "reading 8,000 to throw them away is work"
    assert found["census/keyset/8000/page.rows"].value == 20
