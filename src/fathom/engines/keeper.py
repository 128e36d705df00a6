"""Starts, watches and ends child processes, so that nothing survives its run, whatever ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from fathom.engines import keeper_process
from fathom.errors import EXIT_BROKE, FathomError

__all__ = ["Child", "Keeper"]

PROCESS = Path(keeper_process.__file__)
START_S = 10.0  # Python alone needs 0.03 s; a machine under full load, much more
END_S = keeper_process.SWEEP_S + 6.0  # for its processes to end
SWEPT_S = 120.0  # and then for its folders to go: a large data set takes its time to delete

T = TypeVar("T")


class Keeper:
    """The children of one run, in the hands of a process that outlives us just long enough to end them.

    >>> async with Keeper.open() as keeper:                         # doctest: +SKIP
    ...     child = await keeper.spawn(["sleep", "60"], name="sleeper")
    """

    folder: Path  # this run's own: short enough for sockets; logs, configurations
    data: Path  # this run's own, on a disk: what engines store that nobody asked to keep

    def __init__(self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._process, self._reader, self._writer = process, reader, writer
        self._children: dict[int, Child] = {}
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._count = 0
        self._ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._ending = False
        self._sweeping: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._why = "it was killed"
        self._listening = asyncio.create_task(self._listen(), name="keeper")

    @classmethod
    def open(cls) -> AbstractAsyncContextManager[Keeper]:
        """Start the keeper's process; when the block ends, all that it started ends and its folders go."""
        return cls._open()

    @classmethod
    @asynccontextmanager
    async def _open(cls) -> AsyncIterator[Keeper]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(  # noqa: ASYNC220 (a fork and an exec; nothing is waited for)
                [sys.executable, "-I", "-S", PROCESS, str(os.getpid())],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=keeper_process.MESSAGE_BYTES_MAX)
        except BaseException:
            ours.close()
            process.wait()
            raise
        keeper = cls(process, reader, writer)
        try:
            async with asyncio.timeout(START_S):
                places = await keeper._ready
            keeper.folder, keeper.data = Path(places["folder"]), Path(places["data"])
            yield keeper
        except TimeoutError as fault:
            if keeper._ready.done():
                raise
            raise FathomError(
                "the process that keeps the engines did not start",
                why=f"it gave no sign of life within {START_S:.0f} s",
                fix="look at what else this machine is doing, and try again",
                code=EXIT_BROKE,
            ) from fault
        finally:
            await keeper._end()

    async def _end(self) -> None:
        """Have everything ended; return when it is so. Cut short, it is done all the same, only not waited for."""
        self._ending = True
        try:
            self._writer.write(b'{"do": "end"}\n')
            async with asyncio.timeout(END_S):
                await asyncio.wait([self._listening, self._sweeping], return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(SWEPT_S):
                await asyncio.wait([self._listening])
            await asyncio.to_thread(self._process.wait, END_S)
        except (TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
            self._bury()
        finally:
            self._listening.cancel()
            self._writer.close()
            if self._process.poll() is None:
                self._process.returncode = 0  # not waited for: it finds the socket closed and ends all by itself

    @property
    def process_id(self) -> int:
        """The number of its process: everything it started is below that one."""
        return self._process.pid

    # What the process tells -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                self._hear(json.loads(line))
        except (OSError, ValueError):
            pass
        finally:
            self._lost()

    def _hear(self, message: dict[str, Any]) -> None:
        if "id" in message:
            future = self._asked.pop(message["id"], None)
            if future and not future.done():
                future.set_result(message)
        elif "ready" in message:
            self._ready.set_result(message)
        elif message["event"] == "sweeping":
            self._sweeping.set_result(None)
        elif message["event"] == "broke":
            self._why = message["why"]
        elif message["event"] == "exit":
            self._children[message["child"]]._ended(message["status"])
        elif message["event"] == "line":
            self._children[message["child"]]._said(message["line"].encode("latin-1"))

    def _lost(self) -> None:
        """The process has ended: by our wish, or else its children have died with it."""
        for future in (self._ready, *self._asked.values()):
            if not future.done():
                future.set_exception(self._gone())
                future.exception()  # seen: nobody may be waiting for it any more
        self._asked.clear()
        for child in self._children.values():
            child._ended(-signal.SIGKILL)
        if not self._ending:
            self._bury()

    def _gone(self) -> FathomError:
        return FathomError(
            "the process that keeps the engines has ended, and the engines with it",
            why=self._why,
            fix="run it again; if it happens again, look for what kills processes here (memory, a time limit)",
            code=EXIT_BROKE,
        )

    def _bury(self) -> None:
        """Do for a keeper that was killed what it cannot do any more: end what is left in its folders, and remove them.

        Its children are dead (they get SIGKILL when it dies), but not children of theirs that stood still.
        """
        if not hasattr(self, "folder"):
            return
        places = (str(self.folder), str(self.data))
        for pid in keeper_process.processes():
            with contextlib.suppress(OSError):
                here = str(Path(f"/proc/{pid}/cwd").readlink())
                if any(here == place or here.startswith(place + "/") for place in places):
                    os.kill(pid, signal.SIGKILL)
        for place in places:
            shutil.rmtree(place, ignore_errors=True)

    # What is asked of it --------------------------------------------------------------------------------------

    async def _ask(self, **order: Any) -> dict[str, Any]:
        """Have an order carried out, and return its answer; `error` in it says why it was not."""
        if self._listening.done():
            raise self._gone()
        self._count += 1
        number = self._count
        future = self._asked[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps({"id": number, **order}).encode() + b"\n")
        try:
            return await future
        finally:
            self._asked.pop(number, None)

    def own(self, path: Path) -> None:
        """Make a file or folder outside `folder` one that goes with this run. Say so before you make it."""
        if not path.is_absolute() or path == Path(path.anchor):
            raise ValueError(f"a keeper cannot own {path}")
        self._writer.write(json.dumps({"do": "own", "path": str(path)}).encode() + b"\n")

    @asynccontextmanager
    async def alone_in(self, folder: Path, kind: str) -> AsyncIterator[None]:
        """Be the only run whose engine of a kind uses a folder, for the length of a block: two would ruin its data."""
        path = str(folder / f".{kind}.lock")
        answer = await self._ask(do="lock", path=path)
        if "error" in answer:
            raise FathomError(
                f"the {kind} data in {folder} cannot be used",
                why=answer["error"],
                fix="end the other run, or name another folder",
            )
        try:
            yield
        finally:
            with contextlib.suppress(FathomError):  # if the keeper has ended, so has the lock
                await self._ask(do="unlock", path=path)

    async def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        cores: set[int] | None = None,
        uid: int | None = None,
        stdin: bytes | None = None,
    ) -> Child:
        """Start a program: in a session of its own, pinned to `cores`, as the user `uid` (needs root).

        `env` is its whole environment (default: ours). It ends with this run at the latest.
        """
        child = Child(self, len(self._children) + 1, name)
        self._children[child.number] = child
        try:
            answer = await self._ask(
                do="spawn",
                child=child.number,
                name=name.replace("/", "-"),
                argv=[str(part) for part in argv],
                env=None if env is None else dict(env),
                cwd=None if cwd is None else str(cwd),
                cores=None if cores is None else sorted(cores),
                uid=uid,
                stdin=None if stdin is None else stdin.decode("latin-1"),
            )
        except asyncio.CancelledError:
            await self._ask(do="kill", child=child.number)  # it may have been started, or be about to
            raise
        if "error" in answer:
            raise FathomError(
                f"{name} could not be started",
                why=f"{argv[0]}: {answer['error']}",
                fix="see that the program is there, that this user may run it, and that there is room on the disk",
                code=EXIT_BROKE,
            )
        child.pid, child.log = answer["pid"], Path(answer["log"])
        return child

    async def run(
        self,
        argv: Sequence[str | Path],
        *,
        name: str,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        uid: int | None = None,
        stdin: bytes | None = None,
    ) -> Child:
        """Run a program to its end, and return it if all went well. Given up, it is killed."""
        child = await self.spawn(argv, name=name, env=env, cwd=cwd, uid=uid, stdin=stdin)
        try:
            status = await child.wait()
        except asyncio.CancelledError:
            await child.kill()
            raise
        if status != 0:
            raise FathomError(
                f"{name} failed",
                why=f"{Path(argv[0]).name} ended with status {status}: {child.tail()}",
                fix="see that there is room on the disk, and that it can be written",
                code=EXIT_BROKE,
            )
        return child


class Child:
    """A program that a keeper runs for us."""

    pid: int
    log: Path  # what it says on both streams; bounded, what is older is in `log`.1

    def __init__(self, keeper: Keeper, number: int, name: str) -> None:
        self._keeper, self.number, self.name = keeper, number, name
        loop = asyncio.get_running_loop()
        self._status: asyncio.Future[int] = loop.create_future()
        self._line: asyncio.Future[bytes] = loop.create_future()

    def _ended(self, status: int) -> None:
        if not self._status.done():
            self._status.set_result(status)
        if not self._line.done():
            self._line.cancel()

    def _said(self, line: bytes) -> None:
        if not self._line.done():
            self._line.set_result(line)

    @property
    def alive(self) -> bool:
        """Whether its own process still runs (or stands still)."""
        return not self._status.done()

    def tree(self) -> tuple[int, ...]:
        """Return the ids of its process and of all living descendants."""
        if not self.alive:
            return ()
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += _children_of(pid)
        return tuple(pid for pid in found if _lives(pid))

    async def first_line(self, within_s: float) -> bytes:
        """Return the first line of its output, without the line's end."""
        try:
            async with asyncio.timeout(within_s):
                await asyncio.wait([self._line])
        except TimeoutError as fault:
            raise self.fault(f"it said nothing within {within_s:g} s") from fault
        if self._line.cancelled():
            raise self.fault(f"it ended with status {self._status.result()} before it said a line")
        return self._line.result()

    async def said(self, within_s: float) -> dict[str, Any]:
        """Return what it says in JSON when it is ready; raise the error that it says instead, once it has ended."""
        line = await self.first_line(within_s)
        try:
            said = json.loads(line)
        except ValueError:
            raise self.fault(f"it said {line[:80]!r} instead of that it is ready") from None
        if "error" in said:
            await self.wait()
            raise FathomError(said["error"], why=said["why"], fix=said["fix"], code=said.get("exit", EXIT_BROKE))
        return said

    async def wait(self) -> int:
        """Return its exit status once it has ended; a signal's number, negative, if that ended it."""
        return await asyncio.shield(self._status)

    async def while_alive(self, looking: Awaitable[T]) -> T:
        """Return what is waited for; raise at once when this child has ended before it comes."""
        look = asyncio.ensure_future(looking)
        end = asyncio.create_task(self.wait())
        try:
            await asyncio.wait({look, end}, return_when=asyncio.FIRST_COMPLETED)
            if not look.done():
                raise self.fault("it has ended")
            return await look
        finally:
            look.cancel()
            end.cancel()
            await asyncio.gather(look, end, return_exceptions=True)

    async def signal(self, number: int) -> None:
        """Send a signal to its own process. One that has ended gets none."""
        await self._order("signal", number=int(number))

    async def kill(self) -> None:
        """End it and all its descendants at one moment with SIGKILL; returns when they are gone."""
        await self._order("kill")
        await self.wait()

    async def pause(self) -> None:
        """Stop it and all its descendants; returns when the kernel shows every thread of them stopped."""
        await self._order("pause")

    async def resume(self) -> None:
        """Let it and all its descendants go on."""
        await self._order("resume")

    async def stop(self, number: int, within_s: float) -> None:
        """Ask it to end with a signal; what has not ended after `within_s` is killed."""
        if self.alive:
            await self.signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self.wait()
        await self.kill()

    async def _order(self, do: str, **details: Any) -> None:
        answer = await self._keeper._ask(do=do, child=self.number, **details)
        if "error" in answer:
            raise self.fault(f"{do}: {answer['error']}")

    def tail(self, lines: int = 2) -> str:
        """Return the last lines of its log, for an error's `why`."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
                said = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            said = []
        return " / ".join(said[-lines:]) or "its log is empty"

    def fault(self, why: str) -> FathomError:
        """Return an error that says what happened to this child, with what it said last."""
        return FathomError(
            f"{self.name} does not do what it should",
            why=f"{why}; it said last: {self.tail()}",
            fix="see what it said, and that the disk has room; `fathom doctor` says what this machine can run",
            code=EXIT_BROKE,
        )


def _children_of(pid: int) -> list[int]:
    """Return the children of a process; the kernel keeps a list for each thread."""
    if not keeper_process.LINUX:
        return [process.pid for process in keeper_process.processes().values() if process.parent == pid]
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        pass  # it has just ended
    return found


def _lives(pid: int) -> bool:
    """Say whether a process is more than a number that its parent has not asked about yet."""
    if not keeper_process.LINUX:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False
