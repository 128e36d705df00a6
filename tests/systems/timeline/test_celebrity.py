"""The dive about celebrities counts what theory says, and what Redis says itself."""

import dataclasses

import pytest

from fathom.cli.bodies import Maker
from fathom.engines.keeper import Keeper
from fathom.history import laws_of
from fathom.lab.machine import Placement
from fathom.lab.plan import draw
from fathom.lab.run import carry_out
from fathom.systems import find

TIMELINE = find("timeline")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("any_machine")]


@pytest.mark.feature("TL-11", "METHOD-01")
async def test_a_pushed_post_costs_a_command_for_each_fan_and_one_for_each_thousand(tmp_path):
    plan = draw(
        TIMELINE,
        "celebrity",
        placement=Placement.here(),
        mode="quick",
        only=["on-write", "on-read"],
        settings={"fans": "40,1100"},
    )
    plan = dataclasses.replace(plan, faults=())
    laws = laws_of(TIMELINE.room("laws"))
    async with Keeper.open() as keeper:
        bodies = Maker(keeper, TIMELINE, plan.question, seed=plan.seed)
        ended = await carry_out(plan, bodies, laws=laws, root=tmp_path, tell=lambda line: None)
    assert ended.state == "complete"
    found = {finding.id: finding for finding in ended.findings}
    for fans, commands in ((40, 2 + 40 + 1), (1_100, 2 + 1_100 + 2)):
        counted = found[f"census/on-write/{fans}/post.commands"]
        assert counted.exact and counted.value == commands
        assert found[f"closed-form/on-write/{fans}/post.commands"].verdict == "held"
        assert found[f"census/on-read/{fans}/post.commands"].value == 1
    assert found["cross-check/on-write/cache.commands"].verdict == "held"  # Redis's own INFO commandstats
    laws_of_it = {(f.measure, f.verdict) for f in ended.findings if f.how == "law"}
    untried = {"nothing_from_the_blocked", "nothing_deleted", "likes_equal_the_likers"}
    untried |= {"an_author_reads_their_own_post_at_once"}  # the stars do not read
    untried |= {"nothing_from_the_muted", "a_home_shows_a_boosted_post_once", "a_notice_is_given_once"}
    assert {law for law, verdict in laws_of_it if verdict == "not tried"} == untried
    assert {verdict for law, verdict in laws_of_it if law not in untried} == {"held"}
    record = (ended.folder / "record.md").read_text()
    for part in ("Problem", "Approaches", "Trade-offs", "Decision", "Failure modes"):
        assert f"## {part}" in record or f". {part}" in record
