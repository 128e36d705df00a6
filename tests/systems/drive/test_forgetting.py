"""A journal is not kept for ever: who comes too late reads the whole tree, and is never told a part for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Cursor, Make, Move
from fathom.systems.drive.client.place import Place

from .client.device import all_one, device
from .world import RULES, Somebody, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

HISTORY_MS = 10_000
FORGETS = replace(RULES, history_ms=HISTORY_MS, thorough_every=1, batch=3)


async def grown(world: World, drive: Any) -> Somebody:
    """Have somebody make seven folders, and three more when the seven are as old as is kept."""
    ann = await Somebody.joins(drive)
    await ann.do(*(Make(parent=ROOT, name=f"old {n}", key=f"old {n}") for n in range(7)))
    world.clock.now_ms += HISTORY_MS
    await ann.do(*(Make(parent=ROOT, name=f"new {n}", key=f"new {n}") for n in range(3)))
    return ann


async def test_what_is_older_than_is_promised_is_told_no_more_and_a_cursor_before_it_is_refused(world: World):
    async with world.open(rules=FORGETS) as drive:
        ann = await grown(world, drive)
        epoch = (await drive.spaces(ann.user))[0].epoch
        assert len((await ann.changes(Cursor(epoch, 0))).nodes) == 10
        await drive.collector.round()
        for seq in (0, 3, 6):
            with pytest.raises(Refusal, match="read the whole tree") as refused:
                await ann.changes(Cursor(epoch, seq))
            assert refused.value.code == "conflict"
        assert [node.seq for node in (await ann.changes(Cursor(epoch, 7))).nodes] == [8, 9, 10]
        assert (await ann.changes(Cursor(epoch, 10))).nodes == []
        page = await ann.tree()
        assert len(page.nodes) == 10 and (await ann.changes(page.cursor)).nodes == [], "the tree has it all"
        assert await world.sql("SELECT count(*) FROM journal") == await world.sql("SELECT count(*) FROM done") == 3
        (outcome,) = await ann.commit([Make(parent=ROOT, name="new 0", key="new 0")])
        assert outcome.node.name == "new 0" and not outcome.code, "young keys are known"


async def test_what_goes_while_it_is_read_is_not_told_in_part(world: World, monkeypatch: pytest.MonkeyPatch):
    async with world.open(rules=FORGETS) as drive:
        ann = await grown(world, drive)
        after = drive._stores.journal.after

        async def late(*asked: Any) -> Any:
            await drive.collector.round()
            return await after(*asked)

        monkeypatch.setattr(drive._stores.journal, "after", late)
        epoch = (await drive.spaces(ann.user))[0].epoch
        with pytest.raises(Refusal, match="read the whole tree"):
            await ann.changes(Cursor(epoch, 2))


async def test_a_clock_that_went_back_leaves_no_gap(world: World):
    async with world.open(rules=FORGETS) as drive:
        ann = await Somebody.joins(drive)
        (node,) = await ann.do(Make(parent=ROOT, name="a"))
        world.clock.now_ms -= HISTORY_MS
        await ann.do(Move(node=node.id, parent=ROOT, name="b"))
        world.clock.now_ms += HISTORY_MS
        await drive.collector.round()
        epoch = (await drive.spaces(ann.user))[0].epoch
        assert [it.seq for it in (await ann.changes(Cursor(epoch, 0))).nodes] == [1, 2], "the first is young"
        world.clock.now_ms += HISTORY_MS
        await drive.collector.round()
        with pytest.raises(Refusal):
            await ann.changes(Cursor(epoch, 1))


async def test_a_device_that_was_away_for_too_long_reads_the_whole_tree_and_loses_nothing(world: World, tmp_path: Path):
    async with world.open(rules=FORGETS) as drive:
        user = await drive.join("ann", "a password")
        place = Place(drive, user.id, (await drive.spaces(user.id))[0].id)
        async with (
            device("laptop", tmp_path / "laptop", place) as laptop,
            device("phone", tmp_path / "p", place) as phone,
        ):
            for n in range(5):
                laptop.write(f"{n}", f"text {n}")
            await all_one(laptop, phone)
            phone.write("its own", "written while it was away")
            (laptop.root / "0").unlink()
            (laptop.root / "1").rename(laptop.root / "moved")
            laptop.write("2", "another text")
            await laptop.sync()
            world.clock.now_ms += HISTORY_MS
            await drive.collector.round()
            assert await world.sql("SELECT floor = head FROM spaces")
            found = await all_one(laptop, phone)
            assert phone.did["the cursor was refused"] and "0" not in found and "1" not in found
            assert found["moved"] == "text 1" and found["2"] == "another text"
            assert found["its own"] == "written while it was away"
