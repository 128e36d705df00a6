"""A node: events go to the part that they concern, and what the parts want done is gathered into one step's effects."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from typing import Any, Literal

import msgspec

from fathom.blocks.clocks import HybridClock
from fathom.blocks.machine import Effects, Event, Message, Now, Request, Start, Store, Synced, Write

from ..api import VALUE_BYTES_MAX
from . import messages as m
from .coordinator import Coordinator
from .flows import Flows
from .graves import Graves
from .hints import Hints
from .identity import Identity
from .membership import Membership
from .rebuild import Rebuild
from .repair import Repair
from .replica import Replica
from .reshape import Reshaping
from .timers import Timers
from .topology import Topology

__all__ = ["Knobs", "Node"]


class Knobs(msgspec.Struct, frozen=True, kw_only=True):
    """Values that may be turned. Times in milliseconds."""

    deadline_ms: int = 1_000  # of a request, unless it says otherwise
    hedge_ms: int = 15  # until a read asks those whom it had spared
    backoff_ms: int = 8  # of a proposer that met another: at most so long, doubled each time
    ping_ms: int = 500
    ack_ms: int = 150  # until a member that did not answer is asked for by others
    suspect_ms: int = 1_500  # until a suspect that does not deny it is down
    repair_ms: int = 2_000  # between two exchanges with another replica
    scrub_ms: int = 500  # between two pages that are read to find what has rotted
    fetch_records: int = 64  # in a page
    fetch_bytes: int = 1 << 20  # and so many, with one record more
    scan_bytes: int = 8 << 20  # that are read for a page of keys
    hints_max: int = 10_000  # kept for one owner
    hint_ttl_ms: int = 3 * 3_600_000
    hints_per_round: int = 64
    grace_ms: int = 24 * 3_600_000  # of a tombstone: longer than a hint may live
    siblings_max: int = 32
    siblings_bytes: int = 8 << 20  # of them together: a message holds them, and those of others
    value_max: int = VALUE_BYTES_MAX
    requests_max: int = 4_000
    ahead_ms: int = 500  # how far ahead of the others a clock may be
    stamps: Literal["hybrid", "wall"] = "hybrid"  # of last write wins; wall: a control, which loses writes
    detection: Literal["timeout", "phi"] = "timeout"  # who did not answer is suspected: at once, or when that is odd
    phi: float = 8.0  # minus the logarithm of how improbable a silence is that is odd


class Node:
    """One node's protocol for one life. `dice` are its own; `store` is what the last life left."""

    def __init__(self, me: str, store: Store, dice: random.Random, knobs: Knobs | None = None) -> None:
        self.me, self.store, self.dice, self.knobs = me, store, dice, knobs or Knobs()
        self.timers, self.flows = Timers(), Flows(self)
        self.clock = HybridClock(ahead_ms_max=2 * self.knobs.ahead_ms)
        self.topology: Topology | None = None
        self.identity = Identity(self)
        self.membership = Membership(self)
        self.replica = Replica(self)
        self.coordinator = Coordinator(self)
        self.hints = Hints(self)
        self.repair = Repair(self)
        self.rebuild = Rebuild(self)
        self.graves = Graves(self)
        self.reshaping = Reshaping(self)
        self.counts: dict[str, int] = {}
        self.now = Now(0, 0)
        self._ahead_ms: int | None = None  # the wall clock before the monotonic one
        self._batch: list[Write] = []
        self._fresh: dict[tuple[str, bytes], bytes | None] = {}  # what this step's batch says, to be read in it
        self._sends: list[tuple[str, Any, int]] = []
        self._answers: list[tuple[int, Any, int]] = []
        self._tickets = 0  # batches of this life so far
        self._synced = 0
        self._reserved = 0  # the ticket of the last ceiling of stamps
        self._own: deque[tuple[Any, int]] = deque()  # messages to itself, and the ticket that they wait for
        self._wake_ms: int | None = None

    # What happens ----------------------------------------------------------------------------------------------------

    def step(self, now: Now, event: Event) -> Effects:
        """Take one event; see `blocks/machine.py` for what a driver promises."""
        self.now, self.timers.now_ms = self._onward(now), now.mono_ms
        kind = type(event)
        if kind is Message:
            self._hear(event.sender, event.body)  # type: ignore[union-attr]
        elif kind is Synced:
            self._synced = event.ticket  # type: ignore[union-attr]
            self.replica.synced(self._synced)
        elif kind is Request:
            self.coordinator.request(event.id, event.call)  # type: ignore[union-attr]
        elif kind is Start:
            self._start()
        else:
            self._wake_ms = None
        self._to_itself()
        self.timers.ring()
        self._to_itself()
        return self._effects()

    def _onward(self, now: Now) -> Now:
        """Return the time without the steps that the wall clock took back in this life, if they were no small ones.

        When most clocks step back, all that was stamped before would be of the future for as long, and refused.
        """
        ahead_ms = now.wall_ms - now.mono_ms
        if self._ahead_ms is not None and ahead_ms < self._ahead_ms - self.knobs.ahead_ms:
            return Now(now.mono_ms, now.mono_ms + self._ahead_ms)
        self._ahead_ms = ahead_ms
        return now

    def _start(self) -> None:
        self.identity.start()
        self.replica.start()
        self.hints.start()
        self.membership.start()
        self.repair.start()
        self.rebuild.start()

    def _hear(self, sender: str, envelope: m.Envelope) -> None:
        topology, body = self.topology, envelope.body
        kind = type(body)
        if isinstance(body, m.Tell):
            self.identity.told(body.topology)
            return
        if isinstance(body, m.Adopt):
            self.reshaping.adopt(sender, body)
            return
        if topology is None:
            if kind is m.Ping:  # somebody knows us; ask what there is
                self.send(sender, m.Join())
            return
        if kind is m.Join:
            self.send(sender, m.Tell(topology))
            return
        if envelope.cluster != topology.cluster:
            self.count("of another cluster")
            return
        if envelope.epoch != topology.epoch:
            if envelope.epoch < topology.epoch:
                self.send(sender, m.Tell(topology))
                if kind in _NEEDS_TO_KNOW:  # what it counts as enough may not be so any more
                    self.count("refused an older epoch")
                    return
            else:
                self.send(sender, m.Join())
        handler = _HEARERS.get(kind)
        if handler is None:
            self.flows.reply(getattr(body, "id", 0), sender, body)
        else:
            handler(self, sender, body)

    # What is wanted --------------------------------------------------------------------------------------------------

    def send(self, to: str, body: Any, after: int = 0) -> None:
        """Send a message; it leaves when batch `after` is durable."""
        if to == self.me:
            self._own.append((self._sealed(body), after))
            return
        self._sends.append((to, self._sealed(body), after))

    def _sealed(self, body: Any) -> m.Envelope:
        topology = self.topology
        return m.Envelope("", 0, body) if topology is None else m.Envelope(topology.cluster, topology.epoch, body)

    def answer(self, id: int, answer: Any, after: int = 0) -> None:
        self._answers.append((id, answer, after))

    def get(self, family: str, key: bytes) -> bytes | None:
        """Read from the store, and from what this step is about to write; raise `Corrupt`."""
        if self._batch and (family, key) in self._fresh:
            return self._fresh[family, key]
        return self.store.get(family, key)

    def scan(self, family: str, first: bytes, last: bytes | None, limit: int) -> list[tuple[bytes, bytes]]:
        """Read a stretch of a family in the order of keys, with what this step is about to write; raise `Corrupt`."""
        fresh = {
            key: value
            for (of, key), value in self._fresh.items()
            if of == family and first <= key and (last is None or key < last)
        }
        if not fresh:
            return self.store.scan(family, first, last, limit)
        pairs = self.store.scan(family, first, last, limit + len(fresh))
        beyond = pairs[-1][0] if len(pairs) == limit + len(fresh) else None
        found: dict[bytes, bytes | None] = {**dict(pairs), **fresh}
        known = [(k, v) for k, v in sorted(found.items()) if v is not None and (beyond is None or k <= beyond)]
        return known[:limit]

    def write(self, family: str, key: bytes, value: bytes | None) -> int:
        """Write with this step's batch and return its ticket."""
        self._batch.append((family, key, value))
        self._fresh[family, key] = value
        return self._tickets + 1

    @property
    def so_far(self) -> int:
        """The ticket of all that was written up to now."""
        return self._tickets + bool(self._batch)

    def count(self, what: str, by: int = 1) -> None:
        """Count something that is rare, or that somebody will want to know."""
        self.counts[what] = self.counts.get(what, 0) + by

    @property
    def secret(self) -> bytes:
        """What a context token is sealed with: one of another cluster says nothing here."""
        if self.topology is None:
            return b""
        return hashlib.blake2b(self.topology.secret or self.topology.cluster.encode(), digest_size=32).digest()

    @property
    def wall_ms(self) -> int:
        """This node's wall clock, held to what the others show: a clock that ran away alone gives no stamps."""
        return self.membership.held_to_others(self.now.wall_ms)

    def stamp(self) -> int:
        """Return a stamp above all others that this node has given or seen, over restarts too."""
        stamp = self.clock.tick(self.wall_ms)
        ceiling = self.clock.reserve()
        if ceiling is not None:
            self._reserved = self.write("meta", b"ceiling", ceiling.to_bytes(8, "big"))
        return stamp

    def outdoes(self, number: int) -> None:
        """Give no stamp below this number any more, in no life."""
        if number > self.clock.last:
            self.clock.last = number
        self.stamp()

    @property
    def stamped(self) -> int:
        """What a message with a stamp must wait for: with the ceiling lost, a next life might give the stamp again."""
        return self._reserved if self._reserved > self._synced else 0

    def _to_itself(self) -> None:
        waiting = self._own
        for _ in range(len(waiting)):
            body, after = waiting.popleft()
            if after > self._synced:
                waiting.append((body, after))
                continue
            self._hear(self.me, body)
        if any(after <= self._synced for _, after in waiting):
            self._to_itself()

    def _effects(self) -> Effects:
        effects = Effects(self._batch, self._sends, self._answers)
        if self._batch:
            self._tickets += 1
            self._batch = []
            self._fresh = {}
        if self._sends:
            self._sends = []
        if self._answers:
            self._answers = []
        due = self.timers.next_ms
        if due is not None and (self._wake_ms is None or due < self._wake_ms):
            self._wake_ms = effects.wake_ms = due
        return effects


_NEEDS_TO_KNOW = frozenset({m.Read, m.Merge, m.Vote, m.Forward, m.Rejoin})
_HEARERS: dict[type, Any] = {
    m.Read: lambda node, sender, body: node.replica.read(sender, body),
    m.Merge: lambda node, sender, body: node.replica.merge(sender, body),
    m.Vote: lambda node, sender, body: node.replica.vote(sender, body),
    m.Forward: lambda node, sender, body: node.coordinator.forwarded(sender, body),
    m.Ping: lambda node, sender, body: node.membership.ping(sender, body),
    m.Ack: lambda node, sender, body: node.membership.ack(sender, body),
    m.PingFor: lambda node, sender, body: node.membership.ping_for(sender, body),
    m.Rejoin: lambda node, sender, body: node.identity.rejoins(sender, body),
    m.Gains: lambda node, sender, body: node.reshaping.gains(sender, body),
    m.Rests: lambda node, sender, body: node.graves.rests(sender, body),
    m.Drop: lambda node, sender, body: node.graves.drop(sender, body),
    m.Summary: lambda node, sender, body: node.repair.summary(sender, body),
    m.Fetch: lambda node, sender, body: node.repair.fetch(sender, body),
}
