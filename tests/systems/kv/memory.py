"""Nodes of the store in this process: the real core and its driver, on memory, with no network between."""

from __future__ import annotations

import asyncio
import itertools
import random
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

from fathom.blocks.machine import Batch
from fathom.systems.kv.core.calls import Answer, Call, Found, Within
from fathom.systems.kv.core.identity import founded
from fathom.systems.kv.core.node import Knobs, Node
from fathom.systems.kv.core.topology import Bucket, Member, Topology
from fathom.systems.kv.service.driver import Driver

BUCKETS = (
    Bucket(prefix=b"", semantics="cas"),
    Bucket(prefix=b"s:", semantics="siblings"),
    Bucket(prefix=b"l:", semantics="lww"),
)


class Memory:
    """Families of keys in order. What is applied is there, stays, and is durable in the next turn of the loop."""

    synced: Callable[[int], None]  # the driver gives both
    failed: Callable[[Exception], None]

    def __init__(self, before: Batch) -> None:
        self._tickets = 0
        self._values: dict[tuple[str, bytes], bytes] = {}
        self._orders: dict[str, list[bytes]] = {}
        self._write(before)

    def apply(self, batch: Batch) -> int:
        self._write(batch)
        self._tickets += 1
        asyncio.get_running_loop().call_soon(lambda ticket: self.synced(ticket), self._tickets)
        return self._tickets

    def _write(self, batch: Batch) -> None:
        for family, key, value in batch:
            order = self._orders.setdefault(family, [])
            if value is None:
                if self._values.pop((family, key), None) is not None:
                    del order[bisect_left(order, key)]
            else:
                if (family, key) not in self._values:
                    insort(order, key)
                self._values[family, key] = value

    def get(self, family: str, key: bytes) -> bytes | None:
        return self._values.get((family, key))

    def scan(self, family: str, first: bytes, last: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        order = self._orders.get(family, [])
        begin = bisect_left(order, first)
        keys = itertools.takewhile(lambda key: last is None or key < last, order[begin : begin + limit])
        return [(key, self._values[family, key]) for key in keys]

    def room(self) -> int:
        return 1 << 40


class MemoryStore:
    """One node, driven as a member is."""

    def __init__(self, node: str, topology: Topology, others: dict[str, MemoryStore], knobs: Knobs) -> None:
        memory = Memory(founded(node, topology))
        self.me = node
        self._others = others
        self._node = Node(node, memory, random.Random(node), knobs)
        self._driver = Driver(self._node, memory, self)

    @property
    def topology(self) -> Topology:
        assert self._node.topology is not None
        return self._node.topology

    @property
    def knows(self) -> bool:
        """Whether this node has heard of others, so that it may take requests."""
        return self._node.membership.knows_the_time

    @property
    def down(self) -> bool:
        return self._driver.ended.done()

    @property
    def sums(self) -> Any:
        return self._node.replica.sums

    @property
    def owing(self) -> int:
        return sum(self._node.hints.held.values())

    def alive(self, node: str) -> bool:
        return self._node.membership.alive(node)

    async def ask(self, call: Call | Within, *, deadline_ms: int | None = None) -> Answer:
        return await self._driver.ask(
            call if deadline_ms is None or isinstance(call, Within) else Within(call, deadline_ms)
        )

    def send(self, to: str, body: Any) -> None:
        """Carry a message to another node."""
        asyncio.get_running_loop().call_soon(self._others[to]._driver.received, self.me, body)

    def peek(self, key: bytes, /) -> Found | None:
        return self._driver.peek(key)

    def start(self) -> None:
        self._driver.start()

    def stop(self) -> None:
        self._driver.stop()


def one_node(buckets: tuple[Bucket, ...] = BUCKETS, knobs: Knobs | None = None) -> MemoryStore:
    """Return a node that keeps every key alone."""
    alone = tuple(Bucket(prefix=b.prefix, semantics=b.semantics, n=1, r=1, w=1) for b in buckets)
    topology = Topology(cluster="memory", epoch=1, members=(Member(node="n1"),), buckets=alone, vnodes=8)
    store = MemoryStore("n1", topology, {}, knobs or Knobs())
    store.start()
    return store


def some_nodes(
    ports: list[int], buckets: tuple[Bucket, ...] = BUCKETS, knobs: Knobs | None = None
) -> list[MemoryStore]:
    """Return nodes that keep each key on three of them, and have their doors on these ports."""
    members = tuple(
        Member(node=f"n{at}", rack=f"r{at % 3}", resp=f"127.0.0.1:{port}") for at, port in enumerate(ports, 1)
    )
    topology = Topology(cluster="memory", epoch=1, members=members, buckets=buckets, vnodes=8)
    stores: dict[str, MemoryStore] = {}
    for member in members:
        stores[member.node] = MemoryStore(member.node, topology, stores, knobs or Knobs(ping_ms=50, suspect_ms=300))
    for store in stores.values():
        store.start()
    return list(stores.values())
