"""The machine under the dive: its cores and who runs on which, its clocks, its pressure, its fingerprint."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import os
import platform
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fathom.errors import FathomError
from fathom.lab import runs

__all__ = [
    "Busy",
    "Placement",
    "busy",
    "cannot_measure",
    "cpu_name",
    "cpu_s",
    "describe",
    "everybody",
    "of_the_kernel",
    "pressure_s",
    "sync",
]

PF_KTHREAD = 0x0020_0000  # include/linux/sched.h: this one belongs to the kernel
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


# ── who runs where ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclasses.dataclass(frozen=True)
class Placement:
    """One core for generator and runner, the rest for engines and services; on one core they share it."""

    generator: frozenset[int]
    system: frozenset[int]

    @classmethod
    def here(cls) -> Placement:
        """Divide the cores that this process may use."""
        return cls.of(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))

    @classmethod
    def of(cls, cores: Iterable[int]) -> Placement:
        first, *rest = sorted(cores)
        return cls(frozenset({first}), frozenset(rest or {first}))

    @property
    def apart(self) -> bool:
        """Whether load and service have cores of their own, so that their times mean something."""
        return not self.generator & self.system

    @contextlib.contextmanager
    def pinned(self) -> Iterator[None]:
        """Run a block on the generator's core."""
        if not hasattr(os, "sched_setaffinity"):
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.generator)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def raw(self) -> dict[str, list[int]]:
        return {"generator": sorted(self.generator), "system": sorted(self.system)}

    def __str__(self) -> str:
        if not self.apart:
            return "everything on one core"
        names = (f"{who} on {', '.join(map(str, sorted(cores)))}" for who, cores in self._who())
        return "cores: " + ", ".join(names)

    def _who(self) -> list[tuple[str, frozenset[int]]]:
        return [("load", self.generator), ("system", self.system)]


def cannot_measure() -> list[str]:
    """Return what this machine cannot measure, in sentences; empty where the lab is at home."""
    missing = []
    if cpu_s(os.getpid()) is None:
        missing.append("CPU time of other processes: it needs Linux' process clocks")
    if not Path("/proc/stat").exists():
        missing.append("machine busy time and steal: there is no /proc/stat")
    if not Path("/proc/pressure/cpu").exists():
        missing.append("pressure stalls: there is no /proc/pressure")
    if not Placement.here().apart:
        missing.append("which is faster: load and service would share the only core; work is still counted")
    return missing


# ── its clocks ────────────────────────────────────────────────────────────────────────────────────────────────────


def cpu_s(pid: int) -> float | None:
    """Return the CPU seconds of a process, all threads, those that ended too; None when it is gone.

    The process clock of another pid is exact; /proc/PID/stat counts in ticks of 10 ms and misses what ran between.
    """
    if not hasattr(time, "clock_gettime"):
        return None
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def everybody() -> dict[int, float]:
    """Return the CPU seconds of every process that can be seen, the kernel's threads too.

    The machine's own busy time is sampled at ticks of 10 ms: over a second it is off by as much as what it should show.
    """
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - a Path each is slow
    except OSError:
        return {}
    return {pid: seconds for pid in pids if (seconds := cpu_s(pid)) is not None}


def of_the_kernel(pid: int) -> bool:
    """Say whether a process is a thread of the kernel: no program, and at work for whoever writes or sends."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return bool(int(stat.rpartition(b")")[2].split()[6]) & PF_KTHREAD)


@dataclasses.dataclass(frozen=True)
class Busy:
    """What the cores did since boot, in seconds: worked, waited for the host to give them back (steal)."""

    busy_s: float
    steal_s: float
    cores: Mapping[int, float]

    def since(self, before: Busy) -> Busy:
        cores = {core: s - before.cores.get(core, 0.0) for core, s in self.cores.items()}
        return Busy(self.busy_s - before.busy_s, self.steal_s - before.steal_s, cores)


def busy() -> Busy | None:
    """Return the machine's busy time, or None where nobody counts it."""
    try:
        text = Path("/proc/stat").read_text()
    except OSError:
        return None
    total, steal, cores = 0.0, 0.0, {}
    for line in text.splitlines():
        name, *fields = line.split()
        if not name.startswith("cpu"):
            break
        user, nice, system, _idle, _wait, irq, soft, stolen = (int(field) / TICKS for field in fields[:8])
        worked = user + nice + system + irq + soft
        if name == "cpu":
            total, steal = worked, stolen
        else:
            cores[int(name[3:])] = worked
    return Busy(total, steal, cores)


