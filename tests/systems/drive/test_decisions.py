"""The questions of a drive and their answers: which way to cut, and whose bytes are kept."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fathom.blocks.chunking import KIB, Cutting
from fathom.design import Choice
from fathom.errors import FathomError
from fathom.systems import find
from fathom.systems.drive import service
from fathom.systems.drive.api import SpaceId
from fathom.systems.drive.model import CUTTING
from fathom.systems.drive.stores.shards import shard_of
from tests.features import feature

DRIVE = find("drive")


def built(question: str, approach: str, **knobs: float):
    return DRIVE.decisions[question].build(Choice(approach, knobs), None)


@feature("DRIVE-04")
def test_a_space_tells_how_to_cut_by_an_id_that_stays():
    assert built("chunking", "content-defined").cutting(1) == CUTTING
    assert built("chunking", "fixed", usual_kib=4).cutting(1) == "fixed-4096"
    assert Cutting.of(built("chunking", "whole").cutting(1)).most == 16_384 * KIB


@pytest.mark.parametrize("approach", ["content-defined", "fixed", "whole"])
async def test_another_way_to_cut_takes_over_at_once(approach: str):
    one = built("chunking", approach)
    await one.adopt(built("chunking", "fixed"))


def test_by_version_only_who_knows_the_newest_may_change_and_the_control_asks_nobody():
    versions, wins = built("conflict", "versions"), built("conflict", "last-writer")
    assert versions.admits(3, 3) and not versions.admits(3, 2) and not versions.admits(3, 4)
    assert wins.admits(3, 2)


async def test_what_a_space_tells_its_devices_is_what_was_chosen():
    assert [built("upload", name).packs() for name in ("one", "four", "sixteen")] == [1, 4, 16]
    assert [built("notify", name).how for name in ("poll", "long-poll", "push")] == ["poll", "long-poll", "push"]
    assert built("notify", "poll").every_s() == built("notify", "push").every_s() == 5.0
    assert built("notify", "poll", poll_s=60.0).every_s() == 60.0
    for never in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(FathomError, match="poll_s"):
            built("notify", "poll", poll_s=never)
    await built("upload", "one").adopt(built("upload", "four"))
    await built("notify", "poll").adopt(built("notify", "push"))


async def test_rows_lie_by_user_and_a_service_is_opened_with_nothing_else():
    user, folder, file = (built("sharding", name) for name in ("user", "folder", "file"))
    assert user.shard(1, 2, 3) == user.shard(1, 9, 9) == shard_of(SpaceId(1))
    assert folder.shard(1, 2, 3) == folder.shard(1, 2, 4) != folder.shard(1, 3, 3)
    assert file.shard(1, 2, 3) == file.shard(1, 9, 3) != file.shard(1, 2, 4)
    with pytest.raises(FathomError, match="one database"):
        async with service.open(None, SimpleNamespace(sharding=folder)):  # type: ignore[arg-type]
            pass
    with pytest.raises(FathomError, match="cannot take over"):
        await folder.adopt(user)
