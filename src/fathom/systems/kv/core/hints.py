"""What is kept for an owner who cannot be reached: bounded, merged under way and on arrival, and gone in time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from fathom.blocks.machine import Corrupt

from . import messages as m
from .flows import Ask, Flow, Pause
from .records import Record, merged, pack, unpack
from .replica import scan_all

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Hints"]


class Hints:
    """Hints lie under owner, zero byte, key: of one key there is one, which says all that was to be said.

    A hint's age is that of its first write; a hint that could outlive the tombstone of what it brings is not delivered.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.held: dict[str, int] = {}

    def start(self) -> None:
        lost: list[bytes] = []
        there = [at for at, _ in scan_all(self._node, "hints", corrupt=lost.append)]
        for at in (*there, *lost):
            owner = at.partition(b"\0")[0].decode()
            self.held[owner] = self.held.get(owner, 0) + 1
        for at in lost:
            self._rotten(at)
        self._node.flows.begin(self._deliver())

    def keep(self, owner: str, key: bytes, record: Record, born_ms: int) -> int | None:
        """Keep a record for its owner; return the ticket, or None where there is no room for more."""
        node, at = self._node, owner.encode() + b"\0" + key
        raw = self._get(at)
        if raw is None:
            if self.held.get(owner, 0) >= node.knobs.hints_max:
                node.count("had no room for a hint")
                return None
            born = born_ms
            self.held[owner] = self.held.get(owner, 0) + 1
        else:
            born, record = int.from_bytes(raw[:8], "big"), merged(unpack(raw[8:]), record)
        node.count("kept a hint")
        ticket = node.write("hints", at, born.to_bytes(8, "big") + pack(record))
        node.replica.wrote(key, ticket)
        return ticket

    def of(self, key: bytes) -> Record | None:
        """Return what is kept of a key, for whomever: all of it together."""
        known: Record | None = None
        for owner in sorted(self.held):
            raw = self._get(owner.encode() + b"\0" + key)
            if raw is not None:
                known = merged(known, unpack(raw[8:]))
        return known

    def _get(self, at: bytes) -> bytes | None:
        try:
            return self._node.get("hints", at)
        except Corrupt:
            self._rotten(at)
            return None

    def _rotten(self, at: bytes) -> None:
        """Let go of a hint that is not what was written: it was a copy, and repair brings what it would have."""
        self._node.count("let go of a rotten hint")
        self._drop(at.partition(b"\0")[0].decode(), at)

    def _deliver(self) -> Flow:
        """Bring each owner that is there again what was kept for it, so many at a time."""
        node = self._node
        while True:
            yield Pause(node.knobs.ping_ms)
            for owner in sorted(self.held):
                if not node.membership.answers(owner):
                    continue
                for at, raw in self._first(owner):
                    if not (yield from self._bring(owner, at, raw)):
                        break  # it has fallen silent

    def _first(self, owner: str) -> list[tuple[bytes, bytes]]:
        lost: list[bytes] = []
        kept = scan_all(self._node, "hints", owner.encode() + b"\0", owner.encode() + b"\1", corrupt=lost.append)
        found = list(islice(kept, self._node.knobs.hints_per_round))
        for at in lost:
            self._rotten(at)
        return found

    def _bring(self, owner: str, at: bytes, raw: bytes) -> Flow:
        node, key = self._node, at.partition(b"\0")[2]
        born, record = int.from_bytes(raw[:8], "big"), unpack(raw[8:])
        if node.wall_ms - born > node.knobs.hint_ttl_ms:
            node.count("let a hint expire")
            self._drop(owner, at)
            return True
        topology = node.topology
        if topology is None:
            return True
        owners = topology.owners_of(key).all
        # It may be the only copy: who keeps the key now copied what lay at its owners, and this lay at none of them.
        to = [owner] if owner in owners else list(owners)
        replies = yield Ask(
            to, lambda id: m.Merge(id, key, record, born), lambda r: len(r) == len(to), node.knobs.deadline_ms
        )
        taken = all(isinstance(replies.get(who), m.Merged) and replies[who].ok for who in to)
        if taken and self._get(at) == raw:
            node.count("replayed a hint")
            self._drop(owner, at)
        return len(replies) == len(to)

    def _drop(self, owner: str, at: bytes) -> None:
        if owner in self.held:  # not if this node was let go meanwhile, and has forgotten everything
            self.held[owner] -= 1
            if not self.held[owner]:
                del self.held[owner]
        self._node.write("hints", at, None)
