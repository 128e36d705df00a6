"""What is kept for an owner who cannot be reached: bounded, merged under way and on arrival, and gone in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import messages as m
from .flows import Ask, Flow, Pause
from .records import Record, merged, pack, unpack
from .replica import scan_all

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Hints"]


class Hints:
    """Hints lie under owner, zero byte, key: of one key there is one, which says all that was to be said.

    Created = replayed + expired + superseded + those that are there (`counts`). A hint's age is that of its first
    write; a hint that could outlive the tombstone of what it brings is not delivered.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.held: dict[str, int] = {}
        self.created = self.replayed = self.expired = self.superseded = 0

    def start(self) -> None:
        for at, _ in scan_all(self._node, "hints"):
            owner = at.partition(b"\0")[0].decode()
            self.held[owner] = self.held.get(owner, 0) + 1
        self.created = sum(self.held.values())
        self._node.flows.begin(self._deliver())

    def keep(self, owner: str, key: bytes, record: Record, born_ms: int) -> int | None:
        """Keep a record for its owner; return the ticket, or None where there is no room for more."""
        node, at = self._node, owner.encode() + b"\0" + key
        raw = node.get("hints", at)
        if raw is None:
            if self.held.get(owner, 0) >= node.knobs.hints_max:
                node.count("had no room for a hint")
                return None
            born = born_ms
            self.held[owner] = self.held.get(owner, 0) + 1
        else:
            born, record = int.from_bytes(raw[:8], "big"), merged(unpack(raw[8:]), record)
            self.superseded += 1
        self.created += 1
        node.count("kept a hint")
        return node.write("hints", at, born.to_bytes(8, "big") + pack(record))

    def any_of(self, key: bytes) -> bool:
        """Whether anything is kept of a key, for whomever."""
        return any(self._node.get("hints", owner.encode() + b"\0" + key) is not None for owner in self.held)

    def waiting_for(self, owner: str) -> int:
        return self.held.get(owner, 0)

    def _deliver(self) -> Flow:
        """Bring each owner that is there again what was kept for it, so many at a time."""
        node = self._node
        while True:
            yield Pause(node.knobs.ping_ms)
            for owner in sorted(self.held):
                if not node.membership.answers(owner):
                    continue
                first = owner.encode() + b"\0"
                for at, raw in node.scan("hints", first, owner.encode() + b"\1", node.knobs.hints_per_round):
                    yield from self._bring(owner, at, raw)

    def _bring(self, owner: str, at: bytes, raw: bytes) -> Flow:
        node, key = self._node, at.partition(b"\0")[2]
        born, record = int.from_bytes(raw[:8], "big"), unpack(raw[8:])
        if node.wall_ms - born > node.knobs.hint_ttl_ms:
            self.expired += 1
            node.count("let a hint expire")
            self._drop(owner, at)
            return
        topology = node.topology
        if topology is None or owner not in topology.owners_of(key).all:  # it left: those who came own the key now
            self.expired += 1
            self._drop(owner, at)
            return
        replies = yield Ask(
            [owner], lambda id: m.Merge(id, key, record, born), lambda r: len(r) == 1, node.knobs.deadline_ms
        )
        answer = replies.get(owner)
        if type(answer) is m.Merged and answer.ok and node.get("hints", at) == raw:
            self.replayed += 1
            node.count("replayed a hint")
            self._drop(owner, at)

    def _drop(self, owner: str, at: bytes) -> None:
        self.held[owner] -= 1
        if not self.held[owner]:
            del self.held[owner]
        self._node.write("hints", at, None)
