"""The dive about orders: what a home costs in each is what is known of it, and every law holds in all of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fathom.lab.dive import Outage
from fathom.lab.machine import Placement
from fathom.lab.plan import draw

from .brief import TIMELINE, carried_out, counted_once
from .world import RANKINGS


def test_all_orders_are_compared_and_none_is_a_control():
    plan = draw(TIMELINE, "ranking", placement=Placement.of([0, 1]))
    assert set(plan.choices) == set(RANKINGS) and not plan.controls


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.usefixtures("any_machine")
async def test_an_order_costs_five_commands_and_knowing_the_reader_a_statement(tmp_path: Path):
    only = ["chronological", "personal"]
    plan = draw(TIMELINE, "ranking", placement=Placement.here(), mode="quick", only=only, settings={"liked": "200"})
    plan = dataclasses.replace(counted_once(plan), faults=(Outage("cache", from_s=0.8, until_s=1.1),))
    ended = await carried_out(plan, tmp_path)
    assert ended.state == "complete", ended.why
    found = {finding.id: finding for finding in ended.findings}
    cost = {each: found[f"census/{each}/200/home.commands"].value for each in only}
    assert cost == {"chronological": 2, "personal": 7}
    assert found["census/personal/200/home.statements"].value == 1
    verdicts: dict[str, set[str]] = {}
    for finding in ended.findings:
        verdicts.setdefault(finding.how, set()).add(str(finding.verdict))
    assert verdicts["closed form"] == {"held"}
    assert "failed" not in verdicts["law"]
    for each in only:
        assert found[f"law/{each}/paging_visits_each_post_once"].verdict == "held"
