"""Which slots differ between two replicas: digests that change with each write, and a tree that tells in few bytes.

A slot's digest is the sum, modulo 2^128, of a hash of each of its records. So a write takes the old record's hash away
and adds the new one's, in any order, and the sum is the one that all records counted anew would have (Bellare and
Micciancio, *A New Paradigm for Collision-Free Hashing*, 1997). It finds what was lost; who chooses records to deceive
it is not kept out. Above the digests stands a tree (Merkle 1987) of fan-out 16, over whatever slots two replicas share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

__all__ = ["DIGEST_BYTES", "FAN_OUT", "Ask", "Exchange", "OtherSlots", "Tree", "changed", "digest_of"]

DIGEST_BYTES = 16
FAN_OUT = 16
_MODULUS = 1 << 8 * DIGEST_BYTES


def digest_of(key: bytes, content: bytes) -> int:
    """Return the digest of one record. Where the key ends is part of it."""
    hashed = blake2b(len(key).to_bytes(4, "big") + key, digest_size=DIGEST_BYTES)
    hashed.update(content)
    return int.from_bytes(hashed.digest(), "big")


def changed(digest: int, *, old: int = 0, new: int = 0) -> int:
    """Return the digest of a slot in which one record was put, replaced or taken away.

    >>> a, b, c = digest_of(b"a", b"1"), digest_of(b"b", b"1"), digest_of(b"b", b"2")
    >>> slot = changed(changed(0, new=a), new=b)
    >>> changed(slot, old=b, new=c) == changed(changed(0, new=c), new=a)
    True
    >>> changed(changed(slot, old=a), old=b)
    0
    """
    return (digest - old + new) % _MODULUS


class OtherSlots(ValueError):
    """The two trees are not over the same slots, so nothing can be said of them."""


class Ask(NamedTuple):
    """What are the hashes below these nodes of your tree? Level 0 is the root; the last level's are the slots'."""

    level: int
    nodes: tuple[int, ...]


class Tree:
    """The digests of a set of slots, and hashes of them, sixteen by sixteen, up to one.

    >>> mine, theirs = Tree({1: 10, 2: 20, 700: 30}), Tree({1: 10, 2: 21, 700: 30})
    >>> mine.root == theirs.root
    False
    >>> theirs.replace(2, 20)
    >>> mine.root == theirs.root
    True
    """

    __slots__ = ("_at", "_levels", "_stale", "over", "slots")

    def __init__(self, digests: Mapping[int, int]) -> None:
        self.slots = tuple(sorted(digests))
        self.over = _hash(b"".join(slot.to_bytes(8, "big") for slot in self.slots))
        self._at = {slot: at for at, slot in enumerate(self.slots)}
        leaves = [digests[slot].to_bytes(DIGEST_BYTES, "big") for slot in self.slots] or [bytes(DIGEST_BYTES)]
        self._levels = [leaves]  # the root's first, when it is done
        while len(leaves) > 1:
            leaves = [_hash(b"".join(leaves[at : at + FAN_OUT])) for at in range(0, len(leaves), FAN_OUT)]
            self._levels.insert(0, leaves)
        self._stale: set[int] = set()  # leaves that changed since their hashes were made

    @property
    def root(self) -> bytes:
        """The hash of all: equal trees over equal slots have the same."""
        self._settle()
        return self._levels[0][0]

    @property
    def levels(self) -> int:
        """How often one goes down from the root to the slots."""
        return len(self._levels) - 1

    def replace(self, slot: int, digest: int) -> None:
        """Let a slot have another digest: the hashes above it are made when they are asked for."""
        at = self._at[slot]
        self._levels[-1][at] = digest.to_bytes(DIGEST_BYTES, "big")
        self._stale.add(at)

    def hashes(self, ask: Ask) -> list[bytes]:
        """Return the hashes below some nodes, one after another; raise `ValueError` if there are no such nodes."""
        self._settle()
        if not 0 <= ask.level < self.levels or any(not 0 <= it < len(self._levels[ask.level]) for it in ask.nodes):
            raise ValueError(f"this tree has no such nodes: {ask}")
        return [found for node in ask.nodes for found in self.below(ask.level, node)]

    def below(self, level: int, node: int) -> Sequence[bytes]:
        """Return the hashes below one node."""
        return self._levels[level + 1][node * FAN_OUT : (node + 1) * FAN_OUT]

    def _settle(self) -> None:
        stale, self._stale = self._stale, set()
        for level in range(self.levels - 1, -1, -1):
            if not stale:
                return
            stale = {at // FAN_OUT for at in stale}
            for node in stale:
                self._levels[level][node] = _hash(b"".join(self.below(level, node)))


class Exchange:
    """One side's part in finding out which slots differ: it asks, the other side's tree answers, until it knows.

    Neither tree may change meanwhile. `at_once`: how many nodes are asked about in one message, so how long the answer
    is: `at_once * 16 * 16` bytes at most.

    >>> mine, theirs = Tree({slot: 1 for slot in range(1_000)}), Tree({slot: 1 for slot in range(1_000)} | {613: 2})
    >>> exchange = Exchange(mine, theirs.over, theirs.root)
    >>> while exchange.ask:
    ...     exchange.hear(theirs.hashes(exchange.ask))
    >>> exchange.differing
    [613]
    """

    __slots__ = ("_at_once", "_left", "_tree", "asked", "differing")

    def __init__(self, tree: Tree, over: bytes, root: bytes, *, at_once: int = 64) -> None:
        if tree.over != over:
            raise OtherSlots(f"the other tree is over other slots than these {len(tree.slots):,}")
        if at_once < 1:
            raise ValueError(f"{at_once} nodes cannot be asked about at once")
        self._tree, self._at_once = tree, at_once
        self.differing: list[int] = []
        self.asked = 0  # how many hashes were looked at
        self._left: list[Ask] = []
        if root != tree.root:
            self._found(0, [0])

    @property
    def ask(self) -> Ask | None:
        """What to ask next; None when `differing` is all there is."""
        return self._left[-1] if self._left else None

    def hear(self, hashes: Sequence[bytes]) -> None:
        """Take the answer to `ask`; raise `ValueError` if it is none."""
        ask = self._left[-1]
        mine = [
            (node * FAN_OUT + at, it) for node in ask.nodes for at, it in enumerate(self._tree.below(ask.level, node))
        ]
        if len(mine) != len(hashes):
            raise ValueError(f"{len(hashes)} hashes are no answer to {ask}: {len(mine)} were asked for")
        self._left.pop()
        self.asked += len(hashes)
        self._found(ask.level + 1, [at for (at, it), their in zip(mine, hashes, strict=True) if it != their])

    def _found(self, level: int, nodes: Iterable[int]) -> None:
        nodes = list(nodes)
        if level == self._tree.levels:
            self.differing = sorted((*self.differing, *(self._tree.slots[at] for at in nodes if self._tree.slots)))
            return
        self._left += [Ask(level, tuple(nodes[at : at + self._at_once])) for at in range(0, len(nodes), self._at_once)]


def _hash(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=DIGEST_BYTES).digest()
