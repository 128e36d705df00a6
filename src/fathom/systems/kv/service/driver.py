"""Joins a node with a real disk, real time and other nodes: the driver's side of `blocks/machine.py`, over asyncio."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from fathom.blocks.machine import Batch, DiskFull, Effects, Event, Message, Now, Request, Start, Store, Synced, Tick

from ..core.calls import Call, Failure, Found, Within
from ..core.node import Node

__all__ = ["Disk", "Driver", "Network"]

log = logging.getLogger("fathom.kv")

START, TICK = Start(), Tick()


class Disk(Store, Protocol):
    """Where batches go: visible at once, durable later, as `engines.rocks` has it."""

    synced: Callable[[int], None]
    failed: Callable[[Exception], None]

    def apply(self, batch: Batch, /) -> int: ...


class Network(Protocol):
    """Carries messages to other nodes; it may lose them, and says nothing of it."""

    def send(self, to: str, body: Any, /) -> None: ...


class Driver:
    """One life of a node. Everything happens on one event loop, a step at a time.

    What waits for a ticket is held until the disk says that it is durable; a disk that cannot say so any more ends the
    life, with everything that was waiting unanswered (`ended`): for those who wait that is *unknown*.
    """

    def __init__(self, node: Node, disk: Disk, network: Network) -> None:
        self._node, self._disk, self._network = node, disk, network
        self._loop = asyncio.get_running_loop()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._next_id = 0
        self._held: list[tuple[int, bool, Any, Any]] = []  # ticket, is it a send, to or id, body or answer
        self._durable = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._wake_ms: int | None = None
        self._began_ns = time.monotonic_ns()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        disk.synced, disk.failed = self._synced, self._fail

    def start(self) -> None:
        """Begin the life."""
        self._step(START)

    def stop(self) -> None:
        """End it: nobody is answered any more."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._disk.synced, self._disk.failed = lambda ticket: None, lambda fault: None
        if not self.ended.done():
            self.ended.set_result(None)
        asked, self._asked = self._asked, {}
        for waiting in asked.values():
            if not waiting.done():
                waiting.set_result(Failure(code="timeout", says="this node has ended", unknown=True))

    def ask(self, call: Call | Within) -> asyncio.Future[Any]:
        """Take a client's request; the node keeps the time, so an answer always comes, often at once."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self.ended.done():
            answer.set_result(Failure(code="unavailable", says="this node has ended"))
            return answer
        self._next_id += 1
        self._asked[self._next_id] = answer
        self._step(Request(self._next_id, call))
        return answer

    def peek(self, key: bytes, /) -> Found | None:
        """Read a key at once, where that needs no other node and waits for no disk; None: ask."""
        return None if self.ended.done() else self._node.coordinator.alone(key)

    def received(self, sender: str, body: Any) -> None:
        """Take a message of another node."""
        if not self.ended.done():
            self._step(Message(sender, body))

    # Steps -----------------------------------------------------------------------------------------------------------

    def _now(self) -> Now:
        return Now((time.monotonic_ns() - self._began_ns) // 1_000_000, time.time_ns() // 1_000_000)

    def _step(self, event: Event) -> None:
        try:
            if isinstance(event, Synced):
                self._release(event.ticket)
            effects = self._node.step(self._now(), event)
            if effects.batch:
                self._disk.apply(effects.batch)
            self._let(effects)
        except DiskFull as full:
            self._fail(full)
        except Exception as fault:
            log.exception("the node cannot go on")
            self._fail(fault)

    def _let(self, effects: Effects) -> None:
        durable = self._durable
        for to, body, after in effects.sends:
            if after <= durable:
                self._network.send(to, body)
            else:
                self._held.append((after, True, to, body))
        for id, answer, after in effects.answers:
            if after <= durable:
                self._answer(id, answer)
            else:
                self._held.append((after, False, id, answer))
        if effects.wake_ms is not None and (self._wake_ms is None or effects.wake_ms < self._wake_ms):
            self._wake_at(effects.wake_ms)

    def _wake_at(self, wake_ms: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._wake_ms = wake_ms
        left_ns = wake_ms * 1_000_000 - (time.monotonic_ns() - self._began_ns)
        self._alarm = self._loop.call_later(max(0.0, left_ns / 1e9), self._ring)

    def _ring(self) -> None:
        self._alarm = self._wake_ms = None
        self._step(TICK)

    def _synced(self, ticket: int) -> None:
        self._step(Synced(ticket))

    def _release(self, ticket: int) -> None:
        self._durable = ticket
        held, self._held = self._held, []
        for one in held:
            after, is_send, whom, what = one
            if after > ticket:
                self._held.append(one)
            elif is_send:
                self._network.send(whom, what)
            else:
                self._answer(whom, what)

    def _answer(self, id: int, answer: Any) -> None:
        asked = self._asked.pop(id, None)
        if asked is not None and not asked.done():
            asked.set_result(answer)

    def _fail(self, fault: Exception) -> None:
        """The memory already believes in what the disk did not take: this life is over."""
        if not self.ended.done():
            self.ended.set_exception(fault)
            self.ended.exception()  # whoever wants to know asks again; nobody has to
        self.stop()
