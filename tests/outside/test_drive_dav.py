"""WebDAV as those see it who wrote none of it: litmus, its port to Python, and rclone, each against a drive's door."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fathom.engines.keeper import Keeper
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.drive import service
from fathom.systems.drive.doors import LIMITS, app
from fathom.systems.drive.model import DriveModel
from fathom.systems.drive.stores import Stores
from fathom.web.choices import Choices
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.outside.strangers import program

PASSWORD = "correct horse"
WITHIN_S = 120

pytestmark = [pytest.mark.outside, pytest.mark.slow]


@asynccontextmanager
async def in_dicts() -> AsyncIterator[Any]:
    yield DriveModel()


@asynccontextmanager
async def on_engines() -> AsyncIterator[Any]:
    """A service with the approaches that are its defaults, on a PostgreSQL and a folder of its own."""
    system = find("drive")
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper, settings={"fsync": "off"}) as truth,
        Objects.start(keeper, name="files") as files,
        Redis.start(keeper) as cache,
        truth.connected(),
        files.connected(),
        cache.connected(),
    ):
        stores = Stores(truth, files, cache)
        await stores.migrate()
        async with service.open(stores, Choices(system, stores, {})) as drive:
            yield drive


@pytest.fixture(params=[in_dicts, on_engines], ids=["in dicts", "on engines"])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    async with request.param() as drive:
        await drive.join("ann", PASSWORD)
        async with listening(app(drive, limits=replace(LIMITS, per_address=None)), Listen(), drain_s=1) as url:
            yield f"{url}/dav/mine"


async def run(*words: str | Path, cwd: Path, **env: str) -> tuple[int, str]:
    """Run a program; return its exit status and all it said.

    What make was told of TESTS, which are ours, it tells all below it; litmus takes that for a choice of its own.
    """
    ours = {name: value for name, value in os.environ.items() if name != "TESTS"}
    running = await asyncio.create_subprocess_exec(
        *map(str, words), cwd=cwd, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, env={**ours, "NO_PROXY": "localhost,127.0.0.1", **env},
    )  # fmt: skip
    try:
        async with asyncio.timeout(WITHIN_S):
            said, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()
    return running.returncode or 0, said.decode(errors="replace")


async def test_litmus_passes_whole(url: str, tmp_path: Path) -> None:
    status, said = await run(program("litmus", "litmus"), "-k", f"{url}/", "ann", PASSWORD, cwd=tmp_path)
    found = re.findall(r"`(\w+)': of (\d+) tests run: (\d+) passed, (\d+) failed", said)
    assert [name for name, *_ in found] == ["basic", "copymove", "props", "locks", "http"], said
    assert all(ran == passed and failed == "0" for _, ran, passed, failed in found), said
    assert sum(int(ran) for _, ran, _, _ in found) > 100
    assert "skipped" not in said
    assert status == 0


async def test_its_port_to_python_passes_whole(url: str, tmp_path: Path) -> None:
    if importlib.util.find_spec("webdav_tck") is None:
        pytest.fail("there is no webdav-tck: make the checkout ready with ./fathom --set-up dev outside")
    suites = "basic,copymove,props,locks,http"  # the sixth puts 2 GiB, which a drive in dicts would have to hold
    status, said = await run(
        sys.executable, "-m", "webdav_tck", "--no-colour", "--suites", suites, f"{url}/", "ann", PASSWORD,
        cwd=tmp_path, COLUMNS="200",
    )  # fmt: skip
    counts = dict(re.findall(r"(Total|Passed|Failed|Skipped)\D+(\d+)", said))
    assert counts.get("Total") == counts.get("Passed") == "65", said
    assert status == 0


@pytest.mark.parametrize("vendor", ["other", "owncloud"])
async def test_rclone_copies_a_tree_there_and_finds_it_the_same(url: str, tmp_path: Path, vendor: str) -> None:
    dice, source = Random(7), tmp_path / "source"
    for path, size in (
        ("big", 9_000_000), ("empty", 0), ("ünï cödé/a b#c?%41&+.txt", 5), ("a/b/c/d", 70_000), ("name.", 1),
        *((f"many/{number}", number) for number in range(60)),
    ):  # fmt: skip
        file = source / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(dice.randbytes(size))
    rclone = program("rclone", "rclone")
    _, hidden = await run(rclone, "obscure", PASSWORD, cwd=tmp_path)
    config = tmp_path / "rclone.conf"
    config.write_text(f"[d]\ntype = webdav\nurl = {url}\nvendor = {vendor}\nuser = ann\npass = {hidden.strip()}\n")

    async def does(*words: str) -> str:
        status, said = await run(rclone, "--config", config, *words, cwd=tmp_path)
        assert status == 0, (words, said)
        return said

    await does("sync", "source", "d:there")
    assert "0 differences" in await does("check", "--download", "source", "d:there")
    (source / "big").write_bytes(dice.randbytes(9_000_001))
    (source / "a/b/c/d").unlink()
    (source / "new").write_bytes(b"new")
    await does("sync", "source", "d:there")
    assert "0 differences" in await does("check", "--download", "source", "d:there")
    await does("moveto", "d:there/many", "d:moved")
    await does("copyto", "d:moved", "d:copied")
    assert "0 differences" in await does("check", "--download", "source/many", "d:copied")
    await does("cat", "d:there/big", "--offset", "4000000", "--count", "1000")
    if vendor == "owncloud":
        assert re.search(rf"3 {mtime(source / 'new')}\S* new", await does("lsl", "d:there"))
    await does("purge", "d:there")
    assert (await does("lsf", "d:")).split() == ["copied/", "moved/"]


def mtime(file: Path) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(int(file.stat().st_mtime)).strftime("%Y-%m-%d %H:%M:%S")
