"""Members of one cluster in this process: real disks, real connections between them, and their doors open."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fathom.engines.ports import free_port
from fathom.engines.rocks_tuning import MEMTABLE_BYTES_MIN, Tuning
from fathom.systems.kv.core.node import Knobs, Node
from fathom.systems.kv.core.topology import Bucket, Topology
from fathom.systems.kv.core.topology import Member as Named
from fathom.systems.kv.doors import resp
from fathom.systems.kv.service.member import Member, living

from .wire import until

BUCKETS = (
    Bucket(prefix=b"", semantics="cas"),
    Bucket(prefix=b"s:", semantics="siblings"),
    Bucket(prefix=b"l:", semantics="lww"),
    Bucket(prefix=b"z:", semantics="lww", sloppy=True),
)
KNOBS = Knobs(ping_ms=40, ack_ms=200, suspect_ms=400, repair_ms=20, hedge_ms=50)
SMALL = Tuning(memtable_bytes=MEMTABLE_BYTES_MIN, reserve_bytes=0)


class Cluster:
    """Members by name; each comes back to its folder and its ports."""

    def __init__(
        self, folder: Path, names: Sequence[str], buckets: Sequence[Bucket] = BUCKETS, *, token: str | None = None
    ) -> None:
        self.folder, self.names, self.token = folder, tuple(names), token
        self.resp = {name: free_port() for name in names}
        self.peer = {name: free_port() for name in names}
        self.founding = Topology(
            cluster="town",
            epoch=1,
            members=tuple(
                Named(node=name, peer=f"127.0.0.1:{self.peer[name]}", resp=f"127.0.0.1:{self.resp[name]}")
                for name in names
            ),
            buckets=tuple(buckets),
            vnodes=8,
        )
        self.members: dict[str, Member] = {}
        self.doors: dict[str, resp.Door] = {}
        self._lives: dict[str, AsyncExitStack] = {}

    @property
    def seeds(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.resp.values()]

    async def begin(self, name: str, *, bug: Callable[[Node], None] | None = None) -> Member:
        life = self._lives[name] = AsyncExitStack()
        member = self.members[name] = await life.enter_async_context(
            living(
                self.folder / name, name, cluster="town", founding=self.founding, port=self.peer[name], knobs=KNOBS,
                tuning=SMALL, seed=1,
            )
        )  # fmt: skip
        if bug is not None:
            bug(member._node)
        self.doors[name] = await life.enter_async_context(resp.opened(member, port=self.resp[name], token=self.token))
        return member

    async def end(self, name: str) -> None:
        del self.members[name], self.doors[name]
        await self._lives.pop(name).aclose()

    async def heard(self) -> None:
        """Wait until all that live have heard of each other."""
        await until(
            lambda: all(one.knows and all(one.alive(who) for who in self.members) for one in self.members.values())
        )

    async def missed(self, name: str) -> None:
        """Wait until the others believe that one is gone."""
        await until(lambda: not any(one._node.membership.answers(name) for one in self.members.values()))

    async def close(self) -> None:
        for name in list(self._lives):
            await self.end(name)


@asynccontextmanager
async def running(folder: Path, names: Sequence[str] = ("n1", "n2", "n3"), **how: Any) -> AsyncIterator[Cluster]:
    cluster = Cluster(folder, names, **how)
    try:
        for name in names:
            await cluster.begin(name)
        await cluster.heard()
        yield cluster
    finally:
        await cluster.close()
