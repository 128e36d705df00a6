"""What a drive acknowledged is on the disk by then, rows and bytes: shown with strace, which sees every fsync."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest

from fathom.blocks.packs import digest_of, pack
from fathom.engines.keeper import Keeper
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.drive.api import ROOT, Chunk, Digest, Make, Manifest
from fathom.web.served import Served

from . import wal
from .strace import Call, calls
from .traced import Traced

FILES = 100
AT_ONCE = 8  # several, so that one sync covers several commits, as it does in life

pytestmark = [pytest.mark.outside, pytest.mark.slow]


class File(NamedTuple):
    """A file that was brought: in which pack its bytes lie, by which transaction it came, and when that was told."""

    name: str
    pack: str
    xid: int
    told_s: float


def engines(truth: Postgres, files: Objects, cache: Redis) -> dict[str, str]:
    return {"truth": truth.where, "files": files.where, "cache": cache.where}


@asynccontextmanager
async def traced_drive(settings: Mapping[str, str]) -> AsyncIterator[tuple[Any, Postgres, Traced]]:
    async with Keeper.open() as keeper:
        keeper.data.chmod(0o711)  # PostgreSQL's user writes its trace there
        traced: Any = Traced(keeper, truth=wal.SYSCALLS, drive="fsync,fdatasync")
        async with (
            Postgres.start(traced, name="truth", settings=settings) as truth,
            Objects.start(keeper, name="files") as files,
            Redis.start(keeper) as cache,  # whatever it has on disk, nothing hangs on it
            Served.start(traced, find("drive"), name="drive", engines=engines(truth, files, cache)) as served,
            served.client(deadline_s=60.0) as drive,
        ):
            yield drive, truth, traced


async def brought(drive: Any, truth: Postgres) -> list[File]:
    """Bring the files, each with bytes of its own."""
    ann = await drive.join("ann", "correct horse battery")
    (space,) = await drive.spaces(ann.id)
    told: dict[int, tuple[str, str, float]] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        data = b"the bytes of file %d, and of no other" % number
        chunk = Chunk(Digest(digest_of(data).hex()), len(data))
        async with room:
            session = await drive.begin(ann.id, space.id, [chunk])
            await drive.give(ann.id, session.id, pack([data]))
            make = Make(parent=ROOT, name=f"file {number}", manifest=Manifest(cutting="fixed-4096", chunks=[chunk]))
            (outcome,) = await drive.commit(ann.id, space.id, [make], session.id)
            told[outcome.node.id] = (f"file {number}", chunk.digest, time.time())  # the wall's clock, as strace's

    await asyncio.gather(*(one(number) for number in range(FILES)))
    async with truth.connected() as database:
        rows = await database.fetch("SELECT seq, xmin::text AS xid, (node::json->>'id')::bigint AS id FROM journal")
        lies = await database.fetch("SELECT encode(digest, 'hex') AS digest, pack FROM chunks")
        await database.execute("CHECKPOINT")
    xids, packs = {row["id"]: int(row["xid"]) for row in rows}, {row["digest"]: row["pack"] for row in lies}
    return [File(name, packs[digest], xids[id], told_s) for id, (name, digest, told_s) in told.items()]


def too_early(files: Sequence[File], synced: Sequence[Call]) -> list[str]:
    """Return a sentence for each file whose bytes, or whose name among the packs, were not on the disk by then."""
    found: list[str] = []
    for file in files:
        bytes_s = [call.ended_s for call in synced if file.pack.encode() in call.path]
        names_s = [
            call.ended_s for call in synced if call.path.endswith(b"/packs") and call.begun_s >= min(bytes_s, default=0)
        ]
        if not bytes_s or min(bytes_s) > file.told_s:
            found.append(f"{file.name} was acknowledged before its bytes were on the disk")
        elif not names_s or min(names_s) > file.told_s:
            found.append(f"{file.name} was acknowledged before its pack had a name that stays")
    return found


async def judged(settings: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return which files were acknowledged too early: by their rows, and by their bytes."""
    async with traced_drive(settings) as (drive, truth, traced):
        files = await brought(drive, truth)
        assert len(files) == FILES
        commits = await wal.commits(truth)
        with traced.trace("truth").open("rb") as lines:
            writes, syncs = wal.trace(lines)
        told = [wal.Acknowledged(file.name, file.xid, file.told_s) for file in files]
        rows = wal.uncovered(told, commits, writes, syncs)
        with traced.trace("drive").open("rb") as lines:
            synced = [call for call in calls(lines) if call.status == 0]
        print(f"{FILES} files, {len(syncs)} syncs of the log, {len(synced)} of the service")
        assert synced
        late = [call._replace(begun_s=call.begun_s + 3_600, ended_s=call.ended_s + 3_600) for call in synced]
        assert len(too_early(files, late)) == FILES, "a sync that comes later is seen to be too late"
        return rows, too_early(files, synced)


async def test_every_acknowledged_file_was_on_the_disk_with_its_bytes_and_its_name() -> None:
    assert await judged({}) == ([], [])


async def test_the_check_turns_red_when_commits_are_not_waited_for() -> None:
    rows, bytes_of = await judged({"synchronous_commit": "off"})
    assert len(rows) > FILES * 0.9 and bytes_of == []
