"""Who is in the cluster, which of them keep a slot, and how many of those are enough; versioned by an epoch."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Literal, get_args

import msgspec

from fathom.blocks import ring
from fathom.blocks.slots import slot_of

__all__ = ["PLACEMENTS", "SYSTEM", "Bucket", "Member", "Owners", "Placement", "Topology", "epoch_key", "placing"]

Semantics = Literal["cas", "siblings", "lww"]
Placement = Literal["modulo", "ring", "vnodes", "rendezvous", "jump"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)


SYSTEM = b"\0fathom\0"  # keys that begin with it are the cluster's own, and no client's


def epoch_key(epoch: int) -> bytes:
    """Return the key of the register that decides an epoch."""
    return SYSTEM + b"epoch/%d" % epoch


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """All keys that begin with `prefix`, and what they promise: one semantics, never a mix."""

    prefix: bytes = b""
    semantics: Semantics = "cas"
    n: int = 3
    r: int = 2
    w: int = 2
    pr: int = 0  # of `r`, how many must be owners of the key (the others may be fallbacks)
    pw: int = 0
    sloppy: bool = False  # fallbacks may stand in for owners that are down; they never count toward pr and pw
    repair: Literal["asynchronous", "blocking", "none"] = "asynchronous"

    @property
    def can_be(self) -> bool:
        """Whether it asks for what its replicas can give."""
        return all(1 <= count <= self.n for count in (self.r, self.w)) and all(
            0 <= count <= self.n for count in (self.pr, self.pw)
        )

    @property
    def lasting(self) -> tuple[bytes, str, int]:
        """What a bucket is for good: data lie where its replicas are, in the form that its semantics give them."""
        return self.prefix, self.semantics, self.n


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A node that is in the cluster until a command removes it: down is not removed."""

    node: str
    rack: str = ""
    peer: str = ""  # host:port for other nodes
    resp: str = ""  # host:port for Redis clients
    http: str = ""
    since: int = 0  # the epoch in which it came: one that left and comes again is another member


class Owners(msgspec.Struct, frozen=True):
    """Who keeps a slot: now, and after a change that is under way (the same where none is)."""

    now: tuple[str, ...]
    then: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return self.now if self.then == self.now else (*self.now, *(node for node in self.then if node not in self.now))

    def enough(self, who: Collection[str], count: int) -> bool:
        """Whether `who` are at least `count` of the owners: of both sets, while one replaces the other."""
        if sum(node in who for node in self.now) < min(count, len(self.now)):
            return False
        return self.then == self.now or sum(node in who for node in self.then) >= min(count, len(self.then))

    def majority(self, who: Collection[str]) -> bool:
        """Whether `who` are more than half of the owners: of both sets, while one replaces the other."""
        if 2 * sum(node in who for node in self.now) <= len(self.now):
            return False
        return self.then == self.now or 2 * sum(node in who for node in self.then) > len(self.then)