def pressure_s() -> dict[str, float]:
    """Return for how long since boot some (or all) tasks waited: {"cpu.some": …, "io.full": …}, in seconds."""
    found: dict[str, float] = {}
    for resource in ("cpu", "io", "memory"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(f"/proc/pressure/{resource}").read_text().splitlines():
                kind, *fields = line.split()
                found[f"{resource}.{kind}"] = int(fields[-1].partition("=")[2]) / 1e6
    return found


def sync() -> None:
    """Write out what is dirty now, so that it is not written during the next measurement."""
    if hasattr(os, "sync"):
        os.sync()


# ── its fingerprint ───────────────────────────────────────────────────────────────────────────────────────────────


def describe(placement: Placement, folder: Path, engines: Mapping[str, str]) -> runs.Machine:
    """Measure the machine for about two seconds and say what it is; `folder` is on the disk that will be used."""
    cpu = cpu_name()
    cores = len(placement.generator | placement.system)
    name = f"{platform.system()} {platform.release()} {platform.machine()}"
    measured = {
        "loop_ns": _loop_ns(),
        "fsync_s": _fsync_s(folder),
        "loopback_s": _loopback_s(),
        "sleep_1ms_overshoot_p99_s": _overshoot_s(),
    }
    known = f"{cpu}|{cores}|{platform.system()}|{platform.machine()}"
    return runs.Machine(
        fingerprint=hashlib.sha256(known.encode()).hexdigest()[:12],
        cores=cores,
        system=name,
        cpu=cpu,
        memory_bytes=_memory_bytes(),
        python=platform.python_version(),
        placement=placement.raw(),
        engines=dict(engines),
        measured=measured,
    )


def cpu_name() -> str:
    """Return what the processor calls itself."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _loop_ns() -> float:
    """One turn of a loop on one core: the best of many, because interruptions only ever add."""
    turns, best = 20_000, math.inf
    for _ in range(150):
        start = time.perf_counter_ns()
        for _ in range(turns):
            pass
        best = min(best, (time.perf_counter_ns() - start) / turns)
    return round(best, 3)


def _fsync_s(folder: Path) -> float:
    """Write 4 KiB and sync it; the median of 60."""
    took = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(60):
                file.write(b"\0" * 4096)
                file.flush()
                start = time.perf_counter()
                os.fsync(file.fileno())
                took.append(time.perf_counter() - start)
    except OSError as error:
        raise FathomError(
            f"{folder} cannot be written",
            why=error.strerror or str(error),
            fix="make room there or allow writing, or say another folder: --runs FOLDER",
        ) from None
    return round(statistics.median(took), 9)


def _loopback_s() -> float:
    """There and back over TCP between two threads; the median of 500."""
    took = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def echo() -> None:
            peer, _ = server.accept()
            with peer:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := peer.recv(64):
                    peer.sendall(data)

        thread = threading.Thread(target=echo, daemon=True)
        thread.start()
        with socket.create_connection(server.getsockname()) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(500):
                start = time.perf_counter()
                line.sendall(b"ping")
                line.recv(64)
                took.append(time.perf_counter() - start)
        thread.join()
    return round(statistics.median(took), 9)


def _overshoot_s() -> float:
    """How much longer than 1 ms a sleep of 1 ms takes; the 99th percentile of 200."""
    took = []
    for _ in range(200):
        start = time.perf_counter()
        time.sleep(0.001)
        took.append(time.perf_counter() - start - 0.001)
    return round(sorted(took)[-3], 9)
