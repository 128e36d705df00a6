"""A disk that loses what was not synced, fills up, rots and comes back empty."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from math import log
from typing import NamedTuple

from fathom.blocks.machine import Batch, Corrupt, DiskFull
from fathom.sim.world import US, World

__all__ = ["Disk"]

SYNC_BASE_NS, SYNC_SPREAD_NS = 200 * US, 300 * US  # an fsync of NVMe with a write cache; a stall adds to it
ENDLESS = 1 << 62


class Rotten(bytes):
    """A value that is not what was written."""


class Undo(NamedTuple):
    """What one write replaced."""

    family: Family
    key: bytes
    value: bytes | None


class Family:
    """Keys in order, and their values."""

    __slots__ = ("keys", "values")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.values: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes | None) -> bytes | None:
        """Write or (None) delete; return what was there."""
        values = self.values
        old = values.get(key)
        if value is not None:
            if old is None:
                insort(self.keys, key)
            values[key] = value
        elif old is not None:
            del self.keys[bisect_left(self.keys, key)]
            del values[key]
        return old


class Disk:
    """A store of families (see `fathom.blocks.machine.Store`) whose batches become durable later, in order.

    A batch is visible at once. One sync is under way at a time and covers every batch that was made before it began
    (group commit); `synced(ticket)` is called when it is done. Tickets count from 1 since the last crash. A crash
    keeps all synced batches and, as the dice will, some of those after them in order, each of them whole: no batch is
    ever torn here, as RocksDB drops what is torn at the tail of its log (`tests/engines` tears it). What a restart
    finds is durable, as a log that was replayed and flushed.

    `lies` is for controls: a sync is then reported at once, while the data still takes its time, as with a disk
    that acknowledges a flush out of its cache, or a driver that forgot the fsync.
    """

    def __init__(self, world: World, name: str, *, lies: bool = False) -> None:
        self._world = world
        self._dice = world.dice(f"disk/{name}")
        self._families: dict[str, Family] = {}
        self._undo: deque[list[Undo]] = deque()  # of the batches that are not durable, oldest first
        self._made = 0
        self._syncing = False
        self._crashes = 0  # a sync that a crash came before must not report to the next life
        self._stalled_ns = 0
        self._used = 0
        self.capacity_bytes: int | None = None
        self.durable = 0
        self.lies = lies
        self.synced: Callable[[int], None] = lambda ticket: None

    # The store --------------------------------------------------------------------------------------------------

    def get(self, family: str, key: bytes, /) -> bytes | None:
        """Return the value, or None. Raises `Corrupt`."""
        there = self._families.get(family)
        value = there.values.get(key) if there else None
        if value.__class__ is Rotten:
            self._world.reached("a corrupt value was read")
            raise Corrupt(family, key)
        return value

    def scan(self, family: str, first: bytes, last: bytes | None, limit: int, /) -> list[tuple[bytes, bytes]]:
        """Return at most `limit` pairs with `first <= key < last`, in key order. Raises `Corrupt`."""
        there = self._families.get(family)
        if there is None:
            return []
        keys, values = there.keys, there.values
        begin = bisect_left(keys, first)
        end = min(begin + limit, len(keys) if last is None else bisect_left(keys, last, begin))
        found = [(key, values[key]) for key in keys[begin:end]]
        for key, value in found:
            if value.__class__ is Rotten:
                self._world.reached("a corrupt value was scanned")
                raise Corrupt(family, key)
        return found

    def room(self) -> int:
        """Return the bytes left."""
        return ENDLESS if self.capacity_bytes is None else max(0, self.capacity_bytes - self._used)

    def apply(self, batch: Batch) -> int:
        """Apply a batch, at once and whole; return its ticket. Raises `DiskFull`, having changed nothing."""
        undo: list[Undo] = []
        used = self._used
        for name, key, value in batch:
            family = self._families.get(name)
            if family is None:
                family = self._families[name] = Family()
            old = family.put(key, value)
            undo.append(Undo(family, key, old))
            used += _size(key, value) - _size(key, old)
        if self.capacity_bytes is not None and used > max(self.capacity_bytes, self._used):
            _take_back(undo)
            self._world.reached("a full disk refused a batch")
            raise DiskFull
        self._used = used
        self._undo.append(undo)
        self._made += 1
        if self.lies:
            self._world.at(0, self._pretend, self._crashes, self._made)
        if not self._syncing:
            self._sync()
        return self._made

    # Durability -------------------------------------------------------------------------------------------------

    def _sync(self) -> None:
        """Begin a sync of all that was made."""
        self._syncing = True
        delay_ns = SYNC_BASE_NS - int(log(1.0 - self._dice.random()) * SYNC_SPREAD_NS) + self._stalled_ns
        self._world.at(delay_ns, self._finish, self._crashes, self._made)

    def _finish(self, crashes: int, ticket: int) -> None:
        if crashes != self._crashes:
            return
        if ticket - self.durable > 1:
            self._world.reached("one sync made many batches durable")
        for _ in range(ticket - self.durable):
            self._undo.popleft()
        self.durable = ticket
        self._syncing = False
        if self._made > ticket:
            self._sync()
        if not self.lies:
            self.synced(ticket)

    def _pretend(self, crashes: int, ticket: int) -> None:
        if crashes == self._crashes:
            self.synced(ticket)

    def crash(self) -> int:
        """Lose power: take back what the dice do not keep of the batches that are not durable; return how many.

        One time in four everything is kept (as after a kill without a power cut), two in four nothing, else any
        number of them.
        """
        waiting = len(self._undo)
        keep = (waiting, 0, 0, self._dice.randint(0, waiting))[self._dice.randrange(4)]
        lost = waiting - keep
        for _ in range(lost):
            self._used -= _take_back(self._undo.pop())
        if lost:
            self._world.reached("a crash took back batches")
        if keep:
            self._world.reached("a crash kept batches that were not synced")
        self._begin()
        return lost

    def wipe(self) -> None:
        """Come back empty: another disk in its place."""
        self._families.clear()
        self._used = 0
        self._begin()

    def _begin(self) -> None:
        self._undo.clear()
        self._made = self.durable = 0
        self._syncing = False
        self._crashes += 1

    # Trouble ----------------------------------------------------------------------------------------------------

    def stall(self, for_ns: int) -> None:
        """Let every sync that begins from now on take so much longer; 0 is as usual."""
        self._stalled_ns = for_ns

    def fill(self, left_bytes: int = 0) -> None:
        """Have so much room from now on."""
        self.capacity_bytes = self._used + left_bytes

    def empty(self) -> None:
        """Have room without end again."""
        self.capacity_bytes = None

    def corrupt(self, family: str, key: bytes) -> bool:
        """Let what is stored there rot; return whether there was anything. A write or a delete ends it."""
        there = self._families.get(family)
        if there is None or key not in there.values:
            return False
        there.values[key] = Rotten(there.values[key])
        return True

    def keys(self, family: str) -> list[bytes]:
        """Return a family's keys in order: for faults that choose one, and for looking on."""
        there = self._families.get(family)
        return list(there.keys) if there else []


def _size(key: bytes, value: bytes | None) -> int:
    return 0 if value is None else len(key) + len(value)


def _take_back(undo: list[Undo]) -> int:
    """Undo one batch, the last write first; return by how many bytes the disk has shrunk."""
    shrunk = 0
    for family, key, value in reversed(undo):
        shrunk += _size(key, family.put(key, value)) - _size(key, value)
    return shrunk
