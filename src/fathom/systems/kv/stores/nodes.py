"""A node of the store as an engine: a process with a disk, which can be killed, stopped, wiped and cut off."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from fathom.engines.engine import Engine, Killable, Pausable, on_disk
from fathom.engines.link import Link
from fathom.engines.ports import Taken, free_port, when_free
from fathom.engines.redis_client import RedisClient
from fathom.engines.redis_connection import Address
from fathom.errors import FathomError
from fathom.web.listen import TAKEN

if TYPE_CHECKING:
    from fathom.engines.keeper import Child, Keeper

__all__ = ["Node", "OwnNode"]

PROCESS = ("-m", "fathom.systems.kv.doors.node")  # by its name: who starts a process need not know what is in it
START_S = 60.0  # a log that was not written out is read first
STOP_S = 12.0  # a little more than the node allows itself
TOKEN = "kv-token"  # beside the folders of the nodes
KEPT = "ports.json"  # beside its disk, which may be lost: the ports at which the others know it
DOORS = (("resp", "resp_port"), ("peer", "peer_port"))


class Node(Engine):
    """A node, ours or another's. `client` is a RedisClient: a node speaks RESP."""

    kind: ClassVar[str] = "kv"
    unit: ClassVar[str] = "commands"
    client: RedisClient

    def __init__(self, url: str) -> None:
        self.where = url
        self._version = "Fathom kv"

    @classmethod
    def at(cls, url: str) -> Node:
        """Return the node at `redis://:token@host:port` or host:port, or at `rediss://…` where it has TLS."""
        url = url if "://" in url else f"redis://{url}"
        Address.parse(url)
        return Node(url)

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "node",
        folder: Path | None = None,
        cores: set[int] | None = None,
        node: str = "",
        cluster: str = "",
        rack: str = "",
        knobs: Mapping[str, int] | None = None,
        tuning: Mapping[str, Any] | None = None,
        token: str | None = None,
        durability: str = "fsync",
        linked: bool = False,
        known: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[OwnNode]:
        """Start one of our own, which waits for its cluster to be founded unless its folder holds one.

        `node` is what the others call it (default: the last word of `name`); `cluster` is what the nodes of one cluster
        have in common (default: the words of `name` before that); `token` is what all nodes and clients of it must show
        (default: one that is drawn once, and kept beside their folders). `durability` "none" leaves its log to the
        operating system: a power cut takes what it acknowledged last. `linked`: other nodes reach it through a link,
        which can be cut. `known` says where other nodes listen, for one that comes to a cluster.
        """
        place = folder.absolute() if folder else None
        body, _, field = name.rpartition("-")
        spec = {
            "node": node or field,
            "cluster": cluster or "-".join(("kv", *re.findall(r"[a-z0-9]+", body.lower()))),
            "rack": rack,
            "token": token or _own_token(place.parent if place else keeper.folder),
            "durability": durability,
            "settings": {"knobs": dict(knobs or {}), "tuning": dict(tuning or {})},
            "known": dict(known or {}),
        }
        return OwnNode._start(keeper, name, place, cores, spec, linked=linked)

    @asynccontextmanager
    async def connected(self, *, deadline_s: float = 2.0) -> AsyncIterator[RedisClient]:
        """Connect a RedisClient for the length of a block."""
        async with RedisClient.open(self.where, deadline_s=deadline_s) as client:
            with self._lends(client):
                yield client

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers, be it of a cluster or not yet."""
        info = await self._info("server", within_s=within_s)
        if info.get("server_name") != "fathom-kv":
            raise FathomError(
                f"{self._shown} is no node of this store",
                why=f"a {info.get('redis_version', 'stranger')} answers there, and it is not Fathom's",
                fix="give the address of a node: fathom kv node",
            )
        self._version = f"Fathom kv {info.get('version', '0')}"

    async def _info(self, *sections: str, within_s: float = 10.0) -> dict[str, str]:
        """Return sections of INFO. It takes a connection of its own, so that it works beside any client."""
        async with RedisClient.open(self.where, within_s=within_s, deadline_s=max(0.05, min(2.0, within_s))) as client:
            said = await client("INFO", *sections)
        return dict(line.split(":", 1) for line in said.decode().splitlines() if ":" in line)

    @property
    def _shown(self) -> str:
        return str(Address.parse(self.where))

    @property
    def version(self) -> str:
        return self._version

    def processes(self) -> tuple[int, ...]:
        return ()

    async def ping(self) -> None:
        await self.client("PING")

    async def counters(self) -> dict[str, int]:
        """Return what it has counted since it started: commands (`cmd`), and what its store has done and holds.

        `keys_written`, `bytes_written`, `wal_syncs` (the fsyncs), `file_bytes` and the rest of `Rocks.counters`, and by
        name what is rare in the protocol. What others wrote at this node counts too. Everybody's commands count: this
        look costs AUTH, CLIENT, SELECT, PING and INFO, which show in the next.
        """
        info = await self._info("stats", "store")
        counted = {name: int(count) for name, count in info.items() if count.isdigit()}
        return {COUNTERS.get(name, name): count for name, count in counted.items()}


COUNTERS = {  # its own: our name
    "total_commands_processed": "cmd",
    "total_error_replies": "rejected",
    "total_connections_received": "connections",
    "rejected_connections": "turned_away",
    "evicted_clients": "evicted",
}


class OwnNode(Node, Killable, Pausable):
    """A node that we started, and can end, stop, wipe and start again at the same address."""

    def __init__(
        self, keeper: Keeper, name: str, place: Path, cores: set[int] | None, spec: dict[str, Any], link: Link | None
    ) -> None:
        super().__init__("")
        self._keeper, self._name, self.place, self._cores = keeper, name, place, cores
        self._spec = {**spec, "folder": str(place)}
        self.link = link  # before its port for other nodes: what is cut there, it does not hear
        self.name = str(spec["node"])
        self._child: Child | None = None

    @classmethod
    @asynccontextmanager
    async def _start(
        cls,
        keeper: Keeper,
        name: str,
        folder: Path | None,
        cores: set[int] | None,
        spec: dict[str, Any],
        *,
        linked: bool,
    ) -> AsyncIterator[OwnNode]:
        place = (folder or keeper.data / f"{name}-{secrets.token_hex(3)}") / "kv"
        with on_disk(f"{name}'s data cannot be kept in {place}"):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with keeper.alone_in(place.parent, cls.kind), AsyncExitStack() as stack:
            link = None
            spec |= _kept_ports(place.parent)
            if linked:
                spec["peer_port"] = spec.get("peer_port") or free_port()
                target = f"tcp://127.0.0.1:{spec['peer_port']}"
                link = await stack.enter_async_context(Link.between(keeper, target, name=f"{name}-link"))
                spec["peer"] = urlsplit(link.where).netloc
            node = cls(keeper, name, place, cores, spec, link)
            try:
                await node._begin()
                yield node
            finally:
                if folder and node._child and node._child.alive:
                    await node._child.resume()
                    await node._child.stop(signal.SIGTERM, STOP_S)
                await node.kill()

    async def _begin(self) -> None:
        """Start it, at the address that it had if it had one: the others know it by that."""
        said = await when_free(self._spawn, had=bool(self.where) or (self.place.parent / KEPT).exists())
        self._spec |= {name: int(said[door].rpartition(":")[2]) for door, name in DOORS if not self._spec.get(name)}
        self.where = f"redis://:{self._spec['token']}@{said['resp']}"
        with on_disk(f"the addresses of {self._name} cannot be kept in {self.place.parent}"):
            _keep_ports(self.place.parent, {name: self._spec[name] for _, name in DOORS})
        await self.ready(START_S)

    async def _spawn(self) -> dict[str, str]:
        """Start its process; return what it says when its doors are open. Raises `Taken`, FathomError."""
        self._child = child = await self._keeper.spawn(
            [sys.executable, "-P", *PROCESS],
            name=self._name,
            cores=self._cores,
            stdin=json.dumps(self._spec).encode(),  # not arguments: those are for everyone to read
        )
        try:
            return await child.said(START_S)
        except FathomError as fault:
            if fault.why.startswith(TAKEN):
                raise Taken(fault) from None
            raise

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers; raise at once when it has ended."""
        if self._child is None:
            raise RuntimeError(f"{self._name} has not been started")
        await self._child.while_alive(super().ready(within_s))

    @property
    def token(self) -> str:
        """What clients and other nodes must show."""
        return str(self._spec["token"])

    @property
    def door(self) -> str:
        return self.where

    @property
    def address(self) -> tuple[str, int]:
        """Where its RESP door is."""
        parts = urlsplit(self.where)
        return str(parts.hostname), int(parts.port or 0)

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def processes(self) -> tuple[int, ...]:
        return self._child.tree() if self._child else ()

    async def kill(self) -> None:
        """End its process with SIGKILL; returns when it is gone."""
        if self._child:
            await self._child.kill()

    async def stop(self) -> None:
        """Ask it to end in order; returns when it is gone."""
        if self._child:
            await self._child.stop(signal.SIGTERM, STOP_S)

    async def restart(self, *, wiped: bool = False) -> None:
        """Start it again at the same address on the same data, or on none; returns when it answers.

        What it had, and what was written meanwhile, it learns from the others afterwards.
        """
        await self.kill()
        if wiped:
            with (
                on_disk(f"{self._name}'s data in {self.place} cannot be wiped"),
                contextlib.suppress(FileNotFoundError),
            ):
                await asyncio.to_thread(shutil.rmtree, self.place)
        await self._begin()

    async def pause(self) -> None:
        """Stop its process; returns when it stands still."""
        assert self._child
        await self._child.pause()

    async def resume(self) -> None:
        """Let it go on."""
        assert self._child
        await self._child.resume()

    async def deafen(self) -> None:
        """Cut its link one way: the others hear it, and it hears nobody. Needs `linked`."""
        assert self.link
        await self.link.set(cut="to")

    async def heal(self) -> None:
        """Let it hear the others again; what they said meanwhile arrives now."""
        assert self.link
        await self.link.heal()


def _own_token(folder: Path) -> str:
    """Return what nodes whose folders lie beside each other show each other, and their clients: drawn once, kept."""
    file = folder / TOKEN
    with on_disk(f"the nodes' token cannot be kept in {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, prefix=f".{TOKEN}-") as made:  # 0600
            made.write(secrets.token_urlsafe(24))
            made.flush()
            os.fsync(made.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(made.name, file)  # whole, or not at all: another may look for it now
        return file.read_text()


def _kept_ports(folder: Path) -> dict[str, int]:
    """Return the ports at which the others know a node; none if it has not lived yet."""
    try:
        return {str(name): int(port) for name, port in json.loads((folder / KEPT).read_text()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as fault:
        raise FathomError(
            f"{folder / KEPT} cannot be read",
            why=str(fault),
            fix="write into it the ports at which the other nodes know this one, or start all of them anew",
        ) from None


def _keep_ports(folder: Path, ports: Mapping[str, int]) -> None:
    unfinished = folder / f".{KEPT}"
    unfinished.write_text(json.dumps(ports))
    unfinished.replace(folder / KEPT)
