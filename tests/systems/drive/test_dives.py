"""The drive's dives fit their time, count what is known beforehand, and catch the control."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fathom.cli.bodies import Maker
from fathom.engines.keeper import Keeper
from fathom.history import laws_of
from fathom.lab.machine import Placement
from fathom.lab.plan import PACES, draw
from fathom.lab.run import Ended, carry_out
from fathom.systems import find
from fathom.systems.drive.decisions.notify.poll import Poll
from fathom.systems.drive.dives import metadata, notify, sharding, upload
from tests.features import feature

DRIVE = find("drive")


async def dived(name: str, root: Path, **settings: str) -> Ended:
    ended = await carried_out(name, root, **settings)
    assert not [f.says for f in ended.findings if f.verdict == "failed" and f.how in ("prediction", "control")]
    return ended


async def carried_out(name: str, root: Path, **settings: str) -> Ended:
    plan = draw(DRIVE, name, placement=Placement.here(), settings=settings)
    async with Keeper.open() as keeper:
        ended = await carry_out(plan, Maker(keeper, DRIVE, plan.question), laws=laws_of(DRIVE.room("laws")), root=root)
    assert ended.state == "complete", ended.why
    assert (ended.folder / "record.md").is_file()
    return ended


def counted(ended: Ended) -> dict[str, float | None]:
    return {f.id.removeprefix("state/"): f.value for f in ended.findings if f.id.startswith("state/")}


@pytest.mark.parametrize("mode", PACES)
@pytest.mark.parametrize("dive", DRIVE.dives)
def test_a_dive_fits_the_time_of_its_mode_and_foretells_something(dive: str, mode):
    plan = draw(DRIVE, dive, placement=Placement.of([0, 1]), mode=mode)
    assert plan.lasts_s <= plan.budget_s and plan.predictions


@pytest.mark.slow
@feature("DRIVE-02", "DRIVE-03", "DRIVE-05", "DRIVE-07")
async def test_a_kilobyte_in_front_moves_one_chunk_or_the_whole_file(tmp_path: Path):
    found = counted(await dived("chunking", tmp_path, kib="64"))
    assert (found["content-defined/64/moved_in_front_kib"] or 0) < 2 * 4 * 64
    assert found["fixed/64/moved_in_front_kib"] == found["whole/64/moved_in_front_kib"] == 24 * 1_024 + 1
    assert found["whole/64/rows_a_small_file"] == 1


@pytest.mark.slow
@feature("DRIVE-67", "DRIVE-68", "DRIVE-70")
async def test_the_last_writer_wins_over_what_nobody_was_told_of_and_a_version_makes_copies(tmp_path: Path):
    ended = await dived("conflict", tmp_path, apart_minutes="60")
    found = counted(ended)
    assert found["versions/60/unseen"] == 0 and found["versions/60/copies"] == found["versions/60/refused"] != 0
    assert (found["last-writer/60/unseen"] or 0) > 50
    control = next(f for f in ended.findings if f.id == "control/last-writer")
    assert control.verdict == "held" and control.detail["laws"] == ["nothing_is_overwritten_unseen"]


@pytest.mark.slow
@feature("DRIVE-37", "DRIVE-39")
async def test_by_user_a_commit_is_in_one_database_and_what_grows_too_large_is_moved_by_whole_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sharding, "PEOPLE", 250)
    found = counted(await dived("sharding", tmp_path, databases="4"))
    assert found["user/4/in_a_commit"] == found["user/4/asked_for_a_page"] == 1
    assert (found["file/4/asked_for_a_page"] or 0) > 2.5 and (found["folder/4/rows_carried_a_move"] or 0) > 5
    assert (found["user/4/fullest"] or 0) > 1.2 > 1.1 > (found["user/4/fullest_after_moving_shards"] or 0)


@pytest.mark.slow
@feature("DRIVE-55", "DRIVE-65")
async def test_who_is_told_hears_at_once_and_asks_least(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notify, "PEOPLE", 5)
    found = counted(await dived("notify", tmp_path, saves="6"))
    assert found["push/6/heard_ms_most"] == found["long-poll/6/heard_ms_most"] == 0
    assert (found["poll/6/heard_ms_p50"] or 0) > 1_500 and found["poll/6/requests"] == 720
    assert (found["push/6/questions"] or 0) < (found["poll/6/questions"] or 0) / 3


@pytest.mark.slow
def test_a_device_asks_as_often_as_it_was_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(notify, "PEOPLE", 2)
    assert notify.hour(Poll(poll_s=60.0), Random(7), saves=0)["requests"] == 60


@pytest.mark.slow
async def test_however_many_packs_are_under_way_the_same_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upload, "CHUNK_BYTES", 1 << 10)
    monkeypatch.setattr(upload, "TURNS", 1)
    found = counted(await carried_out("upload", tmp_path, rtt_ms="0"))
    asked = (upload.PACKS + 2) / (upload.PACKS * upload.CHUNKS << 10)  # a session, the packs, a commit
    for approach in ("one", "four", "sixteen"):
        assert found[f"{approach}/0/requests_a_gb"] == asked * (1 << 30)
        assert (found[f"{approach}/0/beside_one"] or 0) > 0


@pytest.mark.slow
@feature("DRIVE-51")
async def test_with_marks_nobody_is_told_anything_old_and_the_control_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, few in {"QUESTIONS": 40, "FOLDERS": 3, "FILES": 4, "AT_ONCE": 3, "OF_EACH": 8}.items():
        monkeypatch.setattr(metadata, name, few)
    ended = await dived("metadata", tmp_path, a_write="10")
    found = counted(ended)
    assert found["invalidation/10/old_answers"] == found["write-through/10/old_answers"] == 0
    assert (found["ttl/10/old_answers"] or 0) > 5
    assert found["none/10/crowd_statements"] == 600 and found["invalidation/10/crowd_statements"] == 202
    control = next(f for f in ended.findings if f.id == "control/ttl")
    assert control.verdict == "held" and control.detail["laws"] == ["nothing_older_is_read_than_was_acknowledged"]
