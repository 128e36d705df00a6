"""Make a checkout ready to run: its own Python environment, from the lock, once, with no help but the standard library.

The launcher runs this file by its path, before anything is installed: it may import nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
GROUPS = ("dev", "outside")
PIP_OPTIONS = (
    "--quiet",
    "--no-deps",
    "--only-binary=:all:",
    "--require-hashes",
    "--disable-pip-version-check",
)
UV_OPTIONS = (
    "--frozen",
    "--no-install-project",
    "--no-default-groups",
    "--no-python-downloads",
    "--no-progress",
    "--color=never",
)
FREE_BYTES = 700_000_000  # what the packages need while they are unpacked, with room to spare


class Stop(Exception):
    """Set-up cannot go on: what happened, why, and what to do."""

    def __init__(self, what: str, *, why: str, fix: str, code: int = 64) -> None:
        super().__init__(what)
        self.what, self.why, self.fix, self.code = what, why, fix, code


class Environment:
    """The checkout's `.venv`, and whether it is what the lock asks for."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.folder = checkout / ".venv"
        self.ready = self.folder / "ready"  # written last: what has it, is whole
        self.unfinished = checkout / ".tools" / "unfinished"
        self.lock = checkout / "uv.lock"

    @property
    def groups(self) -> set[str]:
        """The groups that were installed beside what every user needs."""
        try:
            return set((self.ready / "groups").read_text().split())
        except OSError:
            return set()

    def is_ready(self, groups: Sequence[str], version: str | None) -> bool:
        """Whether nothing needs doing; `version` is the Python that was asked for, if one was."""
        try:
            same = (self.ready / "uv.lock").read_bytes() == self.lock.read_bytes()
        except OSError:
            return False
        runs = os.access(self.folder / "bin" / "python", os.X_OK)
        return same and runs and self.groups.issuperset(groups) and version in (None, self.version)

    @property
    def version(self) -> str | None:
        """The version of the Python that it holds."""
        try:
            lines = (self.folder / "pyvenv.cfg").read_text().splitlines()
        except OSError:
            return None
        said = dict(line.split(" = ", 1) for line in lines if " = " in line)
        return said.get("version_info", said.get("version"))

    def begin(self, version: str) -> None:
        """Note that a set-up has begun. What an earlier one left half done, or another Python made, goes first."""
        interrupted = self.unfinished.exists()
        if interrupted:
            say("an earlier set-up was interrupted: beginning anew")
        if self.folder.exists() and (interrupted or self.version != version):
            shutil.rmtree(self.folder)
        self.unfinished.touch()
        shutil.rmtree(self.ready, ignore_errors=True)

    def finish(self, groups: set[str]) -> None:
        """Put Fathom's own source on the path (by a relative line: the checkout may move) and say that all is done."""
        (site,) = self.folder.glob("lib/python3*/site-packages")
        (site / "fathom.pth").write_text(os.path.relpath(self.checkout / "src", site) + "\n")
        partial = self.folder / "ready.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        shutil.copyfile(self.lock, partial / "uv.lock")
        (partial / "groups").write_text(" ".join(sorted(groups)))
        partial.rename(self.ready)
        self.unfinished.unlink()

    def megabytes(self) -> int:
        """Return what it takes on the disk."""
        sizes = {(at.st_dev, at.st_ino): at.st_blocks * 512 for at in map(os.lstat, self.folder.rglob("*"))}
        return round(sum(sizes.values()) / 1e6)


def say(line: str) -> None:
    print(f"fathom: {line}", file=sys.stderr, flush=True)


def check_redis() -> None:
    """Stop before anything is downloaded where no Redis can be had: no wheel for here, none on the PATH."""
    wheel = sys.platform == "linux" and platform.machine() == "x86_64" and sys.version_info < (3, 13)
    if wheel or shutil.which("redis-server") or shutil.which("valkey-server"):
        return
    here = f"{platform.system()} {platform.machine()} with Python {platform.python_version()}"
    raise Stop(
        "there is no Redis to be had",
        why=f"its wheel is for Linux x86_64 with Python 3.11 or 3.12, this is {here}, and the PATH has no redis-server",
        fix=redis_command(),
    )


