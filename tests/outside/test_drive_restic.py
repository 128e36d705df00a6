"""A restic repository on a drive, over rclone and WebDAV, while the collector removes all that it may, all the time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.blocks.packs import digest_of, pack
from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.drive.api import ROOT, Chunk, Digest, Drop, Make, Manifest, NodeId, Purge
from fathom.systems.drive.doors import LIMITS, app
from fathom.systems.drive.service import Rules, open
from fathom.systems.drive.stores import Stores
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.outside.strangers import program

PASSWORD = "correct horse"
WITHIN_S = 300
SEED, ROUNDS, FILES = 7, 8, 60
AGAIN = 300  # chunks that are deleted and brought again, all the time
GRACE_MS = 1_500
REVIVED = 1_000  # without so many answers of "have" about what was condemned nothing was tried

pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
async def drive(tmp_path: Path) -> AsyncIterator[Any]:
    """The real service, which keeps nothing that nobody needs for longer than a moment."""
    rules = Rules(history_ms=0, grace_ms=GRACE_MS, every_s=0.2, thorough_every=1)
    system = find("drive")
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(Keeper.open())
        truth = await stack.enter_async_context(Postgres.start(keeper, folder=tmp_path / "truth"))
        files = await stack.enter_async_context(Objects.start(keeper, folder=tmp_path / "files"))
        cache = await stack.enter_async_context(Redis.start(keeper, folder=tmp_path / "cache"))
        for engine in (truth, files, cache):
            await stack.enter_async_context(engine.connected())
        stores = Stores(truth=truth, files=files, cache=cache)
        await stores.migrate()
        made = {
            name: question.build(Choice(question.base.default), stores) for name, question in system.decisions.items()
        }
        yield await stack.enter_async_context(open(stores, SimpleNamespace(**made), rules=rules))


async def run(*words: str | Path, cwd: Path, **env: str) -> str:
    """Run a program that has to end well; return what it said."""
    running = await asyncio.create_subprocess_exec(
        *map(str, words), cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env={**os.environ, "NO_PROXY": "localhost,127.0.0.1", **env},
    )  # fmt: skip
    try:
        async with asyncio.timeout(WITHIN_S):
            said = (await running.communicate())[0].decode(errors="replace")
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    assert running.returncode == 0, (words, said)
    return said


async def brings_the_same_again_and_again(drive: Any) -> int:
    """Bring files, let them go for good, and bring the very same again, until somebody has had enough."""
    ann = await drive.join("bob", PASSWORD)
    (space,) = await drive.spaces(ann.id)
    data = [Random(f"{SEED}/{n}").randbytes(3_000) for n in range(AGAIN)]
    chunks = [Chunk(Digest(digest_of(it).hex()), len(it)) for it in data]
    rounds = 0
    while True:
        session = await drive.begin(ann.id, space.id, chunks)
        missing = [it for it, chunk in zip(data, chunks, strict=True) if chunk.digest in set(session.needed)]
        if missing:
            assert await drive.give(ann.id, session.id, pack(missing)) == []
        makes = [
            Make(parent=ROOT, name=f"file {n}", manifest=Manifest(cutting="fixed-3000", chunks=[chunk]))
            for n, chunk in enumerate(chunks)
        ]
        outcomes = await drive.commit(ann.id, space.id, makes, session.id)
        assert not any(it.code for it in outcomes), "a chunk that was said to be there was not"
        for n in Random(f"{SEED}/{rounds}").sample(range(AGAIN), 5):
            assert await drive.chunk(ann.id, space.id, chunks[n].digest) == data[n]
        ids = [NodeId(it.node.id) for it in outcomes]
        for edits in ([Drop(node=id, version=1) for id in ids], [Purge(node=id) for id in ids]):
            await drive.commit(ann.id, space.id, edits)
        rounds += 1
        await asyncio.sleep(
            Random(f"{SEED}/wait/{rounds}").choice((0.0, 0.3, 1.0, 2.5))
        )  # before, in and after the grace


async def test_a_repository_is_whole_after_backups_and_prunes_beside_a_collector_that_never_rests(
    drive: Any, tmp_path: Path
) -> None:
    print(f"seed {SEED}")
    restic, rclone, dice = program("restic", "restic"), program("rclone", "rclone"), Random(SEED)
    await drive.join("ann", PASSWORD)
    source, kept = tmp_path / "source", tmp_path / "kept"
    source.mkdir()
    async with listening(app(drive, limits=replace(LIMITS, per_address=None)), Listen(), drain_s=1) as url:
        hidden = (await run(rclone, "obscure", PASSWORD, cwd=tmp_path)).strip()
        config = tmp_path / "rclone.conf"
        config.write_text(f"[d]\ntype = webdav\nurl = {url}/dav/mine\nvendor = other\nuser = ann\npass = {hidden}\n")
        env = {"RCLONE_CONFIG": str(config), "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
        there = ("-r", "rclone:d:repository", "-o", f"rclone.program={rclone}")

        async def does(*words: str) -> str:
            return await run(restic, *there, *words, cwd=tmp_path, **env)

        await does("init")
        beside = asyncio.create_task(brings_the_same_again_and_again(drive))
        try:
            for number in range(ROUNDS):
                for n in dice.sample(range(FILES), FILES // 3):
                    (source / f"file-{n}").write_bytes(Random(dice.randrange(4)).randbytes(dice.randrange(1, 300_000)))
                for n in dice.sample(range(FILES), FILES // 6):
                    (source / f"file-{n}").unlink(missing_ok=True)
                await does("backup", "source")
                if number % 2:
                    await does("forget", "--keep-last", "2", "--prune", "--max-unused", "0")
                assert not beside.done(), beside
        finally:
            beside.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beside
        assert "no errors were found" in await does("check", "--read-data")
        await does("restore", "latest", "--target", str(kept))
        await run(shutil.which("diff") or "diff", "-r", source, kept / "source", cwd=tmp_path)
    counts = drive.collector.counts
    print(dict(counts))
    assert counts["revived"] >= REVIVED and counts["swept"] > 100 and counts["packs"] > 10, counts
    assert await drive.collector.audit() == []
