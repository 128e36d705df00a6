"""`fathom drive sync`, `status` and `simulate`, as somebody types them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from fathom.errors import FathomError
from fathom.systems.drive.commands import app as commands
from fathom.systems.drive.doors import app
from fathom.web.listen import Listen
from fathom.web.server import listening

from ..doors.conftest import UNHURRIED
from .device import joined, model, tree_of


async def typed(*args: object, **environment: str) -> tuple[int, str, str]:
    """Type a command; return its exit code, and what it said on stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "fathom.systems.drive.commands", *map(str, args)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        stdin=asyncio.subprocess.DEVNULL,
        env=os.environ | environment,
    )
    out, error = await process.communicate()
    return process.returncode or 0, out.decode(), error.decode()


@pytest.mark.slow
async def test_two_folders_are_synced_and_say_how_they_stand(tmp_path: Path):
    drive = model()
    await joined(drive)
    laptop, phone = tmp_path / "laptop", tmp_path / "phone"
    (laptop / "letters").mkdir(parents=True)
    (laptop / "letters" / "one").write_text("dear ann")
    (laptop / "link").symlink_to("letters")
    async with listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1) as url:  # pyright: ignore[reportArgumentType]
        first = "--once", "--url", url, "--user", "ann"
        code, out, error = await typed("sync", laptop, *first, FATHOM_DRIVE_PASSWORD="correct horse")
        assert (code, error) == (0, "") and "all is synced; 1 not synced: see status" in out
        code, out, _ = await typed("sync", phone, *first, "--json", FATHOM_DRIVE_PASSWORD="correct horse")
        assert code == 0 and json.loads(out)["rest"]
        assert tree_of(phone) == {"letters": None, "letters/one": "dear ann"}
        account = phone / ".fathom-drive" / "account"
        assert stat.S_IMODE(account.stat().st_mode) == 0o600 and b"correct horse" not in account.read_bytes()
        (phone / "letters" / "one").unlink()
        code, out, error = await typed("sync", phone, "--once")  # the account is known
        assert code == 0, error
        code, out, _ = await typed("status", laptop)
        assert code == 0 and "1 file of" in out and "not synced: link: a symbolic link" in out
        code, out, error = await typed("sync", laptop, *first, FATHOM_DRIVE_PASSWORD="wrong horse")
        assert code == 64 and "fix" in error and "Traceback" not in error
        bob = tmp_path / "bob", "--once", "--url", url, "--user", "bob"
        code, _, error = await typed("sync", *bob)
        assert code == 64 and "no password was given" in error and "FATHOM_DRIVE_PASSWORD" in error
        code, out, error = await typed("sync", *bob, "--join", FATHOM_DRIVE_PASSWORD="a staple of bob's")
        assert (code, error) == (0, "") and "all is synced" in out, "it was opened for him"
        code, _, error = await typed("sync", *bob, "--join", FATHOM_DRIVE_PASSWORD="a staple of bob's")
        assert code == 64 and "bob is taken" in error


@pytest.mark.slow
async def test_a_drive_that_is_not_there_is_told_in_three_lines(tmp_path: Path):
    code, _, error = await typed(
        "sync", tmp_path / "f", "--once", "--url", "http://127.0.0.1:9", FATHOM_DRIVE_TOKEN="token"
    )
    assert code == 64 and "no drive answers at" in error and "Traceback" not in error


def test_a_folder_that_was_never_synced_is_told(tmp_path: Path):
    for asked in (["status", str(tmp_path)], ["sync", str(tmp_path), "--once"]):
        found = CliRunner().invoke(commands, asked)
        assert isinstance(found.exception, FathomError) and "--url" in found.exception.fix


@pytest.mark.slow
def test_a_world_can_be_run_by_hand():
    found = CliRunner().invoke(commands, ["simulate", "--seed", "3", "--seeds", "2", "--json"])
    reports = [json.loads(line) for line in found.stdout.splitlines()]
    assert found.exit_code == 0 and [report["seed"] for report in reports] == [3, 4]
    assert not any(report["broken"] for report in reports) and all(report["reached"] for report in reports)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
async def test_clients_that_are_killed_again_and_again_lose_nothing_and_do_nothing_twice(tmp_path: Path, seed: int):
    drive, dice = model(), Random(seed)
    place = await joined(drive)
    laptop, phone = tmp_path / "laptop", tmp_path / "phone"
    laptop.mkdir()
    for n in range(150):
        (laptop / f"{n % 5}").mkdir(exist_ok=True)
        (laptop / f"{n % 5}" / f"{n}").write_bytes(dice.randbytes(dice.randrange(3_000)))
    async with listening(app(drive, limits=UNHURRIED), Listen(), drain_s=1) as url:  # pyright: ignore[reportArgumentType]
        token = await drive.login("ann", "correct horse")
        for folder in (laptop, phone):
            for _ in range(3):
                await killed(folder, url, token, dice.uniform(0.02, 0.4))
            code, _, error = await typed("sync", folder, "--once", "--url", url, FATHOM_DRIVE_TOKEN=token)
            assert code == 0, error
    assert tree_of(phone) == tree_of(laptop) and len(tree_of(phone)) == 155
    nodes = (await drive.tree(place.user, place.space)).nodes
    assert len(nodes) == 155 and all(node.version <= 1 for node in nodes)
    assert not (await drive.trash(place.user, place.space)).nodes


async def killed(folder: Path, url: str, token: str, after_s: float) -> None:
    """Let a client live so long from when it first wrote something."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "fathom.systems.drive.commands", "sync", str(folder), "--url", url),
        stdout=asyncio.subprocess.DEVNULL,
        env=os.environ | {"FATHOM_DRIVE_TOKEN": token},
    )
    state = folder / ".fathom-drive" / "state-wal"
    before = size(state)
    for _ in range(1_000):
        if size(state) != before:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(after_s)
    process.kill()
    await process.wait()


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else -1