def redis_command() -> str:
    """Return the one command that installs a Redis here."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    known = {
        "brew": "brew install redis",
        "apt-get": f"{sudo}apt-get install redis-server",
        "dnf": f"{sudo}dnf install valkey",
        "pacman": f"{sudo}pacman -S valkey",
        "apk": f"{sudo}apk add valkey",
        "zypper": f"{sudo}zypper install redis",
    }
    return next((say for tool, say in known.items() if shutil.which(tool)), "put a redis-server on the PATH")


@contextlib.contextmanager
def alone(tools: Path) -> Iterator[int]:
    """Keep a second set-up out. Children inherit the lock, so it holds as long as any of them lives."""
    tools.mkdir(exist_ok=True)
    descriptor = os.open(tools / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work here: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def run(argv: Sequence[str | Path], *, lock: int, why: str, env: dict[str, str] | None = None) -> None:
    """Run a command quietly; if it fails, its last words are the reason."""
    done = subprocess.run(
        argv,
        cwd=CHECKOUT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        check=False,
    )
    if done.returncode:
        said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        raise Stop(
            f"{why} did not work",
            why=" / ".join(said[-4:]) or f"it ended with exit code {done.returncode} and no word",
            fix="is there a network, and room on the disk? Then run the same command again",
            code=70,
        )


def installer(tools: Path, lock: int) -> Path:
    """Return uv: the one that uv.lock names, from its wheel, checked against the hashes that are locked."""
    locked = tomllib.loads((CHECKOUT / "uv.lock").read_text(encoding="utf-8"))["package"]
    package = next(package for package in locked if package["name"] == "uv")
    folder = tools / f"uv-{package['version']}"
    if not (folder / "bin" / "uv").is_file():
        pip = [sys.executable, "-m", "pip"]
        if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
            raise Stop(
                "this Python has no pip to begin with",
                why=f"{sys.executable} was installed without it",
                fix=f"{'' if os.geteuid() == 0 else 'sudo '}apt-get install python3-pip, or another Python: PYTHON=…",
            )
        hashes = " ".join(f"--hash={wheel['hash']}" for wheel in package["wheels"])
        wanted = tools / "uv.txt"
        wanted.write_text(f"uv=={package['version']} {hashes}\n")
        partial = tools / "uv.partial"
        shutil.rmtree(partial, ignore_errors=True)
        run(
            [*pip, "install", *PIP_OPTIONS, "--target", str(partial), "-r", str(wanted)],
            lock=lock,
            why="fetching the installer (uv)",
            env={"PIP_ROOT_USER_ACTION": "ignore"},
        )
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    return folder / "bin" / "uv"


def set_up(groups: Sequence[str]) -> None:
    """Do what is needed, if anything is."""
    environment = Environment(CHECKOUT)
    asked = platform.python_version() if os.environ.get("PYTHON") else None
    if environment.is_ready(groups, asked):
        return
    check_redis()
    free = shutil.disk_usage(CHECKOUT).free
    if free < FREE_BYTES:
        raise Stop(
            f"there is too little room for what Fathom needs: {free // 10**6} MB are free",
            why=f"unpacking the engines and libraries takes up to {FREE_BYTES // 10**6} MB",
            fix=f"make room on the disk of {CHECKOUT}",
        )
    began = time.monotonic()
    with alone(CHECKOUT / ".tools") as lock:
        if environment.is_ready(groups, asked):  # whoever we waited for did it
            return
        wanted = environment.groups.union(groups)
        say(f"making this checkout ready, once, with Python {platform.python_version()} (a minute or so, in .venv)")
        uv = installer(CHECKOUT / ".tools", lock)
        environment.begin(platform.python_version())
        say("installing the engines and libraries that uv.lock names")
        named = [part for group in sorted(wanted) for part in ("--group", group)]
        run(
            [uv, "sync", *UV_OPTIONS, *named, "--python", os.path.realpath(sys.executable)],
            lock=lock,
            why="installing what uv.lock names",
            env={"UV_PROJECT_ENVIRONMENT": str(environment.folder), "VIRTUAL_ENV": ""},
        )
        environment.finish(wanted)
    say(f"ready: {environment.megabytes()} MB in .venv, {time.monotonic() - began:.0f} s")


def main(argv: Sequence[str]) -> int:
    """Set up, with these groups, and return the exit code."""
    try:
        if unknown := [group for group in argv if group not in GROUPS]:
            raise Stop(
                f"there is no group '{unknown[0]}'", why=f"the groups are {', '.join(GROUPS)}", fix="say one of them"
            )
        set_up(argv)
        return 0
    except Stop as stop:
        trouble = stop
    except KeyboardInterrupt:
        trouble = Stop("set-up was interrupted", why="Ctrl-C", fix="the next command begins it anew", code=130)
    except OSError as broken:
        read_only = broken.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        trouble = Stop(
            f"this checkout cannot be made ready: {broken.strerror or broken}",
            why=f"{'nobody may write' if read_only else 'writing failed'} at {broken.filename or CHECKOUT}",
            fix="clone Fathom to a folder of your own" if read_only else "make room, then run the same command again",
        )
    print(f"fathom: {trouble.what}\n  why  {trouble.why}\n  fix  {trouble.fix}", file=sys.stderr)
    return trouble.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
