"""Who this node is: its incarnation, whether its memory may be trusted with a vote, and the topology that it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fathom.blocks.ballots import Voter
from fathom.blocks.clocks import HybridClock
from fathom.blocks.machine import Write

from . import messages as m
from .topology import Topology

if TYPE_CHECKING:
    from .node import Node

__all__ = ["Identity", "founded"]

_decode_topology = msgspec.msgpack.Decoder(Topology).decode
_encode = msgspec.msgpack.Encoder().encode


def founded(node: str, topology: Topology) -> list[Write]:
    """Return what the disk of a founding member holds before its first start: nothing was forgotten."""
    return [
        ("meta", b"topology", _encode(topology)),
        ("meta", b"node", node.encode()),
        ("meta", b"incarnation", _number(1)),
        ("meta", b"whole", b"1"),
    ]


class Identity:
    """An *incarnation* is one memory: it changes when the disk was empty, restored, or lost a promise.

    A *life* is one run of the process. What another node promised in an earlier incarnation does not stand any more:
    the `voter` has noted the newest of each that this node was told of.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.incarnation = 0
        self.life = 0
        self.whole = False  # whether this node knows all that it ever acknowledged
        self.voter = Voter(node.me, 0)

    @property
    def votes(self) -> bool:
        """Whether this node counts when it says what it knows."""
        return self.whole

    def start(self) -> None:
        node = self._node
        raw = node.get("meta", b"topology")
        if raw is not None:
            node.topology = _decode_topology(raw)
        self.incarnation = _read(node.get("meta", b"incarnation"))
        self.whole = node.get("meta", b"whole") is not None
        self.life = _read(node.get("meta", b"life")) + 1
        node.write("meta", b"life", _number(self.life))
        if not self.incarnation:
            self.renew(whole=False)
        ceiling = _read(node.get("meta", b"ceiling"))
        node.clock = HybridClock(ceiling, ahead_ms_max=2 * node.knobs.ahead_ms)
        noted = node.scan("meta", b"noted/", b"noted0", 10_000)
        self.voter = Voter(node.me, self.incarnation, ((key[6:].decode(), _read(value)) for key, value in noted))

    def lives(self, life: int) -> None:
        """This life is at least the one that others know of."""
        if life > self.life:
            self.life = life
            self._node.write("meta", b"life", _number(life))

    def renew(self, *, whole: bool, above: int = 0) -> int:
        """Begin a new incarnation, above all that anybody may know of; return its ticket."""
        node = self._node
        self.incarnation = max(self.incarnation, above, node.now.wall_ms) + 1
        self.whole = whole
        self.voter = Voter(node.me, self.incarnation, (who for who in self.voter.noted if who[0] != node.me))
        node.write("meta", b"whole", b"1" if whole else None)
        return node.write("meta", b"incarnation", _number(self.incarnation))

    def is_whole(self) -> None:
        self.whole = True
        self._node.write("meta", b"whole", b"1")

    def rejoins(self, sender: str, asked: m.Rejoin) -> None:
        """Note the new incarnation of a node whose memory is another now."""
        node = self._node
        self.note(sender, asked.incarnation)
        node.send(sender, m.Noted(asked.id, self.voter.noted), node.so_far)

    def note(self, who: str, incarnation: int) -> None:
        """Let nothing count any more that another said in an earlier incarnation, for good."""
        if who != self._node.me and self.voter.note(who, incarnation):
            self._node.write("meta", b"noted/" + who.encode(), _number(incarnation))

    def _forget_all(self) -> None:
        """Begin like an empty disk, under an incarnation that is above all earlier ones."""
        node = self._node
        for family in ("data", "slots", "hints", "torn", "floors", "system"):
            for key in node.replica.keys(family):
                node.write(family, key, None)
        self.renew(whole=False)
        node.replica.forget_all()
        node.hints.held.clear()
        node.count("forgot all that it had kept as an earlier member")

    def told(self, topology: Topology) -> None:
        """Take a topology that is newer than ours, for good."""
        node = self._node
        known = node.topology
        if known is not None and (topology.cluster != known.cluster or topology.epoch <= known.epoch):
            return
        if known is not None and _since(known, node.me) != _since(topology, node.me):
            self._forget_all()  # this node was let go meanwhile: what lies here may have been deleted since
        node.topology = topology
        node.write("meta", b"topology", _encode(topology))
        node.write("meta", b"node", node.me.encode())
        node.membership.changed()
        node.coordinator.changed()
        node.rebuild.start()


def _since(topology: Topology, who: str) -> int | None:
    member = topology.by_name.get(who)
    return None if member is None else member.since


def _number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def _read(raw: bytes | None) -> int:
    return 0 if raw is None else int.from_bytes(raw, "big")
