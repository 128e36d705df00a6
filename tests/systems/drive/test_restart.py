"""The service is killed without warning, again and again: what was acknowledged is there, once, and whole."""

from __future__ import annotations

import asyncio
import os
import random
import stat
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fathom.blocks.packs import pack
from fathom.engines.engine import EngineError
from fathom.engines.wire import Lost, NotSent
from fathom.errors import Refusal
from fathom.systems import find
from fathom.systems.drive.api import ROOT, Cursor, Make, Put
from fathom.web.served import Served
from tests.features import feature

from .stories import tree_of
from .world import Somebody, World, manifest, piece

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

KILLED = 4
UNSURE = (NotSent, Lost, TimeoutError, EngineError)


@feature("DRIVE-19")
async def test_what_a_killed_service_has_acknowledged_is_there_once(world: World):
    urls = world.urls
    dice, over = random.Random(17), asyncio.Event()
    held: dict[str, bytes] = {}  # what each file was last said to hold
    async with (
        Served.start(world.engines.keeper, find("drive"), engines=urls, name="drive killed") as process,
        process.client() as drive,
    ):
        ann = await Somebody.joins(drive)

        async def sure(ask: Any) -> Any:
            """Ask until there is an answer; a session may have ended with what it was for."""
            while True:
                try:
                    return await ask()
                except UNSURE:
                    await asyncio.sleep(0.02)  # it is being started again, and gives no sign

        async def lives(n: int) -> None:
            node: Any = None
            for version in range(1, 1_000):
                if over.is_set():
                    return
                data = dice.randbytes(dice.randint(1, 2_000))
                key = f"{n} {version}"
                while True:
                    with suppress(Refusal):  # the session has ended, or its chunks went with it
                        session = await sure(partial(ann.begin, [piece(data)]))
                        if session.needed:
                            await sure(partial(drive.give, ann.user, session.id, pack([data])))
                        whole = manifest(data)
                        if node is None:
                            edit: Any = Make(parent=ROOT, name=f"file {n}", manifest=whole, key=key)
                        else:
                            edit = Put(node=node.id, version=node.version, manifest=whole, key=key)
                        (outcome,) = await sure(partial(ann.commit, [edit], session.id))
                        assert not outcome.code, outcome
                        node = outcome.node
                        break
                assert node.version == version, "each was done once"
                held[node.name] = data

        living = [asyncio.create_task(lives(n)) for n in range(4)]
        for _ in range(KILLED):
            await asyncio.sleep(dice.uniform(0.1, 0.4))  # a random moment
            await process.kill()
            await process.restart()
        await asyncio.sleep(0.2)
        over.set()
        await asyncio.gather(*living)
    async with world.open() as drive:
        ann = Somebody(drive, ann.user, ann.space)
        tree = (await ann.tree()).nodes
        assert sorted(it.name for it in tree) == sorted(held)
        for node in tree:
            assert len(await ann.versions(node.id)) == node.version
            (chunk,) = (await ann.manifest(node.id)).chunks
            assert await ann.chunk(chunk.digest) == held[node.name]
        (place,) = await drive.spaces(ann.user)
        changes = await ann.changes(Cursor(place.epoch, 0))
        assert changes.head == sum(it.version for it in tree) == len(changes.nodes)
        assert tree_of(changes.nodes) == {it.id: it for it in tree}
        assert await drive.collector.audit() == []
        world.clock.now_ms += 1 << 42  # what was left behind by those that were killed goes
        for _ in range(3):
            await drive.collector.round()
            world.clock.now_ms += 1 << 30
        assert await drive.collector.audit() == []
        rows = await world.sql("SELECT count(*) FROM packs")
        assert len(await world.objects()) == rows
        print(f"{sum(it.version for it in tree)} commits, {KILLED} kills")


async def test_what_is_given_is_on_disk_before_a_row_says_so(world: World, monkeypatch: pytest.MonkeyPatch):
    """The bytes of a pack, then its name, then a commit that waits for its own record: in this order."""
    done: list[str] = []
    fsync, replaced = os.fsync, Path.replace

    def synced(fd: int) -> None:
        fsync(fd)
        done.append("synced " + ("a folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "the bytes"))

    def named(path: Path, other: Path) -> Path:
        done.append("named")
        return replaced(path, other)

    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.begin([piece(b"precious")])
        keep = world.stores.packs.keep

        async def keep_told(tx: Any, id: str) -> bool:
            done.append(f"kept, synchronous_commit {await tx.fetchval('SHOW synchronous_commit')}")
            return await keep(tx, id)

        monkeypatch.setattr(world.stores.packs, "keep", keep_told)
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(Path, "replace", named)
        await ann.give(session, b"precious")
        monkeypatch.undo()
        first = [done[at] for at in range(len(done)) if done[at] not in done[:at]]
        assert first == ["synced the bytes", "named", "synced a folder", "kept, synchronous_commit on"]
        assert done[-1].startswith("kept")
        assert done.count("synced a folder") >= 1


async def test_while_the_truth_is_away_nothing_is_done_and_nothing_is_lost(world: World):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        session = await ann.upload(b"before")
        await ann.do(Make(parent=ROOT, name="a", manifest=manifest(b"before"), key="a"), session=session)
        session = await ann.begin([piece(b"after")])
        await world.engines.truth.kill()
        try:
            for ask in (
                lambda: ann.commit([Make(parent=ROOT, name="b")]),
                lambda: ann.give(session, b"after"),
                lambda: ann.begin([piece(b"more")]),
                lambda: ann.tree(),
                lambda: ann.chunk(piece(b"before").digest),
            ):
                with pytest.raises((Refusal, TimeoutError)) as failed:
                    await ask()
                assert not isinstance(failed.value, Refusal) or failed.value.code == "unavailable"
        finally:
            await world.engines.truth.restart()
        assert [it.name for it in (await ann.tree()).nodes] == ["a"]
        assert await ann.give(session, b"after") == []
        await ann.do(Make(parent=ROOT, name="b", manifest=manifest(b"after")), session=session)
        assert await ann.chunk(piece(b"after").digest) == b"after"
        await drive.collector.round()
        assert await drive.collector.audit() == []
