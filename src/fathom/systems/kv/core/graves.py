"""Tombstones go when every owner has them and nobody keeps anything older: then nothing can bring the key back.

So goes, from the siblings of a key, what is known of an incarnation that is over: when none of its values is left.

Four things could: an owner that never heard of the deletion (all are asked, and must answer the same), a former owner
that has not let go of what it kept (no member else may have anything), a hint (all are asked whether they keep one),
and a message that is still under way (asked twice, with time between; and what is older than half a tombstone's grace
is refused wherever it arrives). See BUG-222 of the guides, and Riak's, Cassandra's and ScyllaDB's resurrections in the
dossier.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from fathom.blocks import dotted
from fathom.blocks.ballots import NEVER, Register
from fathom.blocks.slots import slot_of

from . import messages as m
from .calls import current
from .flows import Ask, Flow, Pause
from .records import Last, Record, Siblings, content_of, digest_of
from .topology import Topology

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Graves", "is_tombstone"]

SEEN_MAX = 100_000
PAGE = 64  # tombstones that are asked for at a time
NOTHING = bytes(16)  # the digest of no record


def is_tombstone(record: Record, wall_ms: int) -> bool:
    """Whether a record says that there is nothing (any more)."""
    if isinstance(record, Last):
        return record.value is None or 0 < record.expires_ms <= wall_ms
    if isinstance(record, Register):
        return record.accepted != NEVER and current(content_of(record.value), wall_ms) is None
    return not dotted.Siblings.decode(record.state).values()


class Graves:
    """The first owner of a key sees to what may go. How old that is counts from when this life first saw it."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._seen: dict[bytes, tuple[int, int]] = {}  # key → when it was first seen, and its digest
        self._due: dict[bytes, bytes] = {}  # key → its digest, when it is old enough
        self._busy = False

    def changed(self) -> None:
        """Let go of what another sees to in the new topology."""
        node, topology = self._node, self._node.topology
        assert topology is not None
        self._seen = {key: seen for key, seen in self._seen.items() if topology.owners_of(key).now[0] == node.me}

    def _left(self, record: Record) -> Record | None:
        """Return what must stay of a record once every owner has it: perhaps all."""
        node = self._node
        if is_tombstone(record, node.wall_ms):
            return None
        if isinstance(record, Siblings) and node.topology is not None:
            entries = dotted.Siblings.decode(record.state).entries
            members, voter = node.topology.by_name, node.identity.voter
            kept = tuple(it for it in entries if it[2] or (it[0].node in members and not voter.gone((it[0],))))
            if len(kept) < len(entries):
                return Siblings(dotted.Siblings(kept).encode())
        return record

    def look(self, key: bytes, record: Record) -> None:
        """Note what lies here and may go, and begin to collect it when it is old enough."""
        node, topology = self._node, self._node.topology
        if (
            topology is None
            or topology.owners_of(key).now[0] != node.me
            or topology.then
            or not node.membership.knows_the_time
        ):
            return
        if self._left(record) is record:
            self._seen.pop(key, None)
            return
        digest, now_ms = digest_of(key, record), node.now.mono_ms
        since, known = self._seen.get(key, (now_ms, digest))
        if known != digest or key not in self._seen:
            if len(self._seen) < SEEN_MAX:
                self._seen[key] = now_ms, digest
        elif now_ms - since >= node.knobs.grace_ms:
            self._due[key] = digest.to_bytes(16, "big")
            if not self._busy:
                self._busy = True
                node.flows.begin(self._collect())

    def _collect(self) -> Flow:
        node = self._node
        while self._due:
            topology, page = node.topology, dict(islice(self._due.items(), PAGE))
            for key in page:
                del self._due[key]
            assert topology is not None
            for again in (False, True):
                if again and page:
                    yield Pause(2 * node.knobs.deadline_ms)
                page = yield from self._rest_everywhere(page, topology)
            for key, digest in page.items():
                if node.topology is topology:
                    yield from self._drop(key, digest, topology.owners_of(key).all)
        self._busy = False

    def _rest_everywhere(self, page: dict[bytes, bytes], topology: Topology) -> Flow:
        """Return those of some tombstones that every owner has, and of which nobody else keeps anything: no hint, and
        nothing of the time before a slot moved, which would be an owner's again when it moves back."""
        nodes, keys = topology.nodes, tuple(page)
        replies = yield Ask(
            nodes if keys else (),
            lambda id: m.Rests(id, keys),
            lambda r: len(r) == len(nodes),
            self._node.knobs.deadline_ms,
        )
        if len(replies) < len(nodes):
            return {}
        return {
            key: digest
            for at, (key, digest) in enumerate(page.items())
            if all(
                replies[who].digests[at] == (digest if who in topology.owners_of(key).all else NOTHING) for who in nodes
            )
            and not any(reply.hints[at] for reply in replies.values())
        }

    def _drop(self, key: bytes, digest: bytes, owners: tuple[str, ...]) -> Flow:
        node = self._node
        dropped = yield Ask(
            owners, lambda id: m.Drop(id, key, digest), lambda r: len(r) == len(owners), node.knobs.deadline_ms
        )
        if len(dropped) == len(owners) and all(reply.ok for reply in dropped.values()):
            node.count("collected a tombstone")
            self._seen.pop(key, None)

    def rests(self, sender: str, asked: m.Rests) -> None:
        """Say what lies here under some keys, and of which anything is kept for somebody else."""
        node, digests, after = self._node, list[bytes](), 0
        for key in asked.keys:
            record, votes = node.replica.seen(key)
            digest = digest_of(key, record) if record is not None and votes else 0
            digests.append(digest.to_bytes(16, "big"))
            after = max(after, node.replica.after(key))
        hints = tuple(node.hints.of(key) is not None for key in asked.keys)
        node.send(sender, m.Rested(asked.id, tuple(digests), hints), after)

    def drop(self, sender: str, asked: m.Drop) -> None:
        """Forget what may go of a record that is still the same."""
        node, key = self._node, asked.key
        record, votes = node.replica.seen(key)
        ok = False
        if votes and record is not None and digest_of(key, record).to_bytes(16, "big") == asked.digest:
            left = self._left(record)  # what has expired there has not here, where a clock is behind
            ok = left is not record
            if ok and isinstance(record, Register):
                node.replica.raise_floor(slot_of(key), record.promised)
            if ok:
                node.replica.keep(key, left, record)
        node.send(sender, m.Dropped(asked.id, ok), node.so_far)
