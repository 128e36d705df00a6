"""What one node keeps: records by slot, a digest of each slot in the same batch, an acceptor for each register."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from fathom.blocks.ballots import NEVER, NOTHING, Accept, Ballot, Look, Prepare, Register, inherited
from fathom.blocks.clocks import TooFarAhead
from fathom.blocks.machine import Corrupt
from fathom.blocks.slots import slot_of

from . import messages as m
from .records import Last, Record, digest_of, merged, pack, unpack
from .topology import SYSTEM

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Replica", "next_limit", "place", "scan_all", "spot"]

MOD = 1 << 128
_encode = msgspec.msgpack.Encoder().encode
_decode_ballot = msgspec.msgpack.Decoder(Ballot).decode
PAGE, PAGE_FIRST = 256, 16  # pairs that are read at a time, at most and at first
PAGE_BYTES = 1 << 20


def place(key: bytes) -> bytes:
    """Return where a key lies in the store: behind its slot, so that a slot is one stretch of it."""
    return slot_of(key).to_bytes(2, "big") + key


def _where(key: bytes) -> tuple[str, bytes]:
    return ("system", key) if key.startswith(SYSTEM) else ("data", place(key))


def spot(slot: int) -> bytes:
    return slot.to_bytes(2, "big")


class Replica:
    """Records, and what may be said of them: what is not durable yet is told only when it is."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.sums: dict[int, int] = {}  # slot → sum of digests modulo 2^128; only slots with records
        self._unsynced: dict[bytes, int] = {}  # key → the ticket of its last write
        self.floors: dict[int, Ballot] = {}  # slot → below this no ballot is taken for a register that is not there
        self.torn: set[bytes] = set()  # keys of which this node has forgotten what it knew

    def start(self) -> None:
        node, lost = self._node, list[bytes]()
        self.torn = {key for key, _ in scan_all(node, "torn", corrupt=lost.append)}
        for key in lost:  # of what this node has forgotten what it knew is itself forgotten
            node.write("torn", key, None)
        for key, value in scan_all(node, "floors", corrupt=lost.append):
            self.floors[int.from_bytes(key, "big")] = _decode_ballot(value)
        if lost:
            node.identity.renew(whole=False)
        lost = []
        for key, value in scan_all(node, "slots", corrupt=lost.append):
            self.sums[int.from_bytes(key, "big")] = int.from_bytes(value, "big")
        for key in lost:
            self._count_anew(int.from_bytes(key, "big"))

    def look_after(self) -> None:
        """Read again what is small and not read otherwise, so that what has rotted is found before it is missed."""
        node, lost = self._node, list[bytes]()
        for _ in scan_all(node, "slots", corrupt=lost.append):
            pass
        for key in lost:
            slot = int.from_bytes(key, "big")
            self._sum(slot, self.sums.get(slot, 0))
        lost = []
        for _ in scan_all(node, "system", corrupt=lost.append):
            pass
        for key in lost:
            self.quarantine(key)

    def register(self, key: bytes, record: Record | None) -> Register:
        """Return an acceptor's memory of a key; of one that was forgotten with its tombstone, a promise of the slot."""
        if isinstance(record, Register):
            return record
        floor = self.floors.get(slot_of(key))
        return NOTHING if floor is None else Register(floor)

    def raise_floor(self, slot: int, ballot: Ballot) -> None:
        if ballot > self.floors.get(slot, NEVER):
            self.floors[slot] = ballot
            self._node.write("floors", spot(slot), _encode(ballot))

    def keys(self, family: str) -> list[bytes]:
        """Return all keys of a family, also those whose value cannot be believed."""
        found: list[bytes] = []
        for key, _ in scan_all(self._node, family, corrupt=found.append):
            found.append(key)
        return found

    def forget_all(self) -> None:
        self.sums.clear()
        self.floors.clear()
        self.torn.clear()

    def synced(self, ticket: int) -> None:
        unsynced = self._unsynced
        for key in [key for key, waits in unsynced.items() if waits <= ticket]:
            del unsynced[key]

    # Records ---------------------------------------------------------------------------------------------------------

    def get(self, key: bytes) -> Record | None:
        """Return the record under a key; raise `Corrupt` where what is there is not what was written."""
        raw = self._node.get(*_where(key))
        return None if raw is None else unpack(raw)

    def after(self, key: bytes) -> int:
        """Return the ticket that whoever tells of this key must wait for."""
        return self._unsynced.get(key, 0)

    def keep(self, key: bytes, record: Record | None, old: Record | None) -> int:
        """Write a record in place of the old one, and the slot's digest with it; return the ticket."""
        node, slot = self._node, slot_of(key)
        if key.startswith(SYSTEM):  # it belongs to no slot
            self._unsynced[key] = ticket = node.write("system", key, None if record is None else pack(record))
            return ticket
        total = self.sums.get(slot, 0)
        if old is not None:
            total -= digest_of(key, old)
        if record is not None:
            total += digest_of(key, record)
        self._sum(slot, total % MOD)
        ticket = node.write("data", place(key), None if record is None else pack(record))
        self._unsynced[key] = ticket
        return ticket

    def quarantine(self, key: bytes) -> None:
        """Put aside what is not what was written: this node has forgotten the key, and does not vote on it until it
        has learnt from all other owners what there was; see `rebuild.py`."""
        self._forget(key)
        if not key.startswith(SYSTEM):
            self._count_anew(slot_of(key), skip=place(key))
        self._node.rebuild.forgot()

    def _count_anew(self, slot: int, *, skip: bytes | None = None) -> None:
        """Take the digest of a slot from its records; put aside what is not what was written."""
        torn, total = list[bytes](), 0
        for at, raw in scan_all(self._node, "data", spot(slot), spot(slot + 1), skip=skip, corrupt=torn.append):
            total += digest_of(at[2:], unpack(raw))
        for at in torn:
            self._forget(at[2:])
        self._sum(slot, total % MOD)

    def _forget(self, key: bytes) -> None:
        node = self._node
        node.count("quarantined a corrupt record")
        node.write(*_where(key), None)
        self.knows_no_more(key)

    def knows_no_more(self, key: bytes) -> None:
        """Do not vote on a key until it is healed."""
        self._unsynced[key] = self._node.write("torn", key, b"")
        self.torn.add(key)

    def healed(self, key: bytes) -> None:
        self.torn.discard(key)
        self._node.write("torn", key, None)

    def _sum(self, slot: int, total: int) -> None:
        if total:
            self.sums[slot] = total
            self._node.write("slots", spot(slot), total.to_bytes(16, "big"))
        elif self.sums.pop(slot, None) is not None:
            self._node.write("slots", spot(slot), None)

    # What others ask -------------------------------------------------------------------------------------------------

    def read(self, sender: str, asked: m.Read) -> None:
        node = self._node
        key, topology = asked.key, node.topology
        record, votes = self.seen(key)
        if topology is not None and node.me not in topology.owners_of(key).all:  # it stands in for one: hints count
            hint = node.hints.of(key)
            if hint is not None:
                record = merged(record, hint)
        forgot = key in self.torn and node.identity.votes
        node.send(sender, m.Found(asked.id, record, votes, forgot), self.after(key))

    def wrote(self, key: bytes, ticket: int) -> None:
        """What is told of a key waits for this ticket."""
        self._unsynced[key] = ticket

    def told(self, key: bytes) -> tuple[Record | None, bool]:
        """Return the record under a key, and whether this node may vote on it and tell of it at once."""
        if key in self._unsynced or key in self.torn or not self._node.identity.votes:
            return None, False
        try:
            raw = self._node.get("data", place(key))
            return None if raw is None else unpack(raw), True
        except Corrupt:  # who asks again sees to that
            return None, False

    def seen(self, key: bytes) -> tuple[Record | None, bool]:
        """Return the record under a key, and whether this node may vote on it."""
        try:
            record = self.get(key)
        except Corrupt:
            self.quarantine(key)
            return None, False
        return record, self._node.identity.votes and key not in self.torn

    def merge(self, sender: str, asked: m.Merge) -> None:
        node = self._node
        if not node.membership.knows_the_time:
            node.count("knew no time yet")
            node.send(sender, m.Merged(asked.id, False))
            return
        if node.wall_ms - asked.born_ms > node.knobs.grace_ms // 2:
            node.count("refused what was too long under way")
            node.send(sender, m.Merged(asked.id, False))
            return
        if asked.hint_for:
            ticket = node.hints.keep(asked.hint_for, asked.key, asked.record, asked.born_ms)
            node.send(sender, m.Merged(asked.id, ticket is not None), ticket or 0)
            return
        ok = self.take(asked.key, asked.record)
        node.send(sender, m.Merged(asked.id, ok), self.after(asked.key))

    def take(self, key: bytes, record: Record, *, inherit: bool = False) -> bool:
        """Merge a record into what is here; False if it may not be, or a register has promised not to.

        `inherit`: take over another's promises too, for a memory that was lost and does not vote yet.
        """
        node = self._node
        if isinstance(record, Last) and node.knobs.stamps == "hybrid":
            try:
                node.clock.merge(record.stamp, node.wall_ms)
            except TooFarAhead:
                node.count("refused a stamp from the future")
                return False
        old, _ = self.seen(key)
        if isinstance(record, Register) and inherit:
            new: Record = inherited([self.register(key, old), record])
        elif isinstance(record, Register):
            new = merged(self.register(key, old), record)
        else:
            new = merged(old, record)
        if new != old and (not isinstance(new, Register) or new.accepted != NEVER or inherit):
            self.keep(key, new, old)
        return not (isinstance(record, Register) and isinstance(new, Register) and new.accepted < record.accepted)

    # The acceptor of a register --------------------------------------------------------------------------------------

    def vote(self, sender: str, asked: m.Vote) -> None:
        node, key, ask = self._node, asked.key, asked.ask
        old, votes = self.seen(key)
        if not votes or not self._near(ask):
            node.send(sender, m.Voted(asked.id, None))
            return
        held, voter = self.register(key, old), node.identity.voter
        if isinstance(ask, Look):
            node.send(sender, m.Voted(asked.id, voter.look(held, ask)), self.after(key))
            return
        new, answer = voter.prepare(held, ask) if isinstance(ask, Prepare) else voter.accept(held, ask)
        if new is not held:
            self.keep(key, new, old)
        node.send(sender, m.Voted(asked.id, answer), self.after(key))

    def _near(self, ask: Prepare | Accept | Look) -> bool:
        """Whether a ballot is not from the future; take its number over, so that the next of ours is above it."""
        node = self._node
        if isinstance(ask, Look):
            return True
        if not node.membership.knows_the_time:
            node.count("knew no time yet")
            return False
        try:
            node.clock.merge(ask.ballot.number if isinstance(ask, Prepare) else ask.next.number, node.wall_ms)
        except TooFarAhead:
            node.count("refused a ballot from the future")
            return False
        return True


