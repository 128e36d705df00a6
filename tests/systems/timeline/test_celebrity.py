"""The dive about celebrities counts what theory says, and what Redis says itself; and says what the target takes."""

import asyncio
import dataclasses
from pathlib import Path

import pytest

from fathom.lab.dive import Turn
from fathom.lab.machine import Placement
from fathom.lab.plan import draw
from fathom.lab.runs import Run
from fathom.systems.timeline.api import PAGE_POSTS_MAX
from fathom.systems.timeline.dives.celebrity import Celebrity
from fathom.systems.timeline.model import TimelineModel
from tests.conftest import on_any_machine

from .brief import TIMELINE, carried_out, made_once

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A real dive at two small stars."""

    def dive(folder: Path) -> Path:
        plan = draw(
            TIMELINE,
            "celebrity",
            placement=Placement.here(),
            mode="quick",
            only=["on-write", "on-read"],
            settings={"fans": "40,1100"},
        )
        with pytest.MonkeyPatch.context() as patch:
            on_any_machine(patch)
            return asyncio.run(carried_out(dataclasses.replace(plan, faults=()), folder)).folder

    return Run(made_once(tmp_path_factory, "celebrity", dive))


@pytest.mark.feature("TL-11", "METHOD-01")
def test_a_pushed_post_costs_a_command_for_each_fan_and_one_for_each_thousand(run: Run):
    assert run.manifest.state == "complete"
    found = {finding.id: finding for finding in run.findings}
    for fans, commands in ((40, 2 + 40 + 1), (1_100, 2 + 1_100 + 2)):
        counted = found[f"census/on-write/{fans}/post.commands"]
        assert counted.exact and counted.value == commands
        assert found[f"closed-form/on-write/{fans}/post.commands"].verdict == "held"
        assert found[f"census/on-read/{fans}/post.commands"].value == 1
    assert found["cross-check/on-write/cache.commands"].verdict == "held"  # Redis's own INFO commandstats


def test_every_law_that_a_star_tries_is_held_and_the_record_has_its_five_parts(run: Run):
    laws_of_it = {(f.measure, f.verdict) for f in run.findings if f.how == "law"}
    untried = {"nothing_from_the_blocked", "nothing_deleted", "likes_equal_the_likers"}
    untried |= {"an_author_reads_their_own_post_at_once"}  # the stars do not read
    untried |= {"a_walk_meets_once_what_was_there", "who_walks_up_passes_over_nothing"}
    untried |= {"no_post_waits_for_the_rest_of_others", "a_sampled_home_has_its_share"}  # other dives are about these
    untried |= {
        "likes_are_counted_in_time",
        "what_trends_is_as_fresh_as_promised",
        "what_trends_is_made_by_few_at_once",
    }
    untried |= {"no_attached_file_is_lost"}  # and nobody sends a picture
    untried |= {"nothing_from_the_muted", "a_home_shows_a_boosted_post_once", "a_notice_is_given_once"}
    assert {law for law, verdict in laws_of_it if verdict == "not tried"} == untried
    assert {verdict for law, verdict in laws_of_it if law not in untried} == {"held"}
    record = (run.folder / "record.md").read_text()
    for part in ("Problem", "Approaches", "Trade-offs", "Decision", "Failure modes"):
        assert f"## {part}" in record or f". {part}" in record


@pytest.mark.feature("SOCIAL-17")
def test_the_record_says_what_the_target_takes_in_servers_storage_bandwidth_and_money(run: Run):
    found = {finding.id: finding for finding in run.findings}
    for approach in ("on-write", "on-read"):
        for measure in ("servers", "memory_bytes", "stored_bytes", "network_bytes_per_s", "usd_per_month"):
            told = found[f"scale/{approach}/{measure}"]
            assert told.value and told.low and told.high and told.low <= told.value <= told.high
    record = (run.folder / "record.md").read_text()
    assert "For 200 M users: 14 k post/s, 300 k home/s" in record


@pytest.mark.feature("SOCIAL-14")
def test_the_record_says_what_breaks_first_at_ten_times_the_target_and_why(run: Run):
    for approach in ("on-write", "on-read"):
        first = [f for f in run.findings if f.id.startswith(f"room/{approach}/") and f.verdict == "first"]
        assert len(first) == 1 and first[0].says
        assert set(first[0].detail["at"]) == {"1", "2", "10"}
        assert first[0].detail["at"]["10"] in ("breaks", "may break")


async def test_a_post_is_seen_though_a_page_and_more_was_written_since():
    """Beyond its capacity a star writes more than a page while its fans wait to look: that loses nothing."""
    model = TimelineModel()
    star, fan = [await model.join(name, "a long password") for name in ("star", "fan")]
    await model.follow(fan.id, star.id)
    dive = Celebrity()
    dive.stars, dive.fans_of = {1: star.id}, {1: [fan.id]}
    turn = Turn("1", 0, "fans", 1)
    posted = [await model.post(star.id, f"number {at}") for at in range(PAGE_POSTS_MAX + 5)]
    look = Celebrity.seen.does
    assert all([await look(dive, model, turn, post) for post in posted])
    await model.delete(star.id, posted[0].id)
    assert not await look(dive, model, turn, posted[0])
