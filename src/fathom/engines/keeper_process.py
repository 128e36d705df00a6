"""The process that starts every child and ends them all when the one that asked is gone.

It is run by file path, not imported: `python -I -S keeper_process.py PARENT`, with a socket as its standard input over
which it is told what to do, one JSON object a line. It knows nothing but the standard library, so that it is up in the
time that Python itself needs.

Why a process of its own: Fathom may be killed at any moment with SIGKILL, and cannot clean up after that. This process
is in a session of its own and ignores the terminal's signals; it ends in one way only: when the other end of the socket
is closed. It starts the children itself, so that there is no moment at which a child exists and is not known to it; and
it is their subreaper, so that a child of a child that lost its parent comes to it and not to init.
"""

# pathlib and contextlib take their time to import
# ruff: noqa: PTH101, PTH102, PTH105, PTH106, PTH108, PTH112, PTH117, PTH118, PTH123, PTH208, SIM105
from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

LINUX = sys.platform == "linux"
CONTROL = 0  # our standard input is the socket
MESSAGE_BYTES_MAX = 64 << 20
LOG_BYTES_MAX = 2 << 20  # of each of the two files that a child's output is kept in: what was last said, and before
LINE_BYTES_MAX = 1 << 20  # of a first line
PIPE_BYTES = 1 << 16
MARK = "FATHOM_CHILD"  # a variable in the environment of every child, and of all that descends from it
SWEEP_S = 4.0  # after this long a process that does not die (a dead disk) is left alone; the folders go all the same
FREEZE_S = 1.0  # before it is killed, a tree is stopped; this long it is tried
PAUSE_S = 10.0  # for a pause and what ends it: a machine under full load takes its time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, IPC_RMID = 1, 36, 0
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


