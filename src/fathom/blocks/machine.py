"""What a pure state machine and whoever drives it say to each other: events in, effects out.

A machine is one node's protocol with nothing around it: no clock, no I/O, no dice but those it was built with. It is
stepped with the time and one event, and answers with what shall happen. The same machine is driven by a simulated
world (`fathom.sim.host`) and by a real one, and cannot tell which.

Shapes only; the contract of a driver, which every machine may count on:

* `Start` comes first, once in a life; then one event at a time.
* A step's batch is applied at once and atomically, before the next step: the next read sees it. It becomes durable
  later; `Synced(ticket)` says that all batches up to that ticket are. A life counts its batches from 1: the first
  step with a batch that is not empty has ticket 1. Batches become durable in order, many with one fsync.
* A send or an answer with `after = ticket` leaves only when that ticket is durable; with 0 it leaves at once. So what
  tells of a write that a crash may still take back must wait for it; `after` may name no batch that is not yet made.
* Of sends and answers released together, those asked for earlier leave earlier. Messages may still be lost,
  doubled, late and out of order.
* A crash ends the life: the memory is gone, the store keeps a prefix of the batches that has all synced ones. The
  next life is a new machine over the same store, which begins with `Start`.
* A batch that the store refuses (`DiskFull`) ends the life too: the memory already believes in it.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import msgspec

__all__ = [
    "Answer",
    "Batch",
    "Corrupt",
    "DiskFull",
    "Effects",
    "Event",
    "Machine",
    "Message",
    "Now",
    "Request",
    "Send",
    "Start",
    "Store",
    "Synced",
    "Tick",
    "Write",
]


class Now(msgspec.Struct, frozen=True, gc=False):
    """The time on a node's own clocks, in milliseconds: one never steps back, the other may step either way."""

    mono_ms: int  # since some moment of this boot; drifts; means nothing to another node or to the next life
    wall_ms: int  # since 1970, as this node believes; drifts and steps


# What happens to a machine -------------------------------------------------------------------------------------------


class Start(msgspec.Struct, tag=True, array_like=True, frozen=True, gc=False):
    """A life begins; the store holds what the last one left."""


class Message(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Another node (or this one) sent a body: a frozen struct, never to be changed."""

    sender: str
    body: Any


class Request(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """A client asks; the answer carries the same id. An id is never used twice in a life."""

    id: int
    call: Any


class Tick(msgspec.Struct, tag=True, array_like=True, frozen=True, gc=False):
    """The alarm rings: it is `wake_ms` or later. It is spent, the next must be asked for."""


class Synced(msgspec.Struct, tag=True, array_like=True, frozen=True, gc=False):
    """All batches up to and including this ticket are durable."""

    ticket: int


Event: TypeAlias = Start | Message | Request | Tick | Synced


# What a machine lets happen ------------------------------------------------------------------------------------------

Write: TypeAlias = tuple[str, bytes, bytes | None]  # family, key, value; None deletes
Batch: TypeAlias = list[Write]  # atomic; of two writes to a key the later counts
Send: TypeAlias = tuple[str, Any, int]  # to, body, after (a ticket; 0: at once)
Answer: TypeAlias = tuple[int, Any, int]  # the request's id, the answer, after (a ticket; 0: at once)


class Effects(msgspec.Struct):
    """All that one step lets happen. The driver owns it once it is returned.

    `wake_ms` asks for a `Tick` at this time of the monotonic clock. There is one alarm: the earliest that was asked
    for since the last `Tick`; None asks for nothing and takes nothing back. A `Tick` that comes too early is harmless.
    """

    batch: Batch = []
    sends: list[Send] = []
    answers: list[Answer] = []
    wake_ms: int | None = None


class Machine(Protocol):
    """One node's protocol, for one life."""

    def step(self, now: Now, event: Event, /) -> Effects:
        """Take one event and return what follows. An exception ends the life (and fails a simulation)."""
        ...


# What a machine may read ---------------------------------------------------------------------------------------------


class Store(Protocol):
    """Ordered keys in named families: reads see every batch applied so far. Only the driver writes."""

    def get(self, family: str, key: bytes, /) -> bytes | None:
        """Return the value, or None. Raises `Corrupt` where the checksum does not hold."""
        ...

    def scan(self, family: str, first: bytes, last: bytes | None, limit: int, /) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs with `first <= key < last` (None: to the end), in key order.

        Raises `Corrupt` at the first key whose checksum does not hold: whoever deletes that key may scan again.
        """
        ...

    def room(self) -> int:
        """Return the bytes that are left, to refuse work before a batch is refused: that would end the life."""
        ...


class Corrupt(Exception):
    """A stored value's checksum does not hold: it is not what was written, and nothing of it may be believed."""

    def __init__(self, family: str, key: bytes) -> None:
        super().__init__(f"the value of {key!r} in {family} is not what was written")
        self.family, self.key = family, key


class DiskFull(Exception):
    """The store had no room for a batch, and applied nothing of it."""
