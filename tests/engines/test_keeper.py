"""Nothing survives its run: children are kept by one who ends them whatever becomes of us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fathom.engines import keeper as keeper_module
from fathom.engines import keeper_process
from fathom.engines.keeper import Child, Keeper
from fathom.engines.ports import free_port
from fathom.errors import FathomError

PYTHON = [sys.executable, "-I", "-S", "-c"]
SLEEP = "import time; time.sleep(3600)"
# A child with a child in the same group, and one that has left group, session and parent.
FAMILY = """
import os, time
if os.fork() == 0:
    time.sleep(3600)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    time.sleep(3600)
print("all here", flush=True)
time.sleep(3600)
"""


def running(pid: int) -> bool:
    found = keeper_process.processes().get(pid)
    return found is not None and found.state != "Z"


async def gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether a process that is no child of ours ends in time."""
    until = time.monotonic() + within_s
    while running(pid):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.005)
    return True


def below(keeper: Keeper) -> set[int]:
    return keeper_process.below(keeper_process.processes(), {keeper.process_id})


# What a child is given and what it gives ------------------------------------------------------------------------------


async def test_a_child_gets_what_it_is_given(keeper: Keeper, spaced: Path, core: int):
    code = "import os, sys; print([sys.stdin.read(), os.getcwd(), os.environ['SAYS'], *os.sched_getaffinity(0)])"
    child = await keeper.spawn(
        [*PYTHON, code], name="child", env={"SAYS": "hello"}, cwd=spaced, cores={core}, stdin=b"told\n"
    )
    assert await child.first_line(10.0) == repr(["told\n", str(spaced), "hello", core]).encode()
    assert await child.wait() == 0
    assert not child.alive
    assert child.tree() == ()


async def test_a_child_is_not_deaf_to_the_signals_that_the_keeper_ignores(keeper: Keeper):
    child = await keeper.spawn(["sleep", "3600"], name="child")
    await child.signal(signal.SIGTERM)
    assert await child.wait() == -signal.SIGTERM


async def test_a_program_that_is_not_there_is_said_so(keeper: Keeper):
    with pytest.raises(FathomError, match="nobody could not be started") as caught:
        await keeper.spawn(["/no/such/program"], name="nobody")
    assert "No such file" in caught.value.why


async def test_a_child_that_says_nothing_is_a_fault_that_tells_what_it_said_last(keeper: Keeper):
    child = await keeper.spawn([*PYTHON, "import sys; sys.exit('I have no licence')"], name="child")
    with pytest.raises(FathomError) as caught:
        await child.first_line(10.0)
    assert "ended with status 1" in caught.value.why
    assert "I have no licence" in caught.value.why


@pytest.mark.parametrize(
    ("prints", "why"),
    [
        ('{"url": "here"}', ""),
        ('{"error": "it cannot", "why": "the port is taken", "fix": "say another"}', "the port is taken"),
        ("good morning", "it said b'good morning' instead of that it is ready"),
    ],
)
async def test_what_a_child_says_when_it_is_ready_is_read_and_a_fault_that_it_says_is_raised(
    keeper: Keeper, prints: str, why: str
):
    child = await keeper.spawn([*PYTHON, f"print({prints!r})"], name="child")
    if not why:
        assert await child.said(10.0) == {"url": "here"}
        return
    with pytest.raises(FathomError) as caught:
        await child.said(10.0)
    assert caught.value.why.startswith(why)


async def test_a_run_that_fails_is_a_fault(keeper: Keeper):
    with pytest.raises(FathomError, match="copy failed"):
        await keeper.run(["cp", "/no/such/file", keeper.data], name="copy")


@pytest.mark.slow
async def test_what_a_child_says_is_kept_within_bounds(keeper: Keeper):
    code = "import sys\nfor n in range(20_000): print(n, 'x' * 500)\nprint('the end', flush=True)\nsys.stdin.read()"
    child = await keeper.spawn([*PYTHON, code], name="chatter")
    assert await child.wait() == 0
    size = size_of(keeper.folder)
    assert 10_000_000 > 2 * keeper_process.LOG_BYTES_MAX >= size > keeper_process.LOG_BYTES_MAX // 2
    assert child.tail(1) == "the end"
    assert (await child.first_line(1.0)).startswith(b"0 xxx")


async def family(keeper: Keeper) -> tuple[Child, set[int]]:
    """A child with a child of its own and with one that has left it; and the numbers of all three."""
    child = await keeper.spawn([*PYTHON, FAMILY], name="family")
    assert await child.first_line(10.0) == b"all here"
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        tree = set(child.tree())  # first, so that the one in the middle, which ends, is not taken for the loose one
        living = {pid for pid in below(keeper) if running(pid)}
        if len(living) == 3 and living - tree:
            return child, living
        await asyncio.sleep(0.005)  # nobody tells when the one in the middle is gone
    raise AssertionError("the family is not complete")


