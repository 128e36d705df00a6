"""Start every engine, look at the machine, and say what can be measured here and what cannot."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import platform
import resource
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fathom.cli import options, voice
from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.engines.engine import Engine
    from fathom.engines.keeper import Keeper

FILES_MIN = 1024  # a dive's generator, service and engines keep some hundred connections between them
FREE_BYTES_MIN = 2_000_000_000
FLUSH_S_MIN = 0.0002  # no disk makes a write durable in less; what says it does, keeps it in a cache
START_S = 30.0


@dataclasses.dataclass(frozen=True)
class Found:
    """One engine: started, or why it could not be."""

    kind: str
    version: str | None = None
    program: str | None = None
    ready_s: float | None = None
    trouble: FathomError | None = None

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("kind", "version", "program", "ready_s")}
        return {**plain, "trouble": self.trouble.as_json() if self.trouble else None}


@click.command
@options.runs
@options.as_json
def command(runs: Path, as_json: bool) -> int:
    """Start every engine, look at the machine, and say what can be measured here and what cannot."""
    from fathom.cli.run import complete
    from fathom.lab import machine

    voice.note("starting each engine once, measuring the machine for two seconds")
    engines = complete(_engines())
    folder = _standing(runs)
    placement = machine.Placement.here()
    looked = machine.describe(placement, folder, {found.kind: found.version or "" for found in engines})
    cannot = [*machine.cannot_measure(), *_limits(folder, looked.measured["fsync_s"])]
    failed = [found for found in engines if found.trouble]
    if as_json:
        voice.say_json(
            {
                "python": platform.python_version(),
                "machine": {name: getattr(looked, name) for name in ("system", "cpu", "cores", "memory_bytes")},
                "placement": placement.raw(),
                "measured": looked.measured,
                "perf_event_paranoid": _perf(),
                "clock_ticks_per_s": machine.TICKS,
                "pressure_stalls": Path("/proc/pressure/cpu").exists(),
                "steal_s": busy.steal_s if (busy := machine.busy()) else None,
                "free_bytes": shutil.disk_usage(folder).free,
                "open_files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                "engines": [found.as_json() for found in engines],
                "cannot": cannot,
                "ready": not failed,
            }
        )
    else:
        _print(engines, looked, placement, folder, cannot)
    return 1 if failed else 0


async def _engines() -> list[Found]:
    from fathom.engines.keeper import Keeper

    async with Keeper.open() as keeper:
        return [await _start(keeper, kind) for kind in _kinds()]


def _kinds() -> list[type[Engine]]:
    from fathom.engines.nats import Nats
    from fathom.engines.objects import Objects
    from fathom.engines.postgres import Postgres
    from fathom.engines.redis import Redis

    return [Postgres, Redis, Nats, Objects]


async def _start(keeper: Keeper, kind: type[Engine]) -> Found:
    began = time.monotonic()
    try:
        async with asyncio.timeout(START_S), kind.start(keeper, name=f"doctor-{kind.kind}") as engine:
            ready_s = time.monotonic() - began
            return Found(kind.kind, engine.version, _program(engine.processes()), ready_s)
    except FathomError as trouble:
        return Found(kind.kind, trouble=trouble)
    except TimeoutError:
        late = FathomError(
            f"{kind.kind} did not start", why=f"it was not ready after {START_S:g} s", fix="see what else runs here"
        )
        return Found(kind.kind, trouble=late)


def _program(processes: tuple[int, ...]) -> str | None:
    """Return the file that an engine's first process runs: it tells a wheel from a server on the PATH."""
    try:
        return str(Path(f"/proc/{processes[0]}/exe").readlink())
    except (OSError, IndexError):
        return None


def _standing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _limits(folder: Path, fsync_s: float) -> list[str]:
    """Return what is short here, in sentences."""
    short: list[str] = []
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files < FILES_MIN:
        short.append(f"many connections: {files} files may be open (ulimit -n {FILES_MIN})")
    free = shutil.disk_usage(folder).free
    if free < FREE_BYTES_MIN:
        short.append(f"large data sets: {free / 1e9:.1f} GB are free at {folder}")
    if fsync_s < FLUSH_S_MIN:
        short.append(f"what durability costs: fsync returns after {fsync_s * 1e3:.2f} ms; is there a disk behind it?")
    paranoid = _perf()
    if paranoid is None or (paranoid > 2 and os.geteuid() != 0):
        short.append("instructions and cache misses: perf counters are not to be had (no dive needs them)")
    return short


def _perf() -> int | None:
    try:
        return int(Path("/proc/sys/kernel/perf_event_paranoid").read_text())
    except (OSError, ValueError):
        return None


def _kernel() -> str:
    from fathom.lab import machine

    busy, perf = machine.busy(), _perf()
    return ", ".join(
        [
            f"{machine.TICKS} clock ticks a second",
            "pressure stalls shown" if Path("/proc/pressure/cpu").exists() else "no pressure stalls shown",
            f"{busy.steal_s:.1f} s stolen since boot" if busy else "no steal shown",
            f"perf_event_paranoid {perf}" if perf is not None else "no perf",
            f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} open files",
        ]
    )


def _print(engines: list[Found], looked: Any, placement: Any, folder: Path, cannot: list[str]) -> None:
    memory = f"{looked.memory_bytes / 1e9:.0f} GB" if looked.memory_bytes else "unknown memory"
    measured = looked.measured
    rows = [
        ["machine", f"{looked.system}, {looked.cpu}, {memory}"],
        ["python", platform.python_version()],
        ["cores", f"{looked.cores}: {str(placement).removeprefix('cores: ')}"],
        ["kernel", _kernel()],
        ["disk", f"{shutil.disk_usage(folder).free / 1e9:.0f} GB free, fsync {measured['fsync_s'] * 1e3:.2f} ms"],
        ["loopback", f"{measured['loopback_s'] * 1e6:.0f} us there and back"],
        ["timers", f"a sleep of 1 ms is up to {measured['sleep_1ms_overshoot_p99_s'] * 1e3:.2f} ms late (p99)"],
    ]
    print(voice.columns(rows))
    print("\nengines")
    lines: list[list[str]] = []
    for found in engines:
        if found.trouble is None:
            mark = voice.paint("✓", "green")
            lines.append(
                [mark, found.kind, str(found.version), f"{found.ready_s:.2f} s", found.program or "no process"]
            )
        else:
            lines.append([voice.paint("✗", "red"), found.kind, str(found.trouble).replace("\n", "\n      ")])
    print(voice.columns(lines, indent="  "))
    if cannot:
        print("\nthis machine cannot measure")
        for line in cannot:
            print(f"  {line}")
    failed = [found.kind for found in engines if found.trouble]
    verdict = f"{', '.join(failed)} will not start: see above" if failed else "every engine starts; dives can run here"
    print(f"\n{verdict}")
