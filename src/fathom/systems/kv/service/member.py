"""A member of a cluster as it runs: its disk, its protocol and its connections to the others."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fathom.blocks.machine import Batch
from fathom.engines.rocks import Durability, Rocks
from fathom.engines.rocks_tuning import Tuning
from fathom.errors import FathomError
from fathom.web.listen import Listen

from ..core.calls import Answer, Call, Found, Within
from ..core.identity import founded
from ..core.node import Knobs, Node
from ..core.topology import Topology
from .driver import Driver
from .peers import Peers

__all__ = ["FAMILIES", "Member", "living"]

FAMILIES = ("data", "slots", "hints", "torn", "floors", "system", "meta")


class Member:
    """One node, as doors and other nodes see it (`doors.resp.Store`)."""

    def __init__(self, node: Node, store: Rocks, driver: Driver, port: int) -> None:
        self._node, self._driver = node, driver
        self.me, self.store, self.port = node.me, store, port

    @property
    def topology(self) -> Topology:
        """The newest that this node knows; raises FathomError while it knows none."""
        if self._node.topology is None:
            raise FathomError(
                f"{self.me} belongs to no cluster yet",
                why="it was not told of one, and found none on its disk",
                fix="let a member of the cluster take it in",
            )
        return self._node.topology

    @property
    def known(self) -> Topology | None:
        """The same, or None while it knows none."""
        return self._node.topology

    @property
    def knows(self) -> bool:
        """Whether this node has heard of others in this life, so that it takes requests."""
        return self._node.topology is not None and self._node.membership.knows_the_time

    @property
    def counts(self) -> dict[str, int]:
        """How often something happened that is rare, or that somebody will want to know."""
        return self._node.counts

    @property
    def incarnation(self) -> int:
        """Which memory this is: another one after the folder was lost, or restored."""
        return self._node.identity.incarnation

    @property
    def votes(self) -> bool:
        """Whether this node knows all that it ever acknowledged, so that it counts when it says what it knows."""
        return self._node.identity.votes

    @property
    def ended(self) -> Any:
        """A future that is done when this life is over; its exception says why, if the disk ended it."""
        return self._driver.ended

    @property
    def sums(self) -> Mapping[int, int]:
        """Slot → the sum of the digests of what lies here of it: equal where replicas are."""
        return self._node.replica.sums

    @property
    def owing(self) -> int:
        """How many records are kept here for owners who could not be reached."""
        return sum(self._node.hints.held.values())

    def alive(self, node: str) -> bool:
        return self._node.membership.alive(node)

    def peek(self, key: bytes, /) -> Found | None:
        return self._driver.peek(key)

    async def ask(self, call: Call | Within, *, deadline_ms: int | None = None) -> Answer:
        if deadline_ms is not None and not isinstance(call, Within):
            call = Within(call, deadline_ms)
        return await self._driver.ask(call)


@asynccontextmanager
async def living(
    folder: Path,
    me: str,
    *,
    cluster: str,
    founding: Topology | None = None,
    address_of: Callable[[str], tuple[str, int] | None] | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    knobs: Knobs | None = None,
    tuning: Tuning = Tuning(),
    token: str = "",
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    seed: int | None = None,
    durability: Durability = "fsync",
) -> AsyncIterator[Member]:
    """Live one life of node `me` over what its folder holds.

    `founding`: the first topology, given to every founder; a folder that holds one keeps its own. `address_of` says
    where others listen, if the topology does not. Raises FathomError: the folder is another node's or in use, or the
    disk is ill; the life that a disk ends is over by `Member.ended`.
    """
    if not token and not Listen(host=host).loopback:
        raise FathomError(
            f"{me} would listen at {host} without a token",
            why="whoever reaches it could speak as any member",
            fix="give all members the same token, or let them listen at 127.0.0.1",
        )
    await _prepare(folder, me, cluster, tuning, founding)
    async with Rocks.open(folder, cluster=cluster, families=FAMILIES, tuning=tuning, durability=durability) as store:
        node = Node(me, store, random.Random(seed), knobs)

        def listed(who: str) -> tuple[str, int] | None:
            member = node.topology.by_name.get(who) if node.topology is not None else None
            where, _, at = (member.peer if member is not None else "").rpartition(":")
            return (where.strip("[]"), int(at)) if where else None

        peers = Peers(
            me, cluster, lambda sender, body: driver.received(sender, body), address_of or listed, token=token, tls=tls
        )
        driver = Driver(node, store, peers)
        try:
            _, port = await peers.listen(host, port)
            driver.start()
            yield Member(node, store, driver, port)
        finally:
            driver.stop()
            await peers.close()


async def _prepare(folder: Path, me: str, cluster: str, tuning: Tuning, founding: Topology | None) -> None:
    """Have in the folder what a life begins with. It is opened for itself: the tickets of a life are its own."""
    async with Rocks.open(folder, cluster=cluster, families=FAMILIES, tuning=tuning) as store:
        whose, left_by = store.get("meta", b"node"), store.get("meta", b"store")
        if whose is not None and whose != me.encode():
            raise FathomError(
                f"{folder} is the folder of {whose.decode(errors='replace')}, not of {me}",
                why="a node that answers with another's memory breaks what that one promised",
                fix="give each node its own folder",
            )
        batch: Batch = []
        if whose is None and founding is not None:
            batch += founded(me, founding)
        elif left_by is not None and left_by != store.id.encode():  # restored: what was promised since is forgotten
            batch += [("meta", b"incarnation", None), ("meta", b"whole", None)]
        if left_by != store.id.encode():
            batch.append(("meta", b"store", store.id.encode()))
        if batch:
            await store.sync(store.apply(batch))
