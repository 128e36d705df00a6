"""Which nodes hold which slot: five ways to place, each with the same question and answer, and what a change moves.

A placement says in which order a slot would ask the nodes. The first `n` of that order hold it, but racks first: a
node of a rack that is there already waits until every rack is. So a longer list begins with the shorter one, and what
comes after `n` are the fallbacks, in the order in which everybody tries them.

* `Ring`: consistent hashing (Karger et al. 1997) on 2^64 positions with virtual nodes (DeCandia et al., *Dynamo*,
  2007); one virtual node each is the ring as it was first drawn.
* `Modulo`: the slot's number modulo the number of nodes, which moves nearly everything when a node comes.
* `Rendezvous`: highest random weight (Thaler and Ravishankar 1998), weighted as Schindelhauer and Schomaker (2005) do.
* `Jump`: Lamping and Veach, *A Fast, Minimal Memory, Consistent Hash Algorithm* (2014); replicas by drawing again, so
  that of those a little more moves than must.

Each is here twice: `table` for all slots at once, and `order` for one slot in plain Python, which says the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from fathom.blocks.slots import SLOTS

__all__ = [
    "POSITIONS",
    "Jump",
    "Member",
    "Modulo",
    "Placement",
    "Rendezvous",
    "Ring",
    "Table",
    "imbalance",
    "jump",
    "moved",
    "position_of",
    "preferences",
    "table",
    "token_of",
]

POSITIONS = 1 << 64
_MASK = POSITIONS - 1
_STEP = POSITIONS // SLOTS
_SLOTS = np.arange(SLOTS, dtype=np.uint64)

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class Member(NamedTuple):
    """A node that slots are placed on. `weight`: its share of them, beside the others'."""

    node: str
    rack: str = ""
    weight: float = 1.0


class Placement(Protocol):
    """A way to place slots on nodes."""

    def order(self, slot: int, members: Sequence[Member], n: int) -> list[int]:
        """Return which members a slot asks, by their index, nearest first: as many as tell the first `n`."""
        ...

    def ranks(self, members: Sequence[Member], n: int) -> Numbers:
        """Return the same for all slots: a row a slot, a column a member, the lowest number asked first."""
        ...


class Table(NamedTuple):
    """Who holds each slot: a row a slot, the index of a node in each column, the most preferred first."""

    nodes: tuple[str, ...]
    owners: Numbers

    def of(self, slot: int) -> list[str]:
        """Return the preference list of a slot."""
        return [self.nodes[at] for at in self.owners[slot]]


def preferences(placement: Placement, slot: int, members: Sequence[Member], n: int) -> list[str]:
    """Return the `n` distinct nodes that a slot prefers, of distinct racks as far as there are so many.

    >>> members = [Member("a", "north"), Member("b", "north"), Member("c", "south")]
    >>> preferences(Modulo(), 0, members, 2), preferences(Modulo(), 0, members, 3)
    (['a', 'c'], ['a', 'c', 'b'])
    """
    _check(members, n)
    first: list[int] = []
    rest: list[int] = []
    racks: set[str] = set()
    for at in placement.order(slot, members, n):
        (rest if members[at].rack in racks else first).append(at)
        racks.add(members[at].rack)
    return [members[at].node for at in (*first, *rest)[:n]]


def table(placement: Placement, members: Sequence[Member], n: int) -> Table:
    """Return the preference lists of all slots: see `preferences`."""
    _check(members, n)
    asked = np.argsort(placement.ranks(members, n), axis=1, kind="stable")
    names = sorted({member.rack for member in members})
    if len(names) > 1:
        racks = np.array([names.index(member.rack) for member in members])[asked]
        again = np.zeros(asked.shape, dtype=bool)  # whether its rack was there before
        for rack in range(len(names)):
            here = racks == rack
            again |= here & (np.cumsum(here, axis=1) > 1)
        asked = np.take_along_axis(asked, np.argsort(again, axis=1, kind="stable"), axis=1)
    return Table(tuple(member.node for member in members), asked[:, :n].astype(np.int32))


def moved(before: Table, after: Table) -> int:
    """Return how many copies of slots a change moves: those that a node holds after and did not before.

    >>> three, four = ([Member(f"n{at}") for at in range(count)] for count in (3, 4))
    >>> copies = SLOTS // 4                                 # the least that a fourth equal node can take of one each
    >>> [round(moved(table(it, three, 1), table(it, four, 1)) / copies, 1) for it in (Modulo(), Rendezvous(), Jump())]
    [3.0, 1.0, 1.0]
    """
    number = {node: at for at, node in enumerate(dict.fromkeys((*before.nodes, *after.nodes)))}
    was = np.array([number[node] for node in before.nodes])[before.owners]
    now = np.array([number[node] for node in after.nodes])[after.owners]
    kept = (now[:, :, None] == was[:, None, :]).any(axis=2)
    return int((~kept).sum())


def imbalance(table: Table, members: Sequence[Member] = ()) -> float:
    """Return how many times its fair share the fullest node holds: 1.0 is even. Fair is by weight, if given."""
    held = np.bincount(table.owners.ravel(), minlength=len(table.nodes))
    weights = np.array([member.weight for member in members] or [1.0] * len(table.nodes))
    return float((held / (held.sum() * weights / weights.sum())).max())


def _check(members: Sequence[Member], n: int) -> None:
    if not 1 <= n <= len(members):
        raise ValueError(f"{n} distinct nodes cannot be had of {len(members)}")
    if len({member.node for member in members}) < len(members):
        raise ValueError(f"a node is there twice: {', '.join(member.node for member in members)}")
    if not all(member.weight > 0 and math.isfinite(member.weight) for member in members):
        raise ValueError("a weight is a positive number")