def states(pids: set[int]) -> set[str]:
    table = keeper_process.processes()
    return {table[pid].state for pid in pids if pid in table} - {"Z"}


async def test_a_child_is_stopped_and_ended_with_all_that_came_from_it(keeper: Keeper):
    child, everyone = await family(keeper)
    assert len(child.tree()) == 2, "the third is no descendant any more"
    await child.pause()
    assert states(everyone) == {"T"}
    await child.resume()
    assert states(everyone) <= {"S", "R"}
    await child.kill()
    assert await child.wait() == -signal.SIGKILL
    assert states(everyone) == set()


async def test_what_a_dead_child_leaves_behind_is_ended_with_it_and_its_neighbours_are_not(keeper: Keeper):
    child, everyone = await family(keeper)
    neighbour = await keeper.spawn(["sleep", "3600"], name="neighbour")
    await child.signal(signal.SIGKILL)  # only itself: what it leaves behind comes to the keeper
    await child.wait()
    assert len([pid for pid in everyone if running(pid)]) == 2
    await child.kill()
    assert not [pid for pid in everyone if running(pid)]
    assert neighbour.alive
    assert running(neighbour.pid)


async def test_a_spawn_that_is_given_up_leaves_no_child(keeper: Keeper):
    spawning = asyncio.create_task(keeper.spawn(["sleep", "3600"], name="child"))
    await asyncio.sleep(0)  # it is asked for, and not answered yet
    spawning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spawning
    assert below(keeper) == set()


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def modes(*paths: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in paths}


async def test_what_the_keeper_owns_goes_with_it(spaced: Path):
    async with Keeper.open() as keeper:
        assert modes(keeper.folder, keeper.data) == {0o700}
        assert len(str(keeper.folder)) < 60, "a socket's path has room for 107 bytes"
        keeper.own(spaced / "mine")
        (spaced / "mine" / "deep").mkdir(parents=True)
        (spaced / "mine" / "deep" / "file").touch()
        (spaced / "mine" / "deep").chmod(0o500)
        (spaced / "theirs").touch()
    assert names_in(spaced) == ["theirs"]


async def test_a_keeper_owns_no_whole_disk(keeper: Keeper):
    with pytest.raises(ValueError, match="cannot own"):
        keeper.own(Path("/"))
    with pytest.raises(ValueError, match="cannot own"):
        keeper.own(Path("relative"))


# Ends -----------------------------------------------------------------------------------------------------------------


async def test_the_keeper_ends_its_children_when_its_block_does():
    async with Keeper.open() as keeper:
        child, everyone = await family(keeper)
        await child.pause()
    assert not [pid for pid in everyone if running(pid)]
    assert not running(keeper.process_id)


@pytest.mark.slow
async def test_a_keeper_that_has_much_to_delete_is_given_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    slow = "swiftly = remove\n\n\ndef remove(path):\n    time.sleep(0.8)\n    swiftly(path)\n\n\n"
    start = 'if __name__ == "__main__":'
    (tmp_path / "slow.py").write_text(keeper_module.PROCESS.read_text().replace(start, slow + start))
    monkeypatch.setattr(keeper_module, "PROCESS", tmp_path / "slow.py")
    monkeypatch.setattr(keeper_module, "END_S", 1.0)
    async with Keeper.open() as keeper:
        pass
    assert not keeper.folder.exists()
    assert not keeper.data.exists()
    assert keeper._process.returncode == 0, "it was not left to end by itself"


async def test_the_keeper_does_not_hear_the_terminal(keeper: Keeper):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(keeper.process_id, number)
    child = await keeper.spawn(["sleep", "3600"], name="child")
    assert child.alive
    assert os.getsid(keeper.process_id) == keeper.process_id != os.getsid(0)


