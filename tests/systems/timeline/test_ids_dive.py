"""The dive about numbers: what is lost is counted, the controls are caught, and the right way is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fathom.lab.machine import Placement
from fathom.lab.plan import draw

from .brief import TIMELINE, carried_out

LAW = "who_walks_up_passes_over_nothing"


def test_both_ways_that_lose_posts_are_controls_and_weighed():
    plan = draw(TIMELINE, "ids", placement=Placement.here())
    assert set(plan.controls) == set(plan.weighed) == {"sequence", "time-random"}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("any_machine")
async def test_what_is_lost_is_counted_and_the_controls_are_caught(tmp_path: Path):
    plan = draw(TIMELINE, "ids", placement=Placement.here(), mode="quick", settings={"skew_ms": "5000"})
    ended = await carried_out(plan, tmp_path)
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    assert found["state/snowflake/5000/lost"].value == 0 and found[f"law/snowflake/{LAW}"].verdict == "held"
    for control in ("sequence", "time-random"):
        assert found[f"control/{control}"].verdict == "held" and found[f"control/{control}"].detail["laws"] == [LAW]
        lost = found[f"state/{control}/5000/lost"].value
        assert lost is not None and lost > 20
    assert "failed" not in {finding.verdict for finding in ended.findings if finding.how == "prediction"}
