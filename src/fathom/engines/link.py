"""A link that can be made slow, narrow, one-way or dead, between a client and whatever it talks to."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from fathom.errors import EXIT_BROKE, FathomError

from . import link_process
from .engine import without_secrets
from .ports import Taken, free_port, when_free

if TYPE_CHECKING:
    from .keeper import Child, Keeper

__all__ = ["Link", "Traffic"]

PROCESS = Path(link_process.__file__)
START_S = 10.0
ANSWER_S = 5.0
PORTS = {"http": 80, "redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432, "nats": 4222, "tls": 4222}


@dataclass(frozen=True)
class Traffic:
    """What has gone through a link."""

    connections: int  # open now
    accepted: int  # ever
    bytes_to: int
    bytes_back: int


class Link:
    """A proxy in a process of its own. A client that uses `where` instead of the target's URL goes through it.

    Nothing is delayed until `set` says so, but for what it costs to go through another process: that is for the caller
    to measure (see benchmarks/README.md) and the same for everybody in a fair comparison. What a connection is (TCP or
    a unix socket) stays as it was.
    """

    def __init__(self, child: Child, where: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.where = where
        self._child, self._reader, self._writer = child, reader, writer
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def between(
        cls, keeper: Keeper, target: str, *, name: str = "link", cores: set[int] | None = None, seed: int = 0
    ) -> AsyncIterator[Link]:
        """Put a link before `target`, the URL of an engine or a server, for the length of a block.

        `seed` draws the jitter.
        """
        child, where, control = await _spawn(keeper, target, name, cores, seed)
        try:
            reader, writer = await asyncio.open_unix_connection(str(control))
            try:
                yield cls(child, where, reader, writer)
            finally:
                writer.close()
        finally:
            await child.kill()

    async def set(
        self,
        *,
        latency_s: float = 0.0,
        jitter_s: float = 0.0,
        bandwidth_bps: float = 0.0,
        black_hole: bool = False,
        cut: Literal["to", "from"] | None = None,
        way: Literal["both", "to", "from"] = "both",
    ) -> None:
        """Make the link so, for all its connections at once and for those that come; what is not named is no fault.

        `latency_s` is how much later each byte arrives; a question and its answer are late by twice as much, unless
        only one `way` is made so: "to" the target or "from" it. `jitter_s` is the most by which that varies, evenly,
        to either side; the order of bytes stays. `bandwidth_bps` is in bits per second, shared by all connections;
        0 is no limit. A black hole accepts connections and keeps them open, but lets nothing through; `cut` is one
        that swallows only one direction. What it has swallowed arrives once it heals, as what TCP sends again does.
        """
        if min(latency_s, jitter_s, bandwidth_bps) < 0 or (bandwidth_bps and bandwidth_bps < 8_000):
            raise ValueError(
                "a link's latency, jitter and bandwidth cannot be negative, or its bandwidth below 8 kbit/s"
            )
        if way not in ("both", "to", "from") or cut not in (None, "to", "from"):
            raise ValueError(f"a link has the ways 'to' and 'from' its target, not {way if cut is None else cut!r}")
        faulty = {"latency_s": latency_s, "jitter_s": jitter_s, "bandwidth_bps": bandwidth_bps}
        sound = dict.fromkeys(faulty, 0.0)
        await self._order(
            set={
                "to": {**(sound if way == "from" else faulty), "open": not black_hole and cut != "to"},
                "back": {**(sound if way == "to" else faulty), "open": not black_hole and cut != "from"},
            }
        )

    async def heal(self) -> None:
        """Make it a good link again; what was on its way arrives at once."""
        await self.set()

    async def reset(self) -> None:
        """Break all connections at once: both ends get a reset (on unix sockets, an end). New ones are welcome."""
        await self._order(reset=True)

    async def traffic(self) -> Traffic:
        """Return what has gone through it so far."""
        return Traffic(**await self._order())

    def processes(self) -> tuple[int, ...]:
        """Return the ids of its processes, for CPU accounting."""
        return self._child.tree()

    async def _order(self, **order: object) -> dict[str, int]:
        async with self._turn:
            try:
                async with asyncio.timeout(ANSWER_S):
                    self._writer.write(json.dumps(order).encode() + b"\n")
                    if answer := await self._reader.readline():
                        return json.loads(answer)
                raise self._child.fault("it has ended")
            except (OSError, ValueError) as fault:  # a timeout is an OSError
                raise self._child.fault(str(fault) or f"it did not answer within {ANSWER_S:g} s") from None


async def _spawn(keeper: Keeper, target: str, name: str, cores: set[int] | None, seed: int) -> tuple[Child, str, Path]:
    """Start the process before `target`; return it, the URL by which it is reached, and the socket that it obeys."""

    async def start() -> tuple[Child, str, Path]:
        key = secrets.token_hex(3)
        address, where, listen = _places(target, keeper.folder / f"{name}-{key}.sock")
        if isinstance(address, tuple):
            found = await asyncio.get_running_loop().getaddrinfo(*address, type=socket.SOCK_STREAM)
            address = found[0][4][:2]
        control = keeper.folder / f"{name}-{key}.control"
        spec = json.dumps({"listen": listen, "target": address, "control": str(control), "seed": seed})
        child = await keeper.spawn([sys.executable, "-I", "-S", PROCESS, spec], name=name, cores=cores)
        try:
            await child.first_line(START_S)
        except FathomError as fault:
            taken = "in use" in child.tail(20)
            await child.kill()
            if taken:
                raise Taken(fault) from None
            raise
        return child, where, control

    return await when_free(start, had=False)


def _places(target: str, path: Path) -> tuple[tuple[str, int] | str, str, tuple[str, int] | str]:
    """Return the target's address, the URL by which the link is reached, and where the link listens."""
    parts = urlsplit(target)
    if parts.scheme == "unix":
        login, at, _ = parts.netloc.rpartition("@")
        if target.startswith("unix://"):
            return unquote(parts.path), urlunsplit(parts._replace(netloc=login + at, path=quote(str(path)))), str(path)
        return target.removeprefix("unix:"), f"unix:{path}", str(path)
    try:
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    except ValueError:
        host = port = None
    if not host or not port:
        raise FathomError(
            f"no link can lead to {without_secrets(target)}",
            why="its URL names neither a host and port nor a unix socket",
            fix="give the engine a host:port or a socket; a folder needs no network",
            code=EXIT_BROKE,
        )
    ours = free_port()
    login, at, _ = parts.netloc.rpartition("@")
    where = urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{ours}"))
    return (host, port), where, ("127.0.0.1", ours)