def cpu_s(pid: int) -> float:
    """The CPU time of a process so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@pytest.mark.slow
async def test_a_keeper_with_nothing_to_do_does_nothing(keeper: Keeper):
    # One that has ended, one whose grandchild holds its pipes, one that closed them, and one that stands still.
    ended = await keeper.spawn(["true"], name="ended")
    await ended.wait()
    left = await keeper.spawn([*PYTHON, f"import os\nif os.fork() == 0: {SLEEP}\nos._exit(0)"], name="left")
    await left.wait()
    closed = await keeper.spawn([*PYTHON, f"import os; print(flush=True); os.closerange(0, 3); {SLEEP}"], name="closed")
    paused = await keeper.spawn(["sleep", "3600"], name="paused")
    await paused.pause()
    await closed.first_line(10.0)
    await asyncio.sleep(0.1)
    before = cpu_s(keeper.process_id)
    await asyncio.sleep(1.0)
    assert cpu_s(keeper.process_id) - before < 0.01


@pytest.mark.skipif(not hasattr(os, "SCHED_FIFO"), reason="Linux has real-time priorities")
async def test_a_keeper_takes_no_real_time_priority_from_who_started_it_but_its_children_do():
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("this user may have no real-time priority")
    try:
        async with Keeper.open() as keeper:
            child = await keeper.spawn(["sleep", "3600"], name="child")
            assert os.sched_getscheduler(keeper.process_id) == os.SCHED_OTHER
            assert os.sched_getscheduler(child.pid) == os.SCHED_FIFO
            assert os.sched_getparam(child.pid).sched_priority == 1
    finally:
        os.sched_setscheduler(0, *before)


async def test_children_die_with_a_keeper_that_is_killed():
    async with Keeper.open() as keeper:
        child = await keeper.spawn(["sleep", "3600"], name="child")
        stopped = await keeper.spawn([*PYTHON, FAMILY], name="family", cwd=keeper.data)
        await stopped.first_line(10.0)
        await stopped.pause()
        everyone = below(keeper)
        os.kill(keeper.process_id, signal.SIGKILL)
        assert await child.wait() == -signal.SIGKILL
        for pid in everyone:
            assert await gone(pid)
        with pytest.raises(FathomError, match="keeps the engines has ended"):
            await keeper.spawn(["sleep", "1"], name="another")
    assert not keeper.folder.exists()
    assert not keeper.data.exists()


@contextlib.contextmanager
def bare() -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A keeper's process, and the socket to talk to it with."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [sys.executable, "-I", "-S", keeper_process.__file__, str(os.getpid())]
        process = subprocess.Popen(argv, stdin=theirs, start_new_session=True)
        theirs.close()
        assert b'"ready": true' in ours.recv(65536)
        try:
            yield ours, process
        finally:
            ours.close()
            process.wait(10)


def test_half_a_message_is_not_obeyed(tmp_path: Path):
    sign = tmp_path / "sign"
    order = b'{"do": "own", "path": "%s"}\n' % bytes(sign)
    sign.touch()
    with bare() as (ours, process):
        ours.sendall(order[:-1])
        ours.close()
        assert process.wait(10) == 0
    assert sign.exists()
    with bare() as (ours, process):
        ours.sendall(order[:9])
        ours.sendall(order[9:])
        ours.close()
        assert process.wait(10) == 0
    assert not sign.exists()


def test_nonsense_ends_the_keeper_and_all_it_keeps():
    with bare() as (ours, process):
        ours.sendall(b"this is not JSON\n")
        assert process.wait(10) == 70
        assert b"broke" in ours.recv(65536)


def test_an_order_that_cannot_be_carried_out_harms_nobody():
    with bare() as (ours, process):
        ours.sendall(
            b'{"id": 1, "do": "pause", "child": 99}\n{"id": 2, "do": "dance"}\n{"id": 3, "do": "own", "path": "/x/y"}\n'
        )
        said = b""
        while said.count(b"\n") < 3:
            said += ours.recv(65536)
        assert said.count(b"error") == 2
        assert process.poll() is None


def test_a_free_port_is_none_that_the_system_gives_to_clients():
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(20)}
    assert len(ports) > 10
    assert all(1024 < port < max(first, 32_000) for port in ports)


# Killed at any moment -------------------------------------------------------------------------------------------------


class Victim:
    """A run to be killed: everything it makes bears its mark, in a path, a variable or an argument."""

    process: asyncio.subprocess.Process

    def __init__(self, seed: int, caches: Path) -> None:
        dice = random.Random(seed)
        self.seed = seed
        self.up_first = (
            dice.random() < 0.5
        )  # killed when its engines are up, and in whatever state; or on the way there
        self.lives_s = dice.uniform(0.0, 0.5 if self.up_first else 1.0)
        self.cache = caches / ("shared" if dice.random() < 0.8 else f"own-{seed}")  # its own is empty: initdb first
        # A short path, because sockets lie below it.
        self.folder = Path(tempfile.mkdtemp(prefix=f"fk{seed}-", dir="/tmp"))
        self.ports = set[int]()

    async def begin(self) -> None:
        environment = os.environ | {"TMPDIR": str(self.folder), "FATHOM_CACHE": str(self.cache)}
        environment.pop("XDG_RUNTIME_DIR", None)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, Path(__file__).with_name("victim.py"), str(self.seed)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )

    async def listen(self, ports: int | None = None) -> None:
        """Note the ports that it says it takes: the first few, or all until it ends."""
        assert self.process.stdout
        while (ports is None or len(self.ports) < ports) and (line := await self.process.stdout.readline()):
            if line.startswith(b"port"):
                self.ports.add(int(line.split()[1]))

    def marked(self) -> set[int]:
        """Every living process that has to do with this run."""
        mark, found = str(self.folder), set[int]()
        for path in Path("/proc").iterdir():
            if path.name.isdigit() and int(path.name) != self.process.pid:
                with contextlib.suppress(OSError):
                    texts = [(path / "environ").read_bytes().decode("latin-1"), (path / "cmdline").read_text()]
                    links = [path / "cwd", *(path / "fd").iterdir()]
                    texts += [str(link.readlink()) for link in links if link.is_symlink()]
                    if any(mark in text for text in texts):
                        found.add(int(path.name))
        return {pid for pid in found if running(pid)}

    def traces(self, seen: set[int]) -> list[str]:
        """What is left of it."""
        left = [f"process {pid}" for pid in self.marked()]
        left += [f"path {path}" for path in self.folder.iterdir()]
        left += [f"path {path}" for path in self.cache.glob("building-*") if self.cache.name != "shared"]
        left += [f"port {port}" for port in self.ports if listens(port)]
        left += [
            f"socket {line}" for line in Path("/proc/net/unix").read_text().splitlines() if str(self.folder) in line
        ]
        memory = [line.split() for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
        left += [f"shared memory {row[1]}" for row in memory if int(row[4]) in seen]
        return left


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def kill_at_a_random_moment(seed: int, caches: Path) -> tuple[str | None, int]:
    """Kill a run; return what it left behind, if anything, and how many processes there were when it died."""
    victim = Victim(seed, caches)
    await victim.begin()
    try:
        async with asyncio.timeout(60.0):
            await victim.listen(ports=3 if victim.up_first else 0)
        await asyncio.sleep(victim.lives_s)
        seen = victim.marked()
        assert victim.process.stderr
        if victim.process.returncode is not None:
            return f"seed {seed}: it ended by itself: {(await victim.process.stderr.read()).decode()[-800:]}", 0
        victim.process.kill()
        began = time.monotonic()
        await victim.process.wait()
        await victim.listen()
        while left := victim.traces(seen):
            # Five seconds are the promise. On a machine with far more to run than it has cores the keeper gets its turn
            # so rarely that they say nothing about it; then it has thirty.
            within_s = 30.0 if os.getloadavg()[0] > 3 * (os.cpu_count() or 1) else 5.0
            if time.monotonic() - began > within_s:
                return f"seed {seed}, killed after {victim.lives_s:.3f} s, left {left}", len(seen)
            await asyncio.sleep(0.02)
        return None, len(seen)
    finally:
        with contextlib.suppress(OSError):
            victim.folder.rmdir()


def unfinished(caches: Path) -> list[Path]:
    return list(caches.glob("*/building-*"))


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
async def test_a_run_that_is_killed_at_any_moment_leaves_nothing(seed: int, caches: Path):
    fault, _ = await kill_at_a_random_moment(seed, caches)
    assert not fault


@pytest.mark.long
@pytest.mark.slow
async def test_many_runs_killed_at_random_moments_leave_nothing(caches: Path):
    at_once = asyncio.Semaphore(6)

    async def one(seed: int) -> tuple[str | None, int]:
        async with at_once:
            return await kill_at_a_random_moment(seed, caches)

    ends = await asyncio.gather(*map(one, range(100, 124)))
    faults = [fault for fault, _ in ends if fault]
    assert not faults, "\n".join(faults)
    assert len([seen for _, seen in ends if seen >= 5]) >= 6, "too few were killed when engines were up"
    assert any(seen > 10 for _, seen in ends), "none was killed with a PostgreSQL among its engines"
    assert not unfinished(caches)


async def test_a_keeper_that_never_ends_its_sweeping_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(keeper_module, "SWEPT_S", 0.05)
    ours, theirs = socket.socketpair()
    with theirs, subprocess.Popen(["sleep", "3600"]) as process:  # noqa: ASYNC220
        try:
            keeper = Keeper(process, *await asyncio.open_unix_connection(sock=ours))
            theirs.sendall(b'{"event": "sweeping"}\n')
            async with asyncio.timeout(5):
                await keeper._end()
            assert process.returncode == -signal.SIGKILL
        finally:
            process.kill()
