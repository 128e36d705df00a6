"""The machine is read exactly where it can be, and its cores are divided once."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fathom.errors import FathomError
from fathom.lab import machine
from fathom.lab.hiccups import Hiccups
from fathom.lab.machine import Placement

linux = pytest.mark.skipif(sys.platform != "linux", reason="the lab is for Linux")

BURN = "import time\nwhile time.process_time() < 0.05: pass\nprint(time.process_time(), flush=True)\ninput()"


def burning() -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-I", "-S", "-c", BURN], stdin=pipe, stdout=pipe, text=True)


@linux
def test_the_clock_of_another_process_is_exact():
    with burning() as process:
        assert process.stdout is not None
        said_s = float(process.stdout.readline())
        read_s = machine.cpu_s(process.pid)
        assert read_s is not None and abs(read_s - said_s) < 0.02 * said_s + 0.002  # ticks of 10 ms could not
        assert machine.everybody()[process.pid] == pytest.approx(read_s, abs=0.002)
        process.communicate("\n")
    assert machine.cpu_s(process.pid) is None


@linux
def test_threads_of_the_kernel_are_known_by_their_flag_and_no_program_is_one():
    assert not machine.of_the_kernel(os.getpid()) and not machine.of_the_kernel(2**22 + 1)
    if Path("/proc/2/comm").read_text().strip() == "kthreadd":  # in a container nobody sees them
        assert machine.of_the_kernel(2)


@linux
def test_busy_time_grows_with_work_and_by_no_more_than_all_cores_have():
    before, start = machine.busy(), time.perf_counter()
    while time.perf_counter() - start < 0.2:
        pass
    after = machine.busy()
    assert before is not None and after is not None
    since = after.since(before)
    took_s = time.perf_counter() - start
    assert 0.1 < since.busy_s < (os.cpu_count() or 1) * (took_s + 0.1)
    assert sum(since.cores.values()) == pytest.approx(since.busy_s, abs=0.05)


def test_one_core_is_the_generators_and_the_rest_the_systems():
    apart = Placement.of([5, 2, 3])
    assert apart.generator == {2} and apart.system == {3, 5} and apart.apart
    alone = Placement.of([4])
    assert alone.generator == alone.system == {4} and not alone.apart
    assert "everything on one core" in str(alone) and apart.raw() == {"generator": [2], "system": [3, 5]}


@linux
def test_pinning_ends_with_its_block():
    before = os.sched_getaffinity(0)
    placement = Placement.here()
    with placement.pinned():
        assert os.sched_getaffinity(0) == placement.generator
    assert os.sched_getaffinity(0) == before


@pytest.mark.slow
def test_a_machine_is_described_in_numbers_that_it_has(tmp_path):
    described = machine.describe(Placement.here(), tmp_path / "runs", {"cache": "Redis 6"})
    assert described.cores >= 1 and described.engines == {"cache": "Redis 6"}
    assert all(value > 0 for value in described.measured.values())
    assert described.fingerprint == machine.describe(Placement.here(), tmp_path, {}).fingerprint


def test_a_disk_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FathomError, match="cannot be written"):
        machine.describe(Placement.here(), tmp_path / "file" / "runs", {})


@pytest.mark.slow
@pytest.mark.quiet
async def test_controls_sleep_between_begin_and_end_and_go_with_the_block():
    async with Hiccups.on(Placement.here().system) as hiccups:
        pids = hiccups.pids()
        for _ in range(2):
            hiccups.begin()
            start = time.perf_counter()
            while time.perf_counter() - start < 0.03:
                pass
            for late in await hiccups.end():
                assert 0 < late.n < 100 and 0 <= late.p50_s <= late.p99_s <= late.max_s
    assert all(machine.cpu_s(pid) is None for pid in pids)


@pytest.mark.slow
@pytest.mark.quiet
async def test_controls_that_were_told_to_begin_and_end_at_once_say_so():
    async with Hiccups.on(Placement.here().generator) as hiccups:
        hiccups.begin()
        (late,) = await hiccups.end()
        assert late.n < 100