class Process(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    session: int  # on other systems than Linux: the process group
    state: str


def exists(pid: int) -> bool:
    """Say whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # another user's
    return True


def processes() -> dict[int, Process]:
    """Read the whole process table."""
    if not LINUX:
        with os.popen("ps -axo pid=,ppid=,pgid=,stat=") as lines:
            rows = (line.split() for line in lines)
            found = [Process(int(row[0]), int(row[1]), int(row[2]), row[3][0]) for row in rows if len(row) > 3]
        return {process.pid: process for process in found if exists(process.pid)}  # not `ps` itself, which is done
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()  # a command's name may hold blanks and brackets
            except OSError:
                continue  # it has just ended
            if len(fields) > 3:
                table[int(name)] = Process(int(name), int(fields[1]), int(fields[3]), fields[0].decode())
    return table


def below(table: dict[int, Process], roots: set[int]) -> set[int]:
    """Return all descendants of `roots`, without them."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        for pid in children.get(todo.pop(), ()):
            if pid not in found and pid not in roots:
                found.add(pid)
                todo.append(pid)
    return found


def halted(process: Process) -> bool:
    """Say whether a process runs no more instructions: stopped, every thread of it, or dead."""
    if process.state in "ZX":
        return True
    if process.state not in "Tt":
        return False
    if not LINUX:
        return True
    try:
        for task in os.listdir(f"/proc/{process.pid}/task"):
            with open(f"/proc/{process.pid}/task/{task}/stat", "rb") as file:
                if file.read().rpartition(b")")[2].split()[0].decode() not in "TtZX":
                    return False
    except OSError:
        pass  # a thread, or all of it, has ended meanwhile
    return True


def send_signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def remove(path: str) -> None:
    """Remove a file or a whole folder, whatever its modes are; what is not there is removed already."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.chmod(path, 0o700)
            with os.scandir(path) as entries:
                for entry in entries:
                    remove(entry.path)
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError:
        pass  # the caller looks whether it is gone, and tries again


def make_folder(candidates: list[str], prefix: str) -> str:
    """Make a folder of our own in the first candidate where that is possible."""
    why = "no candidate"
    for base in candidates:
        try:
            if not os.path.isdir(base) or not os.access(base, os.W_OK | os.X_OK):
                continue
            path = os.path.join(base, prefix + os.urandom(4).hex())
            os.mkdir(path, 0o700)
            return path
        except OSError as fault:
            why = f"{base}: {fault.strerror}"
    raise OSError(f"no place for a folder ({why})")


def make_folders() -> tuple[str, str]:
    """Make the run's two folders: one short enough for sockets, one on a disk for data."""
    asked = [path for path in [os.environ.get("TMPDIR", "")] if os.path.isabs(path)]
    runtime = [os.environ.get("XDG_RUNTIME_DIR", "")]
    short = [path for path in [*runtime, *asked, "/tmp", "/var/tmp"] if 0 < len(path) <= 40]
    folder = make_folder(short, "fathom-")
    try:
        # /tmp and the runtime folder are often in memory, where an fsync means nothing and a data set may not fit.
        return folder, make_folder([*asked, "/var/tmp", "/tmp"], "fathom-data-")
    except OSError:
        remove(folder)
        raise


def bears(pid: int, number: int) -> bool:
    """Say whether a process bears the mark of a child: it inherited it, whatever became of its parent."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return b"%s=%d" % (MARK.encode(), number) in file.read().split(b"\0")
    except OSError:
        return False


class Kept:
    """One child: its process, the ones that came loose from it, and what it says."""

    def __init__(self, number: int, pid: int, pipes: tuple[int, int], log: str) -> None:
        self.number, self.pid, self.log = number, pid, log
        self.status: int | None = None
        self.strays: set[int] = set()  # its processes whose parent has died: they are our children now
        self.out, self.err = pipes
        self.line: bytearray | None = bytearray()  # the first line of its output until it is complete
        self.file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.logged = 0

    def write(self, data: bytes) -> None:
        """Append to the log; when that is full, it becomes the older of the two and a new one is begun."""
        try:
            if self.logged + len(data) > LOG_BYTES_MAX:
                os.close(self.file)
                os.replace(self.log, self.log + ".1")
                self.file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
                self.logged = 0
            self.logged += os.write(self.file, data)
        except OSError:
            pass  # a full disk must not end the keeper


class KeeperProcess:
    """The children, and the one who asks."""

    def __init__(self, urgency: Any = None) -> None:
        self.me = os.getpid()
        self.urgency = urgency  # the real-time priority that children are to have, not we
        self.kept: dict[int, Kept] = {}
        self.pipes: dict[int, Kept] = {}
        self.killed: set[int] = set()  # numbers of processes that may have left shared memory behind
        self.owned: list[str] = []
        self.locks: dict[str, int] = {}
        self.inbox = bytearray()
        self.poll = select.poll()

    # The loop -------------------------------------------------------------------------------------------------

    def run(self) -> None:
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if LINUX else os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.poll.register(CONTROL, select.POLLIN)
        self.poll.register(woken, select.POLLIN)
        parent = self.watch_parent()
        folder, data = make_folders()
        self.owned += [folder, data]
        self.tell(ready=True, folder=folder, data=data)
        try:
            while True:
                for fd, _ in self.poll.poll():
                    if fd == parent:
                        return
                    if fd == CONTROL:
                        if not self.listen():
                            return
                    elif fd == woken:
                        os.read(woken, 4096)
                        self.reap()
                    elif fd in self.pipes:
                        self.drain(fd)
        finally:
            self.end()

    def watch_parent(self) -> int:
        """Watch the one who asks itself, too: a process that it forked may hold the socket open after its death."""
        if not hasattr(os, "pidfd_open"):
            return -1
        try:
            fd = os.pidfd_open(int(sys.argv[1]))
        except ProcessLookupError:
            sys.exit(0)  # gone before we were there
        except OSError:
            return -1  # an old kernel: the socket alone must do
        self.poll.register(fd, select.POLLIN)
        return fd

    def listen(self) -> bool:
        """Take what has come in; return False when nothing can come any more. Half a message is no message."""
        try:
            data = os.read(CONTROL, 1 << 20)
        except OSError:
            return False
        if not data:
            return False
        self.inbox += data
        *lines, self.inbox = self.inbox.split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["do"] == "end":
                return False
            self.obey(message)
        return len(self.inbox) <= MESSAGE_BYTES_MAX

    def obey(self, message: dict[str, Any]) -> None:
        orders: dict[str, Callable[..., dict[str, Any] | None]] = {
            "spawn": self.spawn,
            "kill": self.kill,
            "pause": self.pause,
            "resume": self.resume,
            "signal": self.signal,
            "own": self.own,
            "lock": self.lock,
            "unlock": self.unlock,
        }
        order, number = message.pop("do"), message.pop("id", None)
        try:
            answer = orders[order](**message) or {}
        except Exception as fault:  # one order that cannot be carried out is no reason to let go of the others
            answer = {"error": getattr(fault, "strerror", None) or str(fault) or type(fault).__name__}
        if number is not None:
            self.tell(id=number, **answer)

    def tell(self, **message: Any) -> None:
        data = memoryview(json.dumps(message).encode() + b"\n")
        while data:
            try:
                data = data[os.write(CONTROL, data) :]
            except OSError:
                return  # nobody listens; the loop finds out

    # Orders ---------------------------------------------------------------------------------------------------

    def own(self, path: str) -> None:
        self.owned.append(path)

    def lock(self, path: str) -> None:
        """Lock a file until we are told otherwise, or end: then every child that uses what it guards has ended."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise OSError(None, "another run of Fathom has it") from None
        self.locks[path] = fd

    def unlock(self, path: str) -> None:
        os.close(self.locks.pop(path))

    def spawn(
        self,
        child: int,
        name: str,
        argv: list[str],
        env: dict[str, str] | None,
        cwd: str | None,
        cores: list[int] | None,
        uid: int | None,
        stdin: str | None,
    ) -> dict[str, Any]:
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        report, report_end = os.pipe()
        given = self.hold(stdin, uid)
        pid = os.fork()
        if pid == 0:
            try:
                if self.urgency is not None:
                    os.sched_setscheduler(0, *self.urgency)
                become(self.me, cwd, cores, uid, (given, out_end, err_end))
                os.execvpe(argv[0], argv, {**(os.environ if env is None else env), MARK: str(child)})
            except BaseException as fault:
                os.write(report_end, (getattr(fault, "strerror", None) or repr(fault)).encode())
            finally:
                os._exit(127)
        for fd in (out_end, err_end, report_end, given):
            os.close(fd)
        os.set_blocking(out, False)
        os.set_blocking(err, False)
        log = os.path.join(self.owned[0], f"{name}-{child}.log")
        kept = self.kept[child] = Kept(child, pid, (out, err), log)
        self.killed.add(pid)
        for other in self.kept.values():
            if other is not kept and other.pid == pid:
                other.pid = -1  # the system has given the number of one long gone to another
        for fd in (out, err):
            self.pipes[fd] = kept
            self.poll.register(fd, select.POLLIN)
        with open(report, "rb") as file:  # ends when the child has become another program, or has failed to
            error = file.read().decode()
        return {"error": error} if error else {"pid": pid, "log": log}

    def hold(self, stdin: str | None, uid: int | None) -> int:
        """Return a descriptor from which a child reads what it is given, without anyone having to feed a pipe."""
        if stdin is None:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        path = os.path.join(self.owned[0], "stdin-" + os.urandom(8).hex())
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)
        if uid is not None:
            os.fchown(fd, uid, -1)  # a program may open /dev/stdin again
        with open(fd, "wb", closefd=False) as file:
            file.write(stdin.encode("latin-1"))
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    def signal(self, child: int, number: int) -> None:
        kept = self.kept[child]
        if kept.status is None:  # not reaped, so that the number is still its own
            send_signal(kept.pid, number)

    def pause(self, child: int) -> None:
        kept = self.kept[child]
        if not self.freeze(lambda table: self.tree(kept, table), PAUSE_S, self.deserted):
            raise TimeoutError("not all of its processes stopped")

    def resume(self, child: int) -> None:
        kept = self.kept[child]
        until = time.monotonic() + PAUSE_S
        while True:
            table = processes()
            stopped = [pid for pid in self.tree(kept, table) if table[pid].state == "T"]
            if not stopped:
                return
            for pid in stopped:
                send_signal(pid, signal.SIGCONT)
            if time.monotonic() > until or self.deserted():
                raise TimeoutError("not all of its processes went on")
            time.sleep(0.0005)  # /proc gives no event to wait for

    def kill(self, child: int) -> None:
        kept = self.kept.get(child)
        if kept is None:
            return
        if not self.exterminate(lambda table: self.tree(kept, table), SWEEP_S):
            raise TimeoutError("not all of its processes ended")
        self.reap()

    # Ends -----------------------------------------------------------------------------------------------------

    def deserted(self) -> bool:
        """Say whether the other end of the socket is closed: then there is more to do than what we were asked."""
        look = select.poll()
        look.register(CONTROL, 0)
        return bool(look.poll(0))

    def freeze(
        self,
        tree: Callable[[dict[int, Process]], set[int]],
        within_s: float,
        give_up: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Stop a tree of processes.

        Two looks in a row must find the same ones, all stopped: then none can have forked meanwhile.
        """
        until = time.monotonic() + within_s
        before: set[int] | None = None
        while True:
            table = processes()
            found = tree(table)
            running = [pid for pid in found if not halted(table[pid])]
            if not running and found == before:
                return True
            before = None if running else found
            for pid in running:
                send_signal(pid, signal.SIGSTOP)
            if time.monotonic() > until or give_up():
                return False
            time.sleep(0.0005)  # /proc gives no event to wait for

    def tree(self, kept: Kept, table: dict[int, Process]) -> set[int]:
        """Return all living processes of a child: it, its descendants, and what came loose from them."""
        mine = {kept.pid} if kept.status is None else set()
        mine |= kept.strays
        mine |= {p.pid for p in table.values() if p.session == kept.pid}
        if LINUX:
            mine &= below(table, {self.me})  # a number that has been given to a stranger since is none of ours
            roots = {other.pid for other in self.kept.values()}
            loose = (p.pid for p in table.values() if p.parent == self.me and p.pid not in roots)
            mine |= {pid for pid in loose if pid not in mine and bears(pid, kept.number)}
        return {pid for pid in mine | below(table, mine) if pid in table and table[pid].state not in "ZX"}

    def exterminate(self, tree: Callable[[dict[int, Process]], set[int]], within_s: float) -> bool:
        """Kill a tree of processes as one: stopped first, so that none forks while the others die."""
        until = time.monotonic() + within_s
        self.freeze(tree, FREEZE_S)
        while True:
            found = tree(processes())
            if not found and not self.reap():  # one that was dead, but not reaped, may leave us some that still die
                return True
            self.killed |= found
            for pid in found:
                send_signal(pid, signal.SIGKILL)
            if time.monotonic() > until:
                return False
            time.sleep(0.0005)  # the ones that are not our children give no event to wait for
            self.reap()

    def reap(self) -> bool:
        """Learn who has ended, and tell; say whether anyone had."""
        anyone = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return anyone
            if pid == 0:
                return anyone
            anyone = True
            for kept in self.kept.values():
                kept.strays.discard(pid)
                if kept.pid == pid and kept.status is None:
                    kept.status = os.waitstatus_to_exitcode(status)
                    self.adopt(kept)
                    for fd in (kept.out, kept.err):
                        self.drain(fd)
                    self.tell(event="exit", child=kept.number, status=kept.status)

    def adopt(self, kept: Kept) -> None:
        """Note whose the processes were that have just come to us: the ones of the child that has just died."""
        others = [other for other in self.kept.values() if other is not kept]
        roots = {other.pid for other in others}
        known = roots | {kept.pid}.union(*(other.strays for other in others))
        ours = (p for p in processes().values() if p.parent == self.me)
        kept.strays |= {p.pid for p in ours if p.pid not in known and p.session not in roots}

    def drain(self, fd: int) -> None:
        """Move a piece of what a child says to its log."""
        kept = self.pipes.get(fd)
        if kept is None:
            return
        try:
            data = os.read(fd, PIPE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.poll.unregister(fd)
            del self.pipes[fd]
            os.close(fd)
            if kept not in self.pipes.values():
                os.close(kept.file)
            return
        if fd == kept.out and kept.line is not None:
            kept.line += data
            line, end, _ = kept.line.partition(b"\n")
            if end or len(kept.line) > LINE_BYTES_MAX:
                kept.line = None
                self.tell(event="line", child=kept.number, line=line[:LINE_BYTES_MAX].decode("latin-1"))
        kept.write(data)

    def end(self) -> None:
        """Leave nothing: no process, no shared memory, no folder."""
        until = time.monotonic() + SWEEP_S
        while not self.exterminate(self.everyone, 0.5) and time.monotonic() < until:
            pass
        self.forget_memory()
        self.tell(event="sweeping")
        for _ in range(50):
            left = [path for path in self.owned if os.path.lexists(path)]
            if not left:
                return
            for path in left:
                remove(path)
            if any(os.path.lexists(path) for path in left):
                time.sleep(0.01)  # somebody still writes there

    def everyone(self, table: dict[int, Process]) -> set[int]:
        found = below(table, {self.me})
        for kept in self.kept.values():
            if not LINUX:  # without a subreaper, what came loose is found by its group
                found |= self.tree(kept, table)
        return {pid for pid in found if table[pid].state not in "ZX"}

    def forget_memory(self) -> None:
        """Remove System V shared memory that a killed process made: it would stay until the machine is restarted."""
        try:
            with open("/proc/sysvipc/shm") as file:
                rows = [line.split() for line in file][1:]
        except OSError:
            return
        for row in rows:
            segment, creator, attached, uid = int(row[1]), int(row[4]), int(row[6]), int(row[7])
            if creator not in self.killed or attached or _libc is None:
                continue
            if _libc.shmctl(segment, IPC_RMID, None) != 0 and os.geteuid() == 0:
                pid = os.fork()  # root without CAP_SYS_ADMIN (a container) may not, but may become the one who may
                if pid == 0:
                    os.setuid(uid)
                    os._exit(_libc.shmctl(segment, IPC_RMID, None))
                os.waitpid(pid, 0)


def become(
    keeper: int, cwd: str | None, cores: list[int] | None, uid: int | None, streams: tuple[int, int, int]
) -> None:
    """In the new process, before it becomes another program: be whom it should be, where it should be."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)  # what is ignored stays ignored in the program that follows
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for to, fd in enumerate(streams):
        os.dup2(fd, to)
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if cwd is not None:
        os.chdir(cwd)  # before the user changes, who may not be able to pass through the folders above
    if uid is not None and uid != os.geteuid():
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # after the user's change, which clears it
        if os.getppid() != keeper:
            os._exit(127)  # the keeper has died meanwhile


def step_back() -> Any:
    """Give up a real-time priority that we inherited; return it, for the children, or None.

    To ask the kernel about processes, and to bury them, can mean to wait in it, spinning, for somebody on the same core
    who is just removing the same entries of /proc. At a real-time priority that one would never get the core again, nor
    would the one who started us.
    """
    if not hasattr(os, "sched_getscheduler"):
        return None
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    if policy & ~os.SCHED_RESET_ON_FORK not in (os.SCHED_FIFO, os.SCHED_RR):
        return None
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return policy, parameters


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the one who asks
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.chdir("/")
    keeper = KeeperProcess(step_back())
    try:
        keeper.run()
    except Exception as fault:
        keeper.tell(event="broke", why=f"{type(fault).__name__}: {fault}")
        sys.exit(70)


if __name__ == "__main__":
    main()
