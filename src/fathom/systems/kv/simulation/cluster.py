"""A cluster of nodes in one world, founded, and looked at from outside when all is over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from random import Random

from fathom.blocks.machine import Corrupt, Store
from fathom.sim.clock import Clock
from fathom.sim.host import Host
from fathom.sim.network import Network
from fathom.sim.world import MS, World

from ..core.identity import founded
from ..core.node import Knobs, Node
from ..core.records import Record, digest_of, unpack
from ..core.replica import MOD
from ..core.topology import Bucket, Member, Topology

__all__ = ["BUCKETS", "HOSTS", "KNOBS", "SPARE", "Cluster"]

BUCKETS = (
    Bucket(prefix=b"", semantics="cas"),
    Bucket(prefix=b"s:", semantics="siblings"),
    Bucket(prefix=b"l:", semantics="lww"),
    Bucket(prefix=b"z:", semantics="lww", sloppy=True),
)
KNOBS = Knobs(
    deadline_ms=400,
    hedge_ms=5,
    ping_ms=200,
    ack_ms=60,
    suspect_ms=600,
    repair_ms=700,
    hint_ttl_ms=1_000,
    grace_ms=2_500,
)
NODES, SPARE = 5, 2
HOSTS = tuple(f"n{at + 1}" for at in range(NODES + SPARE))

Make = Callable[[str, Store, Random], Node]


class Cluster:
    """Nodes `n1` … in racks by turns; every one of them is a founder, so none has forgotten anything."""

    def __init__(
        self,
        world: World,
        *,
        nodes: int = NODES,
        spare: int = SPARE,
        racks: int = 3,
        make: Make | None = None,
        lies: bool = False,
        knobs: Knobs = KNOBS,
        founding: Topology | None = None,
    ) -> None:
        self.world, self.network = world, Network(world)
        drawn = tuple(Member(node=f"n{at + 1}", rack=f"r{at % racks}") for at in range(nodes))
        self.founding = founding or Topology(
            cluster="sim", epoch=1, members=drawn, buckets=BUCKETS, vnodes=16, secret=b"sim"
        )
        members = self.founding.members
        born = make or (lambda me, store, dice: Node(me, store, dice, KNOBS))

        def make_node(me: str, store: Store, dice: Random) -> Node:
            node = born(me, store, dice)
            if node.knobs is KNOBS:  # whoever makes other nodes need not know what is turned in this world
                node.knobs = knobs
            return node

        self.hosts: dict[str, Host] = {}
        self.founders = [member.node for member in members]
        for name in (*self.founders, *(f"n{nodes + at + 1}" for at in range(spare))):
            host = Host(
                world,
                self.network,
                name,
                lambda store, dice, name=name: make_node(name, store, dice),
                clock=Clock(world),
                lies=lies,
            )
            if name in self.founders:
                host.disk.apply(founded(name, self.founding))
            self.hosts[name] = host
        world.run(world.now_ns + 20 * MS)  # the founders' disks are durable
        for host in self.hosts.values():
            host.disk.crash()  # tickets begin anew: those of the founding are no node's
            host.start()

    @property
    def topology(self) -> Topology:
        """The newest that any node knows."""
        known = [host.machine.topology for host in self.hosts.values() if isinstance(host.machine, Node)]
        return max((it for it in known if it is not None), key=lambda it: it.epoch, default=self.founding)

    @property
    def members(self) -> list[str]:
        return list(self.topology.nodes)

    def whole(self, name: str) -> bool:
        """Whether a node knows all that it ever acknowledged, and says so; what has rotted it may not know yet."""
        machine = self.hosts[name].machine
        if not isinstance(machine, Node) or not machine.identity.votes or machine.replica.torn:
            return False
        disk = self.hosts[name].disk
        try:
            return all(
                disk.get(of, key) is not None for of in ("data", "hints", "slots", "system") for key in disk.keys(of)
            )
        except Corrupt:
            return False

    def records(self, name: str) -> dict[bytes, Record]:
        """Return all that lies on a node's disk, and can be believed."""
        disk, found = self.hosts[name].disk, dict[bytes, Record]()
        for at in disk.keys("data"):
            with contextlib.suppress(Corrupt):
                found[at[2:]] = unpack(disk.get("data", at) or b"")
        return found

    def sums(self, name: str) -> dict[int, int]:
        """Return the digest of each slot as a node keeps it."""
        disk = self.hosts[name].disk
        found: dict[int, int] = {}
        for at in disk.keys("slots"):
            with contextlib.suppress(Corrupt):
                found[int.from_bytes(at, "big")] = int.from_bytes(disk.get("slots", at) or b"", "big")
        return found

    def rebuilt_sums(self, name: str) -> dict[int, int]:
        """Return the digest of each slot as it comes out of the records."""
        from fathom.blocks.slots import slot_of

        found: dict[int, int] = {}
        for key, record in self.records(name).items():
            found[slot_of(key)] = (found.get(slot_of(key), 0) + digest_of(key, record)) % MOD
        return {slot: total for slot, total in found.items() if total}
