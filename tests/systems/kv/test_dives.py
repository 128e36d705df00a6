"""The store's dives fit their time, and count what can be known beforehand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fathom.cli.bodies import Maker
from fathom.engines.keeper import Keeper
from fathom.errors import FathomError
from fathom.history import laws_of
from fathom.lab.machine import Placement
from fathom.lab.plan import PACES, Plan, draw, on_engines
from fathom.lab.run import Ended, carry_out
from tests.conftest import on_any_machine
from tests.features import feature

from .test_decisions import KV

FEWER = {"strong": 1, "conflict": 2, "detection": 4, "repair": 1, "quorum": 1}  # worlds: enough to see what is found


async def dived(name: str, root: Path, only: tuple[str, ...] = (), **settings: str) -> dict[str, float | None]:
    """Carry a dive out to its record, small and in silence; return what it counted by approach, point and name."""
    plan = draw(KV, name, placement=Placement.here(), only=only, settings=settings)
    module = sys.modules[plan.dive.__module__]
    with pytest.MonkeyPatch.context() as patch:
        on_any_machine(patch)
        if name in FEWER:
            assert FEWER[name] < module.WORLDS
            patch.setattr(module, "WORLDS", FEWER[name])
        return await _carried_out(plan, root)


async def _carried_out(plan: Plan, root: Path) -> dict[str, float | None]:
    laws = laws_of(KV.room("laws")) if KV.has("laws") else {}
    async with Keeper.open() as keeper:
        ended = await carry_out(plan, Maker(keeper, KV, plan.question), laws=laws, root=root)
    assert ended.state == "complete", ended.why
    assert (ended.folder / "record.md").is_file()
    failed = [finding.says for finding in broken(ended)]
    assert not failed
    return {f.id.removeprefix("state/"): f.value for f in ended.findings if f.id.startswith("state/")}


def broken(ended: Ended) -> list:
    return [f for f in ended.findings if f.verdict == "failed" and f.how in ("prediction", "law", "control")]


@pytest.mark.parametrize("mode", PACES)
@pytest.mark.parametrize("dive", KV.dives)
def test_a_dive_fits_the_time_of_its_mode_and_foretells_something(dive: str, mode):
    plan = draw(KV, dive, placement=Placement.of([0, 1]), mode=mode)
    assert plan.lasts_s <= plan.budget_s
    assert not on_engines(plan.question, plan.dive), "what is simulated, or one store of its own, needs no cluster"
    assert plan.predictions


def test_every_question_has_a_dive():
    asked = {draw(KV, dive, placement=Placement.of([0, 1])).question.name for dive in KV.dives}
    assert asked == set(KV.decisions)


@pytest.mark.slow
async def test_a_dive_that_wants_no_engines_is_told_when_it_uses_them_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def trial(dive: Any, approach: Any, turn: Any) -> dict[str, float]:
        return {"passed": approach.cluster.size}

    monkeypatch.setattr(draw(KV, "bloom", placement=Placement.of([0, 1])).dive, "trial", trial)
    with pytest.raises(FathomError, match=r"the dive bloom asks the approach for its cluster\.size"):
        await dived("bloom", tmp_path)


@pytest.mark.slow
async def test_what_a_placement_moves_is_counted_and_written_down(tmp_path: Path):
    found = await dived("placement", tmp_path, nodes="5")
    assert found["rendezvous/5/moved_going"] == 1
    assert found["modulo/5/moved_coming"] == pytest.approx(3, abs=0.01)


@pytest.mark.slow
async def test_the_same_seed_counts_the_same_in_a_simulated_world(tmp_path: Path):
    once, again = [await dived("strong", tmp_path / run, clients="4") for run in ("once", "again")]
    assert once == again
    assert once["caspaxos/4/lost"] == 0 and (once["quorum/4/lost"] or 0) > 0


@pytest.mark.slow
@feature("KV-44")
async def test_siblings_lose_nothing_and_by_the_wall_clock_writes_lose_against_what_was_read(tmp_path: Path):
    found = await dived("conflict", tmp_path, skew_ms="400")
    assert found["siblings/400/lost"] == 0 and found["last-write-wins/400/outdone"] == 0
    assert (found["wall-clock/400/outdone"] or 0) > 20


@pytest.mark.slow
async def test_a_starved_observer_suspects_the_living_unless_it_asks_whether_that_is_odd(tmp_path: Path):
    found = await dived("detection", tmp_path, starved_ms="80")
    assert (found["fixed-timeout/80/suspected_wrongly"] or 0) > 10 * (found["phi-accrual/80/suspected_wrongly"] or 0)
    assert (found["fixed-timeout/80/noticed_s"] or 0) < (found["phi-accrual/80/noticed_s"] or 0)


@pytest.mark.slow
async def test_ten_bits_of_a_real_filter_let_about_a_hundredth_pass(tmp_path: Path):
    found = await dived("bloom", tmp_path, bits="10")
    assert 0.004 < (found["full/10/passed"] or 0) < 0.02
    assert found["none/10/passed"] == 1


@pytest.mark.slow
async def test_merging_late_writes_less_and_keeps_more(tmp_path: Path):
    found = await dived("compaction", tmp_path, keys="5000")
    leveled, universal = (
        {name: found[f"{which}/5000/{name}"] or 0 for name in ("write_amplification", "space_mean")}
        for which in ("leveled", "universal")
    )
    assert 1 < leveled["space_mean"] < universal["space_mean"]
    assert 1 < universal["write_amplification"] < leveled["write_amplification"]


@pytest.mark.slow
@feature("KV-16", "KV-18")
async def test_hints_die_with_their_keeper_and_digests_do_not(tmp_path: Path):
    found = await dived("repair", tmp_path, only=("hints", "merkle"), keeper="dies")
    assert found["hints/dies/stale_after_60_s"] == found["hints/dies/stale"] != 0
    assert found["merkle/dies/stale_after_60_s"] == 0


@pytest.mark.slow
async def test_stand_ins_take_writes_that_a_majority_of_the_dead_cannot(tmp_path: Path):
    found = await dived("quorum", tmp_path, only=("majority", "sloppy"), dead="2")
    assert found["majority/2/stale"] == 0
    assert (found["sloppy/2/writes_failed"] or 0) < (found["majority/2/writes_failed"] or 0) / 5
