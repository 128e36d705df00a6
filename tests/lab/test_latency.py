"""What is measured is what the name says: the loops do their work, the chain is one circle, what cannot be says why."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from fathom.errors import FathomError
from fathom.lab import latency
from fathom.lab.latency import caches, disk, native, peer
from fathom.lab.latency.bench import BATCH_S, SAMPLES_MIN, Bench, Samples
from fathom.lab.latency.measured import Measured, Session, sessions, write
from fathom.lab.latency.table import Thing
from fathom.lab.machine import Placement

ours = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="machine code for Linux on x86-64"
)


def silent(line: str) -> None:
    """Hear nothing."""


def test_every_thing_says_what_it_is_and_how_it_is_measured():
    known = latency.every_thing()
    assert len(known) >= 20
    assert len({thing.name for thing in known}) == len(known)
    for thing in known:
        assert thing.says and thing.method, thing.name
        assert thing.told is None or (thing.told.seconds > 0 and thing.told.source and 2000 < thing.told.year < 2030)


def test_a_thing_that_is_not_there_is_told_with_a_guess():
    with pytest.raises(FathomError, match="'main-memroy'") as told:
        latency.thing_named("main-memroy", latency.every_thing())
    assert "did you mean 'main-memory'" in told.value.fix


@ours
@pytest.mark.parametrize("size", [4096, 100_000, 1 << 20])
def test_a_chain_is_one_circle_through_all_of_its_lines(size: int):
    chain, chase = caches.Chain(size), native.compiled(native.CHASE, 2)
    begin, at, seen = chain.at, chain.at, set()
    for _ in range(len(chain)):
        seen.add(at)
        at = chase(at, 1)
    assert at == begin
    assert len(seen) == len(chain) == size // caches.LINE
    assert chase(begin, len(chain)) == begin


@ours
def test_the_loops_of_machine_code_do_what_they_are_timed_for():
    bits = np.random.default_rng(1).integers(0, 2, 1000, dtype=np.uint8)
    assert native.compiled(native.SUM_IF, 2)(bits.ctypes.data, len(bits)) == bits.sum()
    assert native.compiled(native.GETPID, 1, linux=True)(3) == os.getpid()
    mutex = ctypes.create_string_buffer(64)
    there = ctypes.addressof(mutex)
    lock, unlock = native.address("pthread_mutex_lock"), native.address("pthread_mutex_unlock")
    native.compiled(native.LOCK_UNLOCK, 4)(there, 1000, lock, unlock)
    assert ctypes.CDLL(None).pthread_mutex_trylock(mutex) == 0  # it was left free
    assert ctypes.CDLL(None).pthread_mutex_trylock(mutex) != 0  # and it is a lock


async def test_what_cannot_be_measured_on_this_machine_says_why_and_gives_no_number(tmp_path, monkeypatch):
    monkeypatch.setattr(native.platform, "machine", lambda: "riscv64")
    monkeypatch.setattr(caches, "_CPU", tmp_path)
    known = latency.every_thing()
    chosen = [latency.thing_named(name, known) for name in ("mutex", "memory-1mb", "json-1kb")]
    json, *missing = await latency.measure(chosen, tmp_path, 0.01, silent)
    assert json.name == "json-1kb" and json.p50_s and json.why_not is None
    assert {row.name: row.why_not for row in missing} == {
        "mutex": "its loop is written for x86-64, and this is riscv64",
        "memory-1mb": "the kernel does not say how large the L3 cache is",
    }
    assert all(row.p50_s is None and row.n == 0 and row.ratio is None for row in missing)


async def test_an_engine_that_will_not_start_is_a_row_that_says_so(tmp_path):
    async def run(bench: Bench) -> Samples:
        raise FathomError("there is no Redis", why="none was found", fix="install one")

    (row,) = await latency.measure([Thing("redis-get", "A value", "GET", None, run)], tmp_path, 0.01, silent)
    assert row.why_not == "there is no Redis: none was found"


async def test_whatever_kind_of_error_a_thing_ends_with_it_is_a_row_that_says_so_and_the_others_stay(tmp_path):
    def thing(name: str, fault: Exception | None = None) -> Thing:
        async def run(bench: Bench) -> Samples:
            if fault is not None:
                raise fault
            return Samples([1.0])

        return Thing(name, "It", "so", None, run)

    chosen = [thing("late", TimeoutError()), thing("well"), thing("odd", ArithmeticError("no such key"))]
    well, *missing = await latency.measure(chosen, tmp_path, 0.01, silent)
    assert (well.name, well.p50_s) == ("well", 1.0)
    assert [row.why_not for row in missing] == ["TimeoutError", "ArithmeticError: no such key"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["loopback", "unix-socket", "context-switch"])
async def test_when_whoever_answers_dies_the_row_says_so_and_nobody_waits_for_ever(tmp_path, monkeypatch, name: str):
    dying = tmp_path / "dying.py"
    dying.write_text(
        "import os, sys\nfor _ in range(5):\n    os.write(int(sys.argv[2]), os.read(int(sys.argv[1]), 64))\n"
    )
    monkeypatch.setattr(peer, "__file__", str(dying))
    chosen = [latency.thing_named(name, latency.every_thing())]
    (row,) = await latency.measure(chosen, tmp_path, 0.01, silent)
    assert row.p50_s is None
    assert row.why_not in (peer.GONE, "Broken pipe", "Connection reset by peer")


def test_ctrl_c_does_not_reach_whoever_answers(tmp_path, monkeypatch):
    told = tmp_path / "told.py"
    told.write_text("import os, sys\nos.write(int(sys.argv[2]), str(os.getsid(0)).encode())\n")
    monkeypatch.setattr(peer, "__file__", str(told))
    ours, theirs = socket.socketpair()
    line = theirs.detach()
    with ours, peer.answering(line, line, ()):
        assert int(ours.recv(20)) != os.getsid(0)


def test_work_that_is_slow_for_once_is_timed_in_batches_all_the_same(tmp_path):
    slow = iter([2 * BATCH_S])

    def work(n: int) -> None:
        until = time.perf_counter() + next(slow, 0.0)
        while time.perf_counter() < until:
            pass
        sum(range(n))

    found = Bench(tmp_path, 0.01, Placement.here(), AsyncExitStack()).batches(work)
    assert found.batch > 100


async def test_percentiles_are_samples_and_the_quickest_thing_comes_first(tmp_path):
    def thing(name: str, seconds: list[float]) -> Thing:
        async def run(bench: Bench) -> Samples:
            return Samples(seconds, 7, "a note")

        return Thing(name, "It", "so", latency.Told(2.0, "a book", 2009), run)

    slow = thing("slow", [float(n) for n in range(1, 101)])
    first, second = await latency.measure([slow, thing("quick", [1.0] * 20)], tmp_path, 0.01, silent)
    assert (first.name, first.p5_s, first.p50_s, first.p95_s, first.ratio) == ("quick", 1.0, 1.0, 1.0, 0.5)
    assert (second.p5_s, second.p50_s, second.p95_s, second.n, second.batch) == (6.0, 51.0, 95.0, 100, 7)


@ours
@pytest.mark.slow
async def test_each_that_needs_no_engine_is_measured_here_or_says_why(tmp_path):
    engines = {"redis-get", "postgres-row", "postgres-commit", "jetstream-publish"}
    large = {"main-memory", "memory-1mb"}
    chosen = [thing for thing in latency.every_thing() if thing.name not in engines | large]
    rows = await latency.measure(chosen, tmp_path, 0.01, silent)
    for row in rows:
        if row.why_not is None:
            assert row.p5_s is not None and row.p50_s is not None and row.p95_s is not None
            assert row.n >= SAMPLES_MIN and row.p5_s <= row.p50_s <= row.p95_s, row.name
    assert sum(row.why_not is None for row in rows) >= 12
    assert not list(tmp_path.iterdir())  # what lay on the disk is gone


@ours
@pytest.mark.slow
async def test_a_folder_that_cannot_be_read_past_the_cache_or_written_is_told_not_timed(tmp_path, monkeypatch):
    opened = os.open

    def refuse(path: str, flags: int, *mode: int, **more: int) -> int:
        if flags & os.O_DIRECT:
            raise OSError(22, "Invalid argument")
        return opened(path, flags, *mode, **more)

    monkeypatch.setattr(disk.os, "open", refuse)
    monkeypatch.setattr(disk, "_MOUNTS", tmp_path / "none")  # wherever this test's own folder may be kept
    known = latency.every_thing()
    chosen = [latency.thing_named("disk-4kb", known)]
    (row,) = await latency.measure(chosen, tmp_path, 0.01, silent)
    assert row.why_not == f"{tmp_path} cannot be read past the page cache: Invalid argument" and row.n == 0
    chosen = [latency.thing_named("fsync-4kb", known)]
    (row,) = await latency.measure(chosen, tmp_path / "gone", 0.01, silent)
    assert row.why_not == "No such file or directory" and row.n == 0


@pytest.mark.parametrize("name", ["disk-4kb", "disk-1mb", "fsync-4kb"])
async def test_a_folder_that_is_kept_in_memory_is_no_disk(tmp_path, monkeypatch, name: str):
    device = tmp_path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"22 1 0:0 / / rw - ext4 x rw\n36 22 {number} / /tmp rw shared:1 - tmpfs tmpfs rw\n")
    monkeypatch.setattr(disk, "_MOUNTS", mounts)
    (row,) = await latency.measure([latency.thing_named(name, latency.every_thing())], tmp_path, 0.01, silent)
    assert row.why_not == f"{tmp_path} is kept in memory (tmpfs), and not on a disk"


def test_sessions_that_can_be_read_are_found_the_youngest_first(tmp_path: Path):
    assert not list(sessions(tmp_path))
    row = Measured(name="mutex", says="A lock", method="so", p50_s=5e-9)
    for day in ("2026-11-20", "2026-11-21"):
        write(Session(f"{day}T08:00:00+00:00", "a machine", "one core", [row]), tmp_path)
    (tmp_path / "latency" / "2026-11-22T08-00-00.json").write_text("{")
    (tmp_path / "latency" / "notes.json").write_text("[]")
    assert [found.at[:10] for found in sessions(tmp_path)] == ["2026-11-21", "2026-11-20"]
    assert next(sessions(tmp_path)).rows == [row]


def test_sessions_of_one_second_are_all_kept_the_last_one_first(tmp_path: Path):
    for n in range(1, 12):
        write(Session("2026-11-21T08:00:00+00:00", f"machine {n}", "one core", []), tmp_path)
    assert [found.machine for found in sessions(tmp_path)] == [f"machine {n}" for n in range(11, 0, -1)]
