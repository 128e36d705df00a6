"""How soon does another device have what was changed on this one, beside Syncthing?

Two devices keep a folder in sync by `fathom drive sync`, each a process, with a drive in between: a service on
PostgreSQL and an object store, each commit on the disk before it is acknowledged. Beside them two Syncthings keep
another folder in sync, straight from one to the other, that wait for a second (the least that they can be told) until
nothing more is changed. All are up all the time, on both cores and the same disk, and take turns: a kilobyte is put in
front of a file of 100 MB on the one device, and the clock runs until the other one has the file, whole and under its
name. What syncs by itself is given half a second of peace before each turn.

    .venv/bin/python -m benchmarks.drive_syncing
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.drive_sync import FATHOM, drive, environment
from benchmarks.timeline_world import parser, ratio_line

LARGE_BYTES, GOAL = 100_000_000, 1 / 0.3
BEGIN_S, THERE_S, LOOK_S, PEACE_S = 120.0, 120.0, 0.002, 0.5


def main() -> None:
    asked = parser(__doc__ or "", rounds=7).parse_args()
    size, rounds = (2_000_000, 1) if asked.small else (LARGE_BYTES, asked.rounds)
    told = asyncio.run(compare(size, rounds))
    for name, took in told.items():
        print(f"{name:<12}{statistics.median(took):6.2f} s ({min(took):.2f} to {max(took):.2f}, n = {len(took)})")
    if "syncthing" in told:
        ratios = [theirs / ours for ours, theirs in zip(told["drive"], told["syncthing"], strict=True)]
        print(ratio_line("Syncthing's time beside the drive's", ratios, GOAL))
    else:
        print("there is no syncthing here: make benchmarks installs it")
    if asked.json:
        print(json.dumps(told))


async def compare(size: int, rounds: int) -> dict[str, list[float]]:
    """Return how long it took in each round, of each."""
    sides = {"drive": drives, **({"syncthing": syncthings} if shutil.which("syncthing") else {})}
    told: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory(prefix="fathom-syncing-") as folder:
        async with AsyncExitStack() as stack:
            pairs: dict[str, tuple[Path, Path]] = {}
            for name, pair in sides.items():
                place = Path(folder) / name
                place.mkdir()
                pairs[name] = await stack.enter_async_context(pair(place))
                await asyncio.to_thread(change, *pairs[name], random.Random(name).randbytes(size), BEGIN_S)
            for number in range(rounds):
                for name in list(pairs)[:: -1 if number % 2 else 1]:
                    here, there = pairs[name]
                    front = random.Random(f"{name} {number}").randbytes(1_024)
                    await asyncio.sleep(PEACE_S)
                    os.sync()
                    told[name].append(await asyncio.to_thread(change, here, there, front + here.read_bytes(), THERE_S))
    return told


def change(here: Path, there: Path, data: bytes, within_s: float) -> float:
    """Write a file on one device; return after how many seconds another one has it, whole and under its name."""
    here.write_bytes(data)
    began = time.monotonic()
    while not there.exists() or there.stat().st_size != len(data):
        assert time.monotonic() - began < within_s, f"it has not come in {within_s:g} s"
        time.sleep(LOOK_S)  # strangers tell nobody when they are done
    took_s = time.monotonic() - began
    assert there.read_bytes() == data, "it is not what was written"
    return took_s


# Who keeps two folders in sync ----------------------------------------------------------------------------------------


@asynccontextmanager
async def drives(place: Path) -> AsyncIterator[tuple[Path, Path]]:
    """Have a drive and two devices that stay; give a file's path on each."""
    folders = [place / name for name in ("here", "there")]
    async with drive(place) as (_, url, _), AsyncExitStack() as stack:
        for folder in folders:
            folder.mkdir()
            command = [*FATHOM, "drive", "sync", str(folder), "--url", url, "--user", "ann", "--device", folder.name]
            await stack.enter_async_context(_running(command, place, folder.name))
        yield folders[0] / "large", folders[1] / "large"


@asynccontextmanager
async def syncthings(place: Path) -> AsyncIterator[tuple[Path, Path]]:
    """Have two Syncthings that know nobody but each other; give a file's path on each."""
    homes = {name: place / f"{name}.home" for name in ("here", "there")}
    for home in homes.values():
        made = ["syncthing", "generate", f"--home={home}", "--no-default-folder", "--skip-port-probing"]
        await asyncio.to_thread(subprocess.run, made, check=True, capture_output=True, env=environment(place))
    known = {name: _device_of(home / "config.xml") for name, home in homes.items()}
    doors = dict(zip(homes, _free_ports(len(homes)), strict=True))
    async with AsyncExitStack() as stack:
        for name, home in homes.items():
            (place / name / ".stfolder").mkdir(parents=True)
            _configure(home / "config.xml", place / name, doors, known, name)
            command = ["syncthing", "serve", f"--home={home}", "--no-browser", "--no-restart", "--no-upgrade"]
            await stack.enter_async_context(_running(command, place, name))
        yield place / "here" / "large", place / "there" / "large"


def _configure(file: Path, folder: Path, doors: dict[str, int], known: dict[str, str], me: str) -> None:
    """Write what a Syncthing is to do: one folder, one other device, nobody else, nothing beyond this machine."""
    tree = ET.parse(file)
    root = tree.getroot()
    for old in [*root.findall("folder"), *root.findall("device")]:
        root.remove(old)
    it = ET.SubElement(
        root,
        "folder",
        id="tree",
        label="tree",
        path=str(folder),
        type="sendreceive",
        rescanIntervalS="3600",
        fsWatcherEnabled="true",
        fsWatcherDelayS="1",
    )
    for name, device in known.items():
        ET.SubElement(it, "device", id=device)
        ET.SubElement(ET.SubElement(root, "device", id=device, name=name), "address").text = _address(doors[name])
    gui = root.find("gui")
    assert gui is not None
    gui.set("enabled", "false")
    options = root.find("options")
    assert options is not None
    said = {
        "listenAddress": _address(doors[me]),
        **dict.fromkeys(("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled"), "false"),
        **dict.fromkeys(("startBrowser", "crashReportingEnabled"), "false"),
        "reconnectionIntervalS": "1",
        "urAccepted": "-1",
        "autoUpgradeIntervalH": "0",
    }
    for name, value in said.items():
        for old in options.findall(name):
            options.remove(old)
        ET.SubElement(options, name).text = value
    tree.write(file)


def _device_of(config: Path) -> str:
    device = ET.parse(config).getroot().find("device")
    assert device is not None
    return device.attrib["id"]


def _address(port: int) -> str:
    return f"tcp://127.0.0.1:{port}"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@asynccontextmanager
async def _running(command: list[str], place: Path, name: str) -> AsyncIterator[None]:
    """Have a command run for the length of a block; if it ends by itself, say what it said."""
    log = place / f"{name}.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=said, stderr=said, cwd=place, env=environment(place)
        )
    try:
        yield
    finally:
        if process.returncode is not None:
            raise SystemExit(f"{command[0]} ended with {process.returncode}: {log.read_text()[-2_000:]}")
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
