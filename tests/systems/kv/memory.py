"""Nodes of the store in this process, on memory that is durable at once: the real core, with no network between."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from bisect import bisect_left, insort
from typing import Any

from fathom.blocks.machine import Event, Message, Now, Request, Start, Synced, Tick
from fathom.systems.kv.core.calls import Call, Within
from fathom.systems.kv.core.identity import founded
from fathom.systems.kv.core.node import Knobs, Node
from fathom.systems.kv.core.topology import Bucket, Member, Topology

BUCKETS = (
    Bucket(prefix=b"", semantics="cas"),
    Bucket(prefix=b"s:", semantics="siblings"),
    Bucket(prefix=b"l:", semantics="lww"),
)


class Memory:
    """Families of keys in order. What is applied is there, and stays."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, bytes], bytes] = {}
        self._orders: dict[str, list[bytes]] = {}

    def apply(self, batch: Any) -> None:
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
    """One node, driven by the running loop: every batch is durable before the next event."""

    def __init__(self, node: str, topology: Topology, others: dict[str, MemoryStore], knobs: Knobs) -> None:
        self.me = node
        self._others, self._memory = others, Memory()
        self._memory.apply(founded(node, topology))
        self._node = Node(node, self._memory, random.Random(node), knobs)
        self._ids, self._tickets = itertools.count(1), 0
        self._answers: dict[int, Any] = {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._later: list[tuple[int, int, Any, Any]] = []
        self._alarm: asyncio.TimerHandle | None = None
        self.down = False

    @property
    def topology(self) -> Topology:
        assert self._node.topology is not None
        return self._node.topology

    @property
    def knows(self) -> bool:
        """Whether this node has heard of others, so that it may take requests."""
        return self._node.membership.knows_the_time

    @property
    def sums(self) -> Any:
        return self._node.replica.sums

    @property
    def owing(self) -> int:
        return sum(self._node.hints.held.values())

    def alive(self, node: str) -> bool:
        return self._node.membership.alive(node)

    async def ask(self, call: Call | Within, *, deadline_ms: int | None = None) -> Any:
        id = next(self._ids)
        self._answers[id] = None
        self.step(Request(id, call))
        answer = self._answers.pop(id)
        if answer is not None:
            return answer
        self._waiting[id] = asyncio.get_running_loop().create_future()
        return await self._waiting[id]

    def start(self) -> None:
        self.step(Start())

    def stop(self) -> None:
        self.down = True
        if self._alarm is not None:
            self._alarm.cancel()

    def step(self, event: Event) -> None:
        if self.down:
            return
        effects = self._node.step(Now(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000), event)
        if effects.batch:
            self._memory.apply(effects.batch)
            self._tickets += 1
        loop = asyncio.get_running_loop()
        for to, message, _ in effects.sends:
            loop.call_soon(self._others[to].step, Message(self.me, message))
        if effects.wake_ms is not None:
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = loop.call_later(max(0, effects.wake_ms / 1_000 - time.monotonic()), self.step, Tick())
        if effects.batch:
            self.step(Synced(self._tickets))
        for id, answer, _ in effects.answers:
            waiting = self._waiting.pop(id, None)
            if waiting is None:
                self._answers[id] = answer
            elif not waiting.done():
                waiting.set_result(answer)


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
