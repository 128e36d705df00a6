"""Tombstones go when every owner has them and nobody keeps anything older: then nothing can bring the key back.

Three things could: an owner that never heard of the deletion (all are asked, and must answer the same), a hint (all
members are asked whether they keep one), and a message that is still under way (asked twice, with time between; and
what is older than half a tombstone's grace is refused wherever it arrives). See BUG-222 of the guides, and Riak's,
Cassandra's and ScyllaDB's resurrections in the dossier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.blocks import dotted
from fathom.blocks.ballots import NEVER, Register
from fathom.blocks.slots import slot_of

from . import messages as m
from .calls import current
from .flows import Ask, Flow, Pause
from .records import Last, Record, content_of, digest_of

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Graves", "is_tombstone"]

SEEN_MAX = 100_000


def is_tombstone(record: Record, wall_ms: int) -> bool:
    """Whether a record says that there is nothing (any more)."""
    if isinstance(record, Last):
        return record.value is None or 0 < record.expires_ms <= wall_ms
    if isinstance(record, Register):
        return record.accepted != NEVER and current(content_of(record.value), wall_ms) is None
    return not dotted.Siblings.decode(record.state).values()


class Graves:
    """The first owner of a key sees to its tombstone. How old it is counts from when this life first saw it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: dict[bytes, tuple[int, int]] = {}  # key → when it was first seen, and its digest
        self._busy = False

    def look(self, key: bytes, record: Record) -> None:
        """Note a tombstone that lies here, and begin to collect it when it is old enough."""
        node, topology = self._node, self._node.topology
        if (
            topology is None
            or topology.owners_of(key).now[0] != node.me
            or topology.then
            or not node.membership.knows_the_time
        ):
            return  # a register's tombstone stays: forgotten too early, a late proposer would find nothing where it was
        if not is_tombstone(record, node.wall_ms):
            self._seen.pop(key, None)
            return
        digest, now_ms = digest_of(key, record), node.now.mono_ms
        since, known = self._seen.get(key, (now_ms, digest))
        if known != digest or key not in self._seen:
            if len(self._seen) < SEEN_MAX:
                self._seen[key] = now_ms, digest
        elif now_ms - since >= node.knobs.grace_ms and not self._busy:
            self._busy = True
            node.flows.begin(self._collect(key, digest.to_bytes(16, "big")))

    def _collect(self, key: bytes, digest: bytes) -> Flow:
        node, topology = self._node, self._node.topology
        assert topology is not None
        owners, nodes, wait_ms = topology.owners_of(key).all, topology.nodes, node.knobs.deadline_ms
        for again in (False, True):
            if again:
                yield Pause(2 * wait_ms)
            replies = yield Ask(nodes, lambda id: m.Rests(id, key), lambda r: len(r) == len(nodes), wait_ms)
            same = all(replies[who].digest == digest for who in owners if who in replies)
            if len(replies) < len(nodes) or not same or any(reply.hints for reply in replies.values()):
                break
        else:
            if node.topology is topology:
                dropped = yield Ask(
                    owners, lambda id: m.Drop(id, key, digest), lambda r: len(r) == len(owners), wait_ms
                )
                if len(dropped) == len(owners) and all(reply.ok for reply in dropped.values()):
                    node.count("collected a tombstone")
                    self._seen.pop(key, None)
        self._busy = False

    def rests(self, sender: str, asked: m.Rests) -> None:
        """Say what lies here under a key, and whether anything is kept for somebody else."""
        node, key = self._node, asked.key
        record, votes = node.replica.seen(key)
        digest = digest_of(key, record) if record is not None and votes else 0
        hints = node.hints.of(key) is not None
        node.send(sender, m.Rested(asked.id, digest.to_bytes(16, "big"), hints), node.replica.after(key))

    def drop(self, sender: str, asked: m.Drop) -> None:
        """Forget a tombstone that is still the same."""
        node, key = self._node, asked.key
        record, votes = node.replica.seen(key)
        ok = (
            votes
            and record is not None
            and is_tombstone(record, node.wall_ms)  # what has expired there has not here, where a clock is behind
            and digest_of(key, record).to_bytes(16, "big") == asked.digest
        )
        if ok and record is not None:
            if isinstance(record, Register):
                node.replica.raise_floor(slot_of(key), record.promised)
            node.replica.keep(key, None, record)
        node.send(sender, m.Dropped(asked.id, ok), node.so_far)