# The ring ------------------------------------------------------------------------------------------------------------


def position_of(slot: int) -> int:
    """Return where on the ring a slot stands."""
    return slot * _STEP


def token_of(node: str, n: int) -> int:
    """Return where on the ring the `n`-th virtual node of a node stands."""
    return int.from_bytes(blake2b(f"{node}/{n}".encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Ring:
    """Clockwise from the slot's position to each node's next token. A weight is a share of `vnodes`."""

    vnodes: int = 128

    def tokens(self, member: Member) -> list[int]:
        """Return where a node stands on the ring."""
        return sorted(token_of(member.node, n) for n in range(max(1, round(self.vnodes * member.weight))))

    def order(self, slot: int, members: Sequence[Member], n: int) -> list[int]:
        start = position_of(slot)
        away = [min((token - start) % POSITIONS for token in self.tokens(member)) for member in members]
        return sorted(range(len(members)), key=lambda at: (away[at], members[at].node))

    def ranks(self, members: Sequence[Member], n: int) -> Numbers:
        starts = _SLOTS * np.uint64(_STEP)
        away = np.empty((SLOTS, len(members)), dtype=np.uint64)
        for at, member in enumerate(members):
            tokens = np.array(self.tokens(member), dtype=np.uint64)
            away[:, at] = tokens[np.searchsorted(tokens, starts) % len(tokens)] - starts  # modulo 2^64 by itself
        return away


# The others ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Modulo:
    """The slot's number modulo the number of nodes, and on from there. Weights are not heeded."""

    def order(self, slot: int, members: Sequence[Member], n: int) -> list[int]:
        return [(slot + at) % len(members) for at in range(len(members))]

    def ranks(self, members: Sequence[Member], n: int) -> Numbers:
        return (np.arange(len(members)) - np.arange(SLOTS)[:, None]) % len(members)


@dataclass(frozen=True)
class Rendezvous:
    """Every node draws a number for the slot, and the lowest has it: exponential, so that weights are exact shares."""

    def order(self, slot: int, members: Sequence[Member], n: int) -> list[int]:
        drawn = [-math.log(((_mixed(slot ^ _seed(member)) >> 11) + 0.5) / 2**53) / member.weight for member in members]
        return sorted(range(len(members)), key=drawn.__getitem__)

    def ranks(self, members: Sequence[Member], n: int) -> Numbers:
        seeds = np.array([_seed(member) for member in members], dtype=np.uint64)
        drawn = (_mixed_all(_SLOTS[:, None] ^ seeds) >> np.uint64(11)).astype(np.float64)
        return -np.log((drawn + 0.5) / 2**53) / np.array([member.weight for member in members])


@dataclass(frozen=True)
class Jump:
    """Each slot draws buckets until there are enough; nodes come and go at the end only. Weights are not heeded."""

    def order(self, slot: int, members: Sequence[Member], n: int) -> list[int]:
        found: dict[int, str] = {}  # with its rack
        enough = min(n, len({member.rack for member in members}))
        draw = 0
        while len(found) < n or len({*found.values()}) < enough:
            at = jump(_mixed(slot << 32 | draw), len(members))
            found.setdefault(at, members[at].rack)
            draw += 1
        return list(found)

    def ranks(self, members: Sequence[Member], n: int) -> Numbers:
        names = sorted({member.rack for member in members})
        rack = np.array([names.index(member.rack) for member in members])
        drawn = np.full((SLOTS, len(members)), np.iinfo(np.int64).max)  # never drawn: never needed
        held = np.zeros((SLOTS, len(names)), dtype=bool)
        left, draw = np.arange(SLOTS), 0
        while len(left):
            found = _jump_all(_mixed_all(_SLOTS[left] << np.uint64(32) | np.uint64(draw)), len(members))
            drawn[left, found] = np.minimum(drawn[left, found], draw)
            held[left, rack[found]] = True
            counted = (drawn[left] <= draw).sum(axis=1)
            left = left[(counted < n) | (held[left].sum(axis=1) < min(n, len(names)))]
            draw += 1
        return drawn


def jump(key: int, buckets: int) -> int:
    """Return the bucket of a 64-bit key: when a bucket is added, only what goes into it moves.

    >>> [jump(1, buckets) for buckets in (1, 6, 7, 17, 18)]
    [0, 0, 6, 6, 17]
    """
    bucket, next_ = 0, 0
    while next_ < buckets:
        bucket = next_
        key = (key * 2_862_933_555_777_941_757 + 1) & _MASK
        next_ = int((bucket + 1) * (float(1 << 31) / float((key >> 33) + 1)))
    return bucket


def _jump_all(keys: Numbers, buckets: int) -> Numbers:
    bucket, next_ = np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    going = np.arange(len(keys)) if buckets > 0 else np.arange(0)
    keys = keys.copy()
    while len(going):
        bucket[going] = next_[going]
        keys[going] = keys[going] * np.uint64(2_862_933_555_777_941_757) + np.uint64(1)
        jumped = float(1 << 31) / ((keys[going] >> np.uint64(33)) + np.uint64(1)).astype(np.float64)
        next_[going] = ((bucket[going] + 1) * jumped).astype(np.int64)
        going = going[next_[going] < buckets]
    return bucket


def _seed(member: Member) -> int:
    return int.from_bytes(blake2b(member.node.encode(), digest_size=8).digest(), "big")


def _mixed(number: int) -> int:
    """Return 64 bits of which each depends on all of the number's: SplitMix64 (Steele, Lea and Flood 2014)."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _MASK
    return number ^ number >> 31


def _mixed_all(numbers: Numbers) -> Numbers:
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)
