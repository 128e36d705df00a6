"""The questions of a drive and their answers: which way to cut, and whose bytes are kept."""

from __future__ import annotations

import pytest

from fathom.blocks.chunking import KIB, Cutting
from fathom.design import Choice
from fathom.systems import find
from fathom.systems.drive.model import CUTTING
from tests.features import feature

DRIVE = find("drive")


def built(question: str, approach: str, **knobs: int):
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
