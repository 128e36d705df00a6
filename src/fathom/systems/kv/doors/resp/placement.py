"""Where keys lie, as clients of Redis Cluster want to be told; worked out once for each topology."""

from __future__ import annotations

import hashlib
from itertools import groupby
from typing import NamedTuple

from fathom.blocks.slots import SLOTS, slot_of

from ...core.topology import Member, Semantics, Topology
from .command import Store

__all__ = ["Address", "Placement", "Stretch", "id_of"]


class Address(NamedTuple):
    host: str
    port: int


class Stretch(NamedTuple):
    """Slots from first to last that clients ask one node for."""

    first: int
    last: int
    node: str
    at: Address


def id_of(node: str) -> str:
    """Return the forty hexadecimal digits by which a node is known to clients."""
    return hashlib.blake2b(node.encode(), digest_size=20).hexdigest()


class Placement:
    """What one topology says, seen from one node. Clients are told of it with those in front that answer."""

    def __init__(self, store: Store, topology: Topology) -> None:
        self._store, self.topology = store, topology
        kinds: set[Semantics] = {bucket.semantics for bucket in topology.buckets}
        self._only: Semantics | None = kinds.pop() if len(kinds) == 1 else None
        self._mine: dict[int, bytearray] = {}
        self._told: tuple[tuple[object, ...], list[Stretch]] | None = None

    def semantics(self, key: bytes) -> Semantics:
        return self._only or self.topology.bucket(key).semantics

    def mine(self, key: bytes, slot: int) -> bool:
        """Whether this node is an owner of a key, now or after the change that is under way."""
        topology = self.topology
        n = topology.buckets[0].n if len(topology.buckets) == 1 else topology.bucket(key).n
        owned = self._mine.get(n)
        if owned is None:
            me = self._store.me
            owned = self._mine[n] = bytearray(me in topology.owners(slot, n).all for slot in range(SLOTS))
        return bool(owned[slot])

    def first(self, key: bytes) -> Address | None:
        """Return where a client should ask for a key: the first owner that answers and has a door, if there is one.

        Where none answers this node is as good as any: a fallback can take what a sloppy bucket promises.
        """
        owners = tuple(node for node in self.topology.owners_of(key).now if self._store.alive(node))
        first = self._first(owners, None)
        return first[1] if first is not None else None

    def address(self, node: str) -> Address | None:
        member = self.topology.by_name.get(node)
        return _address(member) if member is not None else None

    def stretches(self, here: Address | None) -> list[Stretch]:
        """Return the slots in order, each with the first of its owners that answers, in as few stretches as can be.

        `here`: where the client found this node, which need not know that by itself. The other owners are not told of:
        each node is the first owner of some slots and another owner of others, and clients (redis-py 8 among them)
        take a node for a primary or for a replica, by what they were told last.
        """
        topology = self.topology
        if self.address(self._store.me) is not None:
            here = None
        living = (here, *(self._store.alive(node) for node in topology.nodes))
        if self._told is None or self._told[0] != living:
            owners = [topology.owners(slot, topology.n_max).now for slot in range(SLOTS)]
            of = {nodes: self._first(nodes, here) for nodes in set(owners)}
            firsts = [of[nodes] for nodes in owners]
            found: list[Stretch] = []
            for first, slots in groupby(range(SLOTS), key=firsts.__getitem__):
                run = list(slots)
                if first is not None:
                    found.append(Stretch(run[0], run[-1], *first))
            self._told = (living, found)
        return self._told[1]

    def _first(self, owners: tuple[str, ...], here: Address | None) -> tuple[str, Address] | None:
        for node in self._living(owners):
            address = self.address(node) or (here if node == self._store.me else None)
            if address is not None:
                return node, address
        return None

    def _living(self, nodes: tuple[str, ...]) -> list[str]:
        return sorted(nodes, key=lambda node: not self._store.alive(node))


def _address(member: Member) -> Address | None:
    host, _, port = member.resp.rpartition(":")
    return Address(host.strip("[]"), int(port)) if port.isdigit() else None


def one_slot(keys: list[bytes]) -> int | None:
    """Return the slot that all keys are of; None: they are of several."""
    slot = slot_of(keys[0])
    return slot if all(slot_of(key) == slot for key in keys) else None