def next_limit(pairs: list[tuple[bytes, bytes]]) -> int:
    """Return how many pairs to read next, if they are as large as those before."""
    size = sum(len(value) for _, value in pairs)
    return max(1, min(PAGE, 2 * len(pairs), len(pairs) * PAGE_BYTES // max(1, size)))


def scan_all(
    node: Node,
    family: str,
    first: bytes = b"",
    last: bytes | None = None,
    *,
    limit: int = PAGE_FIRST,
    skip: bytes | None = None,
    corrupt: Callable[[bytes], None] | None = None,
) -> Iterator[tuple[bytes, bytes]]:
    """Yield all pairs of a stretch but one; `corrupt` is told the key of each value that cannot be believed.

    It is read by pages of about `PAGE_BYTES`: `limit` are in the first, of which nobody knows how large they are.
    """
    while True:
        broken = None
        try:
            pairs = node.scan(family, first, last, limit)
        except Corrupt as error:
            if corrupt is None:
                raise
            broken = error.key
            pairs = node.scan(family, first, broken, limit)
        yield from (pair for pair in pairs if pair[0] != skip)
        if len(pairs) == limit:
            first, limit = pairs[-1][0] + b"\0", next_limit(pairs)
        elif broken is None:
            return
        else:
            if broken != skip:
                assert corrupt is not None
                corrupt(broken)
            first = broken + b"\0"