class Topology(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One version of who is there. A higher epoch replaces a lower one, everywhere and for good."""

    cluster: str
    epoch: int
    members: tuple[Member, ...]
    then: tuple[Member, ...] = ()  # the members after the change that is under way
    placement: Placement = "vnodes"
    vnodes: int = 64
    then_placement: Placement | None = None  # after the change that is under way, where that is another
    then_vnodes: int = 0
    buckets: tuple[Bucket, ...] = (Bucket(),)
    secret: bytes = b""  # drawn when the cluster is founded: contexts are sealed with it

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Everybody, in the order of names, those who come and those who go as well."""
        return tuple(sorted({member.node for member in (*self.members, *self.then)}))

    @cached_property
    def by_name(self) -> Mapping[str, Member]:
        return {member.node: member for member in (*self.members, *self.then)}

    @cached_property
    def _prefixes(self) -> list[Bucket]:
        return sorted(self.buckets, key=lambda bucket: -len(bucket.prefix))

    @property
    def _placed(self) -> ring.Placement:
        return placing(self.placement, self.vnodes)

    @property
    def _placed_then(self) -> ring.Placement:
        return placing(self.then_placement or self.placement, self.then_vnodes or self.vnodes)

    @property
    def placed_as(self) -> tuple[Placement, int]:
        """Where slots lie, whoever the members are; how many places a node has matters to one placement alone."""
        return self.placement, self.vnodes if self.placement == "vnodes" else 1

    @property
    def undone(self) -> Topology:
        """What is when the change that is under way is taken back: until it ends, the old owners have it all."""
        return msgspec.structs.replace(self, epoch=self.epoch + 1, then=(), then_placement=None, then_vnodes=0)

    @property
    def ended(self) -> Topology:
        """What is when the change that is under way is done."""
        return msgspec.structs.replace(
            self,
            epoch=self.epoch + 1,
            members=self.then,
            then=(),
            placement=self.then_placement or self.placement,
            vnodes=self.then_vnodes or self.vnodes,
            then_placement=None,
            then_vnodes=0,
        )

    @cached_property
    def _walks(self) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Slot → everybody in the order in which they would keep it, before and after the change under way."""
        now = _walk(self.members, self._placed)
        return now, _walk(self.then, self._placed_then) if self.then else now

    @cached_property
    def _owners(self) -> dict[tuple[int, int], Owners]:
        return {}

    @cached_property
    def alone(self) -> str | None:
        """The node that is the whole cluster, if one is."""
        return self.members[0].node if len(self.members) == 1 and not self.then else None

    def bucket(self, key: bytes) -> Bucket:
        """Return the bucket of a key: the one with the longest prefix of it."""
        for bucket in self._prefixes:
            if key.startswith(bucket.prefix):
                return bucket
        raise AssertionError("a topology has a bucket for every key")

    def owners(self, slot: int, n: int) -> Owners:
        found = self._owners.get((slot, n))
        if found is None:
            now, then = self._walks
            found = self._owners[slot, n] = Owners(now[slot][:n], then[slot][:n])
        return found

    def owners_of(self, key: bytes) -> Owners:
        if key.startswith(SYSTEM):
            return self._everybody
        return self.owners(slot_of(key), self.bucket(key).n)

    @cached_property
    def _everybody(self) -> Owners:
        """Who decides the next epoch: all members, before and after."""
        now = tuple(member.node for member in self.members)
        return Owners(now, tuple(member.node for member in self.then) or now)

    def walk(self, slot: int) -> tuple[str, ...]:
        """Return everybody in the order in which they would keep a slot: after the owners come the fallbacks."""
        now, then = self._walks
        return (*now[slot], *(node for node in then[slot] if node not in now[slot]))

    def slots_of(self, node: str) -> frozenset[int]:
        """Return the slots of which a node is an owner in some bucket, now or then."""
        n = self.n_max
        now = _kept(_names(self.members), self._placed, n).get(node, frozenset())
        return now | _kept(_names(self.then), self._placed_then, n).get(node, frozenset()) if self.then else now

    def slots_before(self, node: str) -> frozenset[int]:
        """Return the slots of which a node is an owner before the change that is under way."""
        return _kept(_names(self.members), self._placed, self.n_max).get(node, frozenset())

    @cached_property
    def n_max(self) -> int:
        return max(bucket.n for bucket in self.buckets)


def placing(placement: Placement, vnodes: int) -> ring.Placement:
    """Return the way to place slots that goes by a name; `vnodes` are the tokens of a node where it has several."""
    if placement == "vnodes":
        return ring.Ring(vnodes)
    return {"modulo": ring.Modulo(), "ring": ring.Ring(1), "rendezvous": ring.Rendezvous(), "jump": ring.Jump()}[
        placement
    ]


def _names(members: tuple[Member, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((member.node, member.rack) for member in members)


@functools.lru_cache(maxsize=64)
def _table(members: tuple[tuple[str, str], ...], how: ring.Placement) -> list[tuple[str, ...]]:
    placed = ring.table(how, [ring.Member(node, rack) for node, rack in members], len(members))
    return [tuple(placed.nodes[at] for at in row) for row in placed.owners.tolist()]


@functools.lru_cache(maxsize=64)
def _kept(members: tuple[tuple[str, str], ...], how: ring.Placement, n: int) -> dict[str, frozenset[int]]:
    kept: dict[str, set[int]] = {node: set() for node, _ in members}
    for slot, walk in enumerate(_table(members, how)):
        for node in walk[:n]:
            kept[node].add(slot)
    return {node: frozenset(slots) for node, slots in kept.items()}


def _walk(members: tuple[Member, ...], how: ring.Placement) -> list[tuple[str, ...]]:
    return _table(_names(members), how)
