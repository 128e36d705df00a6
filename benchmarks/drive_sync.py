"""How fast does a folder get into a drive, beside borg and restic, and what does a small change move?

A tree of three large files that nothing compresses and of many texts is brought to a drive by `fathom drive sync`: over
HTTP on loopback to a service in a process of its own, with PostgreSQL and an object store on the same disk, each pack
and each commit on the disk before it is acknowledged. borg and restic write a repository beside it, uncompressed; borg
does not encrypt here, restic cannot do without. `borg, served` is the same borg through a service of its own as well,
over pipes and not over SSH: its `borg serve`. The account is opened and logged in beforehand, as repositories are made
beforehand. All have both cores and the same disk, and take turns; before each turn what the one before wrote is on the
disk, and the tree is in memory (borg tells the system to forget what it has read). Then a kilobyte is put in front of
one large file, and it is brought again. In the end a folder of ten thousand files gets another name. What goes over the
wire is counted between client and door, but not the first time: who counts half a gigabyte beside them would take their
CPU.

    .venv/bin/python -m benchmarks.drive_sync
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timeline_world import parser

LARGE, LARGE_BYTES, TEXTS, TEXT_BYTES = 3, 100_000_000, 2_000, (1_000, 220_000)
RENAMED = 10_000
FATHOM = [sys.executable, "-P", "-m", "fathom"]
PASSWORD = "only for this benchmark"
START_S = 60.0
RSH = "/bin/sh -c 'shift; exec \"$@\"' -"  # in place of `ssh`: the host is this one


class Sizes(NamedTuple):
    large: int
    large_bytes: int
    texts: int
    renamed: int


class Turn(NamedTuple):
    """How long it took, what was moved (over the wire, or into the repository), and the CPU of all who did it."""

    took_s: float
    moved: int
    cpu_s: float


def main() -> None:
    asked = parser(__doc__ or "", rounds=3, seconds=0.0).parse_args()
    sizes = Sizes(1, 2_000_000, 40, 60) if asked.small else Sizes(LARGE, LARGE_BYTES, TEXTS, RENAMED)
    told = asyncio.run(compare(sizes, rounds=1 if asked.small else asked.rounds))
    print(told["says"])
    if asked.json:
        print(json.dumps(told))


async def compare(sizes: Sizes, *, rounds: int) -> dict[str, Any]:
    """Run the benchmark and return its figures: those of each round, and what they come to."""
    first: dict[str, list[Turn]] = {}
    again: dict[str, list[Turn]] = {}
    renamed: list[Turn] = []
    peers = {"borg": borg, "borg, served": served, "restic": restic}
    size = 0
    missing = [name for name in peers if shutil.which(name.partition(",")[0]) is None]
    for number in range(rounds):
        with tempfile.TemporaryDirectory(prefix="fathom-drive-") as folder:
            place = Path(folder)
            tree = place / "tree"
            size = lay_out(tree, sizes, random.Random(number))
            sides = ["drive", *(name for name in peers if name not in missing)]
            changed = tree / "large-0"
            async with drive(place) as (bring, door, counted):
                doers: dict[str, Callable[[], Any]] = {name: peers[name](place, tree) for name in sides[1:]}
                for turns, url in ((first, door), (again, counted)):
                    doers["drive"] = partial(bring, tree, url)
                    for name in sides[:: -1 if number % 2 else 1]:
                        os.sync()
                        warm(tree)
                        turn = doers[name]()
                        turns.setdefault(name, []).append(await turn if asyncio.iscoroutine(turn) else turn)
                    changed.write_bytes(random.Random(f"front {number}").randbytes(1_024) + changed.read_bytes())
                many(place / "many", sizes.renamed)
                await bring(place / "many", door)
                (place / "many" / "before").rename(place / "many" / "after")
                renamed.append(await bring(place / "many", counted))
    says = "\n".join(_said(first, again, renamed, size, sizes, missing))
    points = {"first": first, "again": again}
    told = {what: {name: [turn._asdict() for turn in rows] for name, rows in it.items()} for what, it in points.items()}
    return {"says": says, "bytes": size, **told, "renamed": [turn._asdict() for turn in renamed]}


def _said(
    first: dict[str, list[Turn]],
    again: dict[str, list[Turn]],
    renamed: list[Turn],
    size: int,
    sizes: Sizes,
    missing: list[str],
) -> Iterator[str]:
    large = f"{sizes.large} files of {sizes.large_bytes / 1e6:,.0f} MB"
    heads = f"{'beside borg':>22}{'beside restic':>22}{'CPU s':>8}{'moved MB':>10}"
    yield f"a tree of {size / 1e6:,.0f} MB: {large}, {sizes.texts:,} texts;"
    yield f"all on {os.cpu_count()} cores and one disk, in turns, {len(first['drive'])} rounds"
    for name in missing:
        yield f"there is no {name} here: make benchmarks installs it"
    yield f"{'brought for the first time':<28}{'MB/s':>8}{heads}"
    for name, rows in first.items():
        yield _row(name, rows, first, size / 1e6 / statistics.median(row.took_s for row in rows))
    yield f"{'a kilobyte in front of one':<28}{'s':>8}{heads}"
    for name, rows in again.items():
        yield _row(name, rows, again, statistics.median(row.took_s for row in rows))
    moved = statistics.median(row.moved for row in renamed)
    took_s = statistics.median(row.took_s for row in renamed)
    yield f"a folder of {sizes.renamed:,} files renamed: {moved / 1e6:.3f} MB on the wire, {took_s:.2f} s"


def _row(name: str, rows: list[Turn], all_rows: dict[str, list[Turn]], value: float) -> str:
    beside = [
        _spread([other.took_s / row.took_s for row, other in zip(rows, all_rows[peer], strict=True)])
        if peer in all_rows and peer != name
        else ""
        for peer in ("borg", "restic")
    ]
    cpu_s, moved = (statistics.median(row[at] for row in rows) for at in (2, 1))
    shown = f"{moved / 1e6:.2f}" if moved else "uncounted"
    return f"{name:<28}{value:>8.2f}{beside[0]:>22}{beside[1]:>22}{cpu_s:>8.2f}{shown:>10}"


def _spread(values: list[float]) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.2f}x ({low:.2f}-{high:.2f})"


# What is brought ------------------------------------------------------------------------------------------------------


def lay_out(tree: Path, sizes: Sizes, dice: random.Random) -> int:
    """Write the tree; return its bytes."""
    tree.mkdir()
    words = [f"{dice.getrandbits(40):x}"[: dice.randint(2, 9)] for _ in range(4_000)]
    total = 0
    for n in range(sizes.large):
        (tree / f"large-{n}").write_bytes(dice.randbytes(sizes.large_bytes))
        total += sizes.large_bytes
    for n in range(sizes.texts):
        folder = tree / f"texts-{n % 50}"
        folder.mkdir(exist_ok=True)
        length = dice.randint(*TEXT_BYTES)
        data = " ".join(dice.choices(words, k=length // 5)).encode()[:length]
        (folder / f"text-{n}.txt").write_bytes(data)
        total += len(data)
    return total


def warm(tree: Path) -> None:
    for file in tree.rglob("*"):
        if file.is_file():
            with file.open("rb", buffering=0) as opened:
                while opened.read(1 << 20):
                    pass


def many(place: Path, count: int) -> None:
    (place / "before").mkdir(parents=True)
    for n in range(count):
        (place / "before" / f"file-{n}").write_text(f"the file of number {n}\n")


# Who brings it --------------------------------------------------------------------------------------------------------


def borg(place: Path, tree: Path) -> Callable[[], Turn]:
    return _borg(place, tree, str(place / "borg"))


def served(place: Path, tree: Path) -> Callable[[], Turn]:
    return _borg(place, tree, f"ssh://here{place}/borg-served")


def _borg(place: Path, tree: Path, repository: str) -> Callable[[], Turn]:
    subprocess.run(["borg", "init", "-e", "none", repository], check=True, capture_output=True, env=environment(place))

    def bring() -> Turn:
        name = f"{repository}::{time.monotonic_ns()}"
        command = ["borg", "create", "--compression", "none", "--json", name, tree]
        took_s, cpu_s, out = _run(command, place)
        return Turn(took_s, json.loads(out)["archive"]["stats"]["deduplicated_size"], cpu_s)

    return bring


def restic(place: Path, tree: Path) -> Callable[[], Turn]:
    repository = place / "restic"
    subprocess.run(["restic", "init", "-r", repository], check=True, capture_output=True, env=environment(place))

    def bring() -> Turn:
        command = ["restic", "backup", "--compression", "off", "--json", "-r", repository, tree]
        took_s, cpu_s, out = _run(command, place)
        summary = next(line for line in map(json.loads, out.splitlines()) if line["message_type"] == "summary")
        return Turn(took_s, summary["data_added"], cpu_s)

    return bring


@asynccontextmanager
async def drive(place: Path) -> AsyncIterator[tuple[Callable[[Path, str], Any], str, str]]:
    """Have a drive up; give what brings a folder to it, where it is, and where something counts on the way there."""
    command = [*FATHOM, "up", "drive", "--data", str(place / "data"), "--port", "0", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=place
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_S):
            url = json.loads(await process.stdout.readline())["url"]
        token = await asyncio.to_thread(_join, url)
        async with _counting(url) as (counted, near):

            async def bring(folder: Path, near: str) -> Turn:
                before, spent = counted[0], _cpu_of(process.pid)
                told = [*FATHOM, "drive", "sync", str(folder), "--once", "--url", near, "--json"]
                took_s, cpu_s, _ = await asyncio.to_thread(_run, told, place, {"FATHOM_DRIVE_TOKEN": token})
                return Turn(took_s, counted[0] - before, cpu_s + _cpu_of(process.pid) - spent)

            yield bring, url, near
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def _counting(url: str) -> AsyncIterator[tuple[list[int], str]]:
    """Pass bytes on between a port of our own and a door, and count them."""
    host, _, port = url.removeprefix("http://").partition(":")
    counted = [0]

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 18):
                counted[0] += len(data)
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        try:
            await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
        finally:
            for each in (back, writer):
                each.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield counted, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _join(url: str) -> str:
    """Open an account, log in, and return the token."""
    body = json.dumps({"name": "ann", "password": PASSWORD}).encode()
    for path in ("users", "tokens"):
        asked = urllib.request.Request(f"{url}/api/{path}", body, {"content-type": "application/json"})
        with urllib.request.urlopen(asked) as answer:
            told = json.load(answer)
    return told["token"]


def environment(place: Path) -> dict[str, str]:
    passwords = {"RESTIC_PASSWORD": PASSWORD, "FATHOM_DRIVE_PASSWORD": PASSWORD}
    places = {"RESTIC_CACHE_DIR": str(place / "cache"), "BORG_BASE_DIR": str(place)}
    return {**os.environ, **passwords, **places, "BORG_RSH": RSH, "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}


def _run(command: list[Any], place: Path, more: Mapping[str, str] | None = None) -> tuple[float, float, str]:
    """Run a command, with `more` in its environment; return its seconds, its CPU seconds, and what it said."""
    began = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**environment(place), **(more or {})}, cwd=place
    ) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            assert process.stderr is not None
            raise SystemExit(f"{command[0]} ended with {process.returncode}: {process.stderr.read().decode()}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime, out.decode()


def _cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process and of all below it."""
    ticks, found = os.sysconf("SC_CLK_TCK"), {pid}
    total = 0.0
    rows = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                rows[int(entry.name)] = int(fields[1]), (int(fields[11]) + int(fields[12])) / ticks
    while more := {each for each, (parent, _) in rows.items() if parent in found and each not in found}:
        found |= more
    for each in found & rows.keys():
        total += rows[each][1]
    return total


if __name__ == "__main__":
    main()
