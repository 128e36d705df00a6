"""A git checkout in a folder that two devices sync, while somebody works in it and the server is killed all the time.

FATHOM_GIT_MINUTES says for how long (two, if nothing is said); FATHOM_GIT_SEED what is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from fathom.engines.ports import free_port
from tests.outside.strangers import program

MINUTES = float(os.environ.get("FATHOM_GIT_MINUTES", "2"))
SEED = int(os.environ.get("FATHOM_GIT_SEED", "7"))
KILLED_EVERY_S = 30.0
WITHIN_S = 240.0  # of quiet, for two devices to become one
HERE = Path(__file__).parents[2]
FATHOM = sys.executable, "-P", "-m", "fathom"

pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(int(MINUTES * 60) + 1_200)]


def git(folder: Path, *words: str) -> str:
    """Run git as somebody would whose index must not be touched by looking."""
    told = subprocess.run(
        ["git", "--no-optional-locks", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, (words, told.stdout, told.stderr)
    return told.stdout


def unlike(one: Path, other: Path) -> str:
    """Return what rsync would do to make the other folder what the first one is: names, bytes, what may be started."""
    told = subprocess.run(
        [
            program("rsync", "rsync"), "-nrlc", "--executability", "--delete", "--itemize-changes",
            "--exclude=/.fathom-drive", f"{one}/", f"{other}/",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.stdout if told.returncode in (0, 24) else told.stderr  # 24: a file went while it looked


class Worker:
    """Somebody who works in a checkout: branches, edits, commits, merges, builds, cleans, repacks."""

    def __init__(self, dice: Random) -> None:
        self._dice, self.did = dice, Counter[str]()
        self._branches = 0

    def step(self, folder: Path) -> None:
        what = self._dice.choices(
            ("switch", "branch", "edit", "build", "clean", "merge", "repack", "stash"), (30, 10, 25, 10, 5, 10, 2, 5)
        )[0]
        getattr(self, f"_{what}")(folder)
        self.did[what] += 1

    def _known(self, folder: Path) -> list[str]:
        return sorted(git(folder, "branch", "--format=%(refname:short)").split())

    def _switch(self, folder: Path) -> None:
        git(folder, "checkout", "-q", self._dice.choice(self._known(folder)))

    def _branch(self, folder: Path) -> None:
        """Begin anew from some commit of before: many files become others at once."""
        commits = git(folder, "rev-list", "--max-count=60", "main").split()
        self._branches += 1
        git(folder, "checkout", "-q", "-b", f"work-{self._branches}", self._dice.choice(commits))

    def _edit(self, folder: Path) -> None:
        files = [name for name in git(folder, "ls-files").splitlines() if name.endswith((".py", ".md"))]
        for name in self._dice.sample(files, min(5, len(files))):
            with (folder / name).open("a") as file:
                file.write(f"# {self._dice.random()}\n")
        script = folder / f"script-{self._dice.randrange(9)}"
        script.write_text(f"#!/bin/sh\necho {self._dice.random()}\n")
        script.chmod(self._dice.choice((0o755, 0o644)))
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"edit {self._dice.random()}")

    def _build(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "compileall", "-q", "src/fathom/blocks"], cwd=folder, check=False)

    def _clean(self, folder: Path) -> None:
        for built in sorted(folder.glob("src/**/__pycache__")):
            shutil.rmtree(built)

    def _merge(self, folder: Path) -> None:
        other = self._dice.choice(self._known(folder))
        try:
            git(folder, "merge", "-q", "-X", "ours", "--no-edit", "-m", "merged", other)
        except AssertionError:  # both made or removed the same file: nobody is here to say which
            git(folder, "merge", "--abort")

    def _repack(self, folder: Path) -> None:
        git(folder, "gc", "-q")

    def _stash(self, folder: Path) -> None:
        (folder / "README.md").write_text(f"{self._dice.random()}")
        git(folder, "stash", "-q")
        git(folder, "stash", "drop", "-q")


@asynccontextmanager
async def drive(data: Path, kills: Counter[str]) -> AsyncIterator[str]:
    """Give the URL of a drive that is killed every so often, and begins again on its data."""
    port = free_port()
    serving: list[subprocess.Popen[bytes]] = []
    up = asyncio.Event()

    async def serve() -> None:
        while True:
            begun_s = time.monotonic()
            process = subprocess.Popen(  # noqa: ASYNC220 - it is told apart from its group, and killed
                [*FATHOM, "up", "drive", "--data", str(data), "--port", str(port), "--json"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=data.parent,
            )  # fmt: skip
            serving[:] = [process]
            assert process.stdout is not None
            with process.stdout:
                line = await asyncio.to_thread(process.stdout.readline)
                if b'"url"' not in line:
                    raise AssertionError((line + await asyncio.to_thread(process.stdout.read)).decode())
            assert json.loads(line)["url"].endswith(f":{port}"), line
            up.set()
            # How long a server lives is what is asked for, not waited for; on a slow machine it lives at least a while.
            await asyncio.sleep(max(KILLED_EVERY_S - (time.monotonic() - begun_s), KILLED_EVERY_S / 3))
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            kills["server"] += 1

    task = asyncio.create_task(serve())
    try:
        waits = asyncio.create_task(up.wait())
        await asyncio.wait({task, waits}, return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        assert up.is_set(), task
        yield f"http://127.0.0.1:{port}"
        assert not task.done(), task
    finally:
        task.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        finally:
            for process in serving:
                process.kill()
                process.wait()


@asynccontextmanager
async def synced(folder: Path, url: str, *, new: bool) -> AsyncIterator[subprocess.Popen[bytes]]:
    """Keep a folder in sync for the length of a block."""
    process = subprocess.Popen(  # noqa: ASYNC220
        [*FATHOM, "drive", "sync", str(folder), "--url", url, "--user", "ann", "--device", folder.name,
         "--allow-deletions", "100000",
         *(["--join"] if new else [])],
        env=os.environ | {"FATHOM_DRIVE_PASSWORD": "correct horse"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
        assert process.poll() is None, f"the client of {folder.name} ended with {process.returncode}"
    finally:
        process.terminate()
        process.wait()


async def one(a: Path, b: Path) -> None:
    """Wait until both folders are one."""
    until_s = time.monotonic() + WITHIN_S
    quiet = 0
    while quiet < 2:  # once more a second later: something may still be under way
        found = await asyncio.to_thread(unlike, a, b)
        quiet = quiet + 1 if not found else 0
        assert time.monotonic() < until_s, f"not one after {WITHIN_S:.0f} s:\n{found[:2_000]}"
        await asyncio.sleep(1)


async def test_a_checkout_is_the_same_on_both_devices_whatever_is_killed(tmp_path: Path) -> None:
    print(f"seed {SEED}, {MINUTES} minutes")
    program("git", "git")
    a, b, kills, worker = tmp_path / "laptop", tmp_path / "desktop", Counter[str](), Worker(Random(SEED))
    git(tmp_path, "clone", "-q", "--no-hardlinks", str(HERE), str(a))
    git(a, "checkout", "-q", "-B", "main")
    git(a, "config", "gc.auto", "0")
    (a / ".git" / "info" / "exclude").write_text(".fathom-drive/\n")
    b.mkdir()
    begun_s = time.monotonic()
    async with drive(tmp_path / "data", kills) as url, contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(synced(a, url, new=True))
        async with asyncio.timeout(60):
            while not (a / ".fathom-drive" / "account").exists():  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.2)
        await stack.enter_async_context(synced(b, url, new=False))
        await one(a, b)
        turns = 0
        while time.monotonic() - begun_s < MINUTES * 60:
            mine, theirs = (a, b) if turns % 2 == 0 else (b, a)
            until_s = time.monotonic() + min(45.0, MINUTES * 20)
            while time.monotonic() < until_s:
                await asyncio.to_thread(worker.step, mine)
                await asyncio.sleep(worker._dice.choice((0.0, 0.1, 1.0)))
            await one(mine, theirs)
            turns += 1
        said = [git(folder, "status", "--porcelain=v2", "--branch") for folder in (a, b)]
        assert said[0] == said[1]
        for folder in (a, b):
            assert "error" not in git(folder, "fsck", "--full", "--strict", "--no-dangling")
            assert not [str(path) for path in folder.rglob("*(conflict *")]
        assert unlike(a, b) == unlike(b, a) == ""
    print(f"{turns} turns, {sum(worker.did.values())} steps, the server was killed {kills['server']} times")
    print(dict(worker.did))
    assert kills["server"] >= int(MINUTES * 60 / KILLED_EVERY_S) * 0.7 and turns
    shutil.rmtree(tmp_path / "data")
