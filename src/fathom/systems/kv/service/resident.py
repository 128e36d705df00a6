"""A node for as long as its process: it waits for a cluster, is founded, lives as a member, and begins anew."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fathom.engines.rocks import Durability
from fathom.errors import EXIT_BROKE, FathomError

from ..core.calls import Found
from ..core.topology import Topology
from ..stores.settings import Settings
from .founding import check
from .member import Member, living

__all__ = ["Home", "Resident", "residing"]

log = logging.getLogger("fathom.kv")

MARK = ".founding"  # in the node's folder: what it has promised to begin with, until it is told to begin
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Home:
    """Who a node is, and where it lies. `advertised`: the host that others are told; `known`: where some of them are,
    for a node that knows of no cluster yet."""

    folder: Path
    node: str
    cluster: str
    rack: str = ""
    host: str = "127.0.0.1"
    port: int = 0  # for other nodes
    advertised: str = ""
    peer: str = ""  # where others are told to reach it, if that is not its own port
    token: str = ""
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None
    settings: Settings = field(default_factory=Settings)  # what was turned later comes over them
    seed: int | None = None
    durability: Durability = "fsync"  # none: a power cut takes what it acknowledged last
    known: dict[str, tuple[str, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, name in (("node", self.node), ("cluster", self.cluster)):
            if not NAME.fullmatch(name):
                raise FathomError(
                    f"'{name}' is no name of a {what}",
                    why="others know it by that name, and so do folders",
                    fix="take up to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit",
                )


class Resident:
    """A node behind its doors (`doors.resp.Store`, and what an operator asks of one: `doors.resp.operating.Operated`).

    A life ends and another begins; those who ask meanwhile are told so. What ends it for good: `lasting`.
    """

    ask: Callable[..., Awaitable[Any]]  # of the life that is
    peek: Callable[..., Found | None]

    def __init__(self, home: Home) -> None:
        self.home, self.me = home, home.node
        self.resp = self.http = ""  # where its doors are, once they are open
        self._life: Member
        self._mark = home.folder / MARK
        self._turned = home.folder.with_name(f"{home.folder.name}.settings.json")
        self.settings = _settings(self._turned).over(home.settings)
        self._promise = self._read()
        self._founding: Topology | None = None
        self._port = home.port
        self._loop = asyncio.get_running_loop()
        self._begun: asyncio.Future[None] = self._loop.create_future()
        self._anew: asyncio.Future[None] = self._loop.create_future()
        self._turn = asyncio.Lock()
        self._task = self._loop.create_task(self._lives(), name=f"lives of {self.me}")

    # A node, as doors see it -----------------------------------------------------------------------------------------

    @property
    def topology(self) -> Topology:
        """The newest that this node knows; raises FathomError while it knows none."""
        return self._life.topology

    @property
    def known(self) -> Topology | None:
        """The same, or None."""
        return self._life.known

    @property
    def knows(self) -> bool:
        """Whether it has heard of others in this life, so that it takes requests."""
        return self._life.knows

    @property
    def sums(self) -> Mapping[int, int]:
        """The digest of each slot that lies here."""
        return self._life.sums

    @property
    def owing(self) -> int:
        """How many records are kept here for owners who could not be reached."""
        return self._life.owing

    def alive(self, node: str) -> bool:
        return self._life.alive(node)

    # What an operator asks -------------------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """Where other nodes are told to reach it."""
        return self.home.peer or f"{self.home.advertised or self.home.host}:{self._port}"

    def facts(self) -> dict[str, Any]:
        """Return what others need to know of it before they know it.

        Its state is "waiting" (for a cluster), "promised", "rebuilding" (what it has forgotten), "alone" (it has heard
        of no other in this life, and takes no requests), or "member".
        """
        topology = self._life.known
        if topology is None:
            state = "waiting" if self._promise is None else "promised"
        else:
            state = "rebuilding" if not self._life.votes else "member" if self._life.knows else "alone"
        return {
            "node": self.me,
            "cluster": self.home.cluster,
            "rack": self.home.rack,
            "peer": self.peer,
            "resp": self.resp,
            "http": self.http,
            "state": state,
            "epoch": topology.epoch if topology is not None else 0,
            "incarnation": self._life.incarnation,
        }

    async def found(self, topology: Topology, *, begin: bool) -> None:
        """Promise to begin with a topology; and then, once all others have promised, do so.

        Raises FathomError: this node is of a cluster already, or was told of another topology.
        """
        async with self._turn:
            if self._life.known is not None:
                if begin and topology.cluster == self._life.known.cluster:
                    return  # asked again by one who did not hear the answer
                raise FathomError(
                    f"{self.me} is of a cluster already",
                    why=f"it knows epoch {self.topology.epoch} of {self.topology.cluster}",
                    fix="found with empty folders; a node that comes later is added: fathom kv add",
                )
            check(topology, self.home.cluster, self.me)
            if not begin:
                self._promise = topology
                await asyncio.to_thread(self._keep, topology)
                return
            if self._promise != topology:
                raise FathomError(
                    f"{self.me} has not promised to begin with this topology",
                    why="nothing was promised" if self._promise is None else "it was another that was promised",
                    fix="found anew, at all nodes: fathom kv found",
                )
            self._founding = topology
            await self._begin_anew()
            await asyncio.to_thread(self._keep, None)
            self._promise = None

    async def turn(self, settings: Settings) -> None:
        """Set what these settings name, for good, and begin a new life with it: what is under way here is *unknown*.

        They lie beside this node's folder: they are no part of a memory that can be lost. Raises FathomError.
        """
        async with self._turn:
            wanted = settings.over(self.settings)
            wanted.built()
            if wanted == self.settings:
                return
            await asyncio.to_thread(_write, self._turned, msgspec.json.encode(wanted))
            self.settings = wanted
            await self._begin_anew()

    async def figures(self) -> dict[str, int]:
        """Return what its store has counted, and what was rare."""
        found = await self._life.store.counters()
        return found | {name.replace(" ", "_"): count for name, count in self._life.counts.items()}

    async def snapshot(self, name: str) -> Path:
        """Leave a snapshot beside this node's folder; return where. Raises FathomError."""
        if not NAME.fullmatch(name):
            raise FathomError(
                f"'{name}' is no name of a snapshot",
                why="it becomes a folder beside this node's own",
                fix="take up to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or a digit",
            )
        place = self.home.folder.with_name(f"{self.home.folder.name}.snapshots") / name
        await self._life.store.snapshot(place)
        return place

    async def _begin_anew(self) -> None:
        self._begun = self._loop.create_future()
        self._anew.set_result(None)
        await asyncio.wait({self._begun, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            await self._task

    # Its lives -------------------------------------------------------------------------------------------------------

    async def lasting(self) -> None:
        """Return never; raise what has ended this node, of which its disk is the only cause."""
        await asyncio.shield(self._task)

    async def _lives(self) -> None:
        home = self.home
        while True:
            knobs, tuning = self.settings.built()
            async with living(
                home.folder,
                self.me,
                cluster=home.cluster,
                founding=self._founding,
                address_of=self._address_of,
                host=home.host,
                port=self._port,
                knobs=knobs,
                tuning=tuning,
                token=home.token,
                tls=home.tls,
                seed=home.seed,
                durability=home.durability,
            ) as member:
                self._life, self._port, self.ask, self.peek = member, member.port, member.ask, member.peek
                self._anew = self._loop.create_future()
                if not self._begun.done():
                    self._begun.set_result(None)
                await asyncio.wait({self._anew, member.ended}, return_when=asyncio.FIRST_COMPLETED)
                if not self._anew.done():
                    raise _ended(self.me, member.ended.exception())

    def _address_of(self, node: str) -> tuple[str, int] | None:
        """Say where a node listens: as the topology has it, or as this process was told when it began.

        One that has promised asks nobody for the cluster: it would take itself for one that has forgotten.
        """
        topology = self._life.known if self._begun.done() else None
        if topology is None and self._promise is not None:
            raise OSError(f"{self.me} has promised to begin, and waits for the word")
        member = topology.by_name.get(node) if topology is not None else None
        host, _, port = (member.peer if member is not None else "").rpartition(":")
        return (host.strip("[]"), int(port)) if host else self.home.known.get(node)

    def _keep(self, promise: Topology | None) -> None:
        """Have a promise on the disk, or none; before it is so in memory, and after."""
        if promise is None:
            _drop(self._mark)
        else:
            _write(self._mark, msgspec.json.encode(promise))

    def _read(self) -> Topology | None:
        try:
            return msgspec.json.decode(self._mark.read_bytes(), type=Topology)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    async def begun(self) -> None:
        """Return once the first life has begun; raise what prevents it."""
        begun = asyncio.ensure_future(asyncio.shield(self._begun))
        await asyncio.wait({begun, self._task}, return_when=asyncio.FIRST_COMPLETED)
        begun.cancel()
        if self._task.done():
            await self._task
        if self._promise is not None and self._life.known is not None:  # it began, and ended before it could say so
            await asyncio.to_thread(self._keep, None)
            self._promise = None

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._begun.done():
            self._begun.cancel()


@asynccontextmanager
async def residing(home: Home) -> AsyncIterator[Resident]:
    """Let a node live in its folder for the length of a block. Raises FathomError: see `member.living`."""
    resident = Resident(home)
    try:
        await resident.begun()
        yield resident
    finally:
        await resident.end()


def _settings(file: Path) -> Settings:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Settings)
    except FileNotFoundError:
        return Settings()
    except (OSError, msgspec.MsgspecError) as unread:
        raise FathomError(
            f"the settings in {file} cannot be read", why=str(unread), fix="remove the file, and turn them again"
        ) from None


def _ended(node: str, fault: BaseException | None) -> FathomError:
    if isinstance(fault, FathomError):
        return fault
    return FathomError(
        f"{node} cannot go on",
        why=f"{type(fault).__name__}: {fault}",
        fix="see its disk; started again, it goes on with what is on it",
        code=EXIT_BROKE,
    )


def _write(file: Path, content: bytes) -> None:
    """Write a small file, all at once and durably."""
    unfinished = file.with_name(f"{file.name}-{time.monotonic_ns()}")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    unfinished.replace(file)
    _sync(file.parent)


def _drop(file: Path) -> None:
    file.unlink(missing_ok=True)
    _sync(file.parent)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
