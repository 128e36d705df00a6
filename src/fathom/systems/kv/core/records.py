"""What lies under a key, for each semantics: how two copies become one, and what a digest is taken of."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import msgspec

from fathom.blocks import dotted
from fathom.blocks.ballots import NEVER, NOTHING, Register

__all__ = [
    "ABSENT",
    "Content",
    "Last",
    "OpId",
    "Record",
    "Siblings",
    "content_of",
    "digest_of",
    "merged",
    "pack",
    "packed",
    "unpack",
]

OpId: TypeAlias = tuple[int, str]  # the number of the ballot that a change was first proposed with, and the proposer
OPS_KEPT = 8  # of the last changes of a register the ids: whoever proposes again learns whether it was done already


class Last(msgspec.Struct, frozen=True, array_like=True, tag="l", gc=False):
    """Last write wins: the highest stamp, then the node's name, then a deletion, then the larger value."""

    stamp: int
    node: str
    value: bytes | None  # None: deleted
    expires_ms: int = 0  # of the wall clock; 0: never

    @property
    def rank(self) -> tuple[int, str, bool, bytes, int]:
        return (self.stamp, self.node, self.value is None, self.value or b"", self.expires_ms)


class Siblings(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """All that was written without knowing of each other: a dotted version vector set, in its canonical bytes."""

    state: bytes


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a register holds. `version` is the number of the ballot that made it, or more: it only grows.
    `count` counts changes; `ops` are the last of them, the newest at the end."""

    count: int
    version: int
    value: bytes | None
    expires_ms: int = 0
    ops: tuple[OpId, ...] = ()

    def then(self, version: int, value: bytes | None, expires_ms: int, op: OpId) -> Content:
        return Content(self.count + 1, version, value, expires_ms, (*self.ops, op)[-OPS_KEPT:])

    @property
    def knows_all(self) -> bool:
        """Whether every change that made this is still known by its id."""
        return self.count == len(self.ops)

    def knows(self, op: OpId, count: int) -> bool | None:
        """Whether the change `op`, which would have made this `count`, is in it; None where that was too long ago."""
        if op in self.ops:
            return True
        return False if self.count < count or self.count - count < len(self.ops) else None


ABSENT = Content(0, 0, None)


Record: TypeAlias = Last | Siblings | Register

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
_decode_content = msgspec.msgpack.Decoder(Content).decode


def packed(content: Content) -> bytes:
    return _encode(content)


def content_of(value: bytes | None) -> Content:
    """Return what a register holds; nothing was ever in one that has no value."""
    return ABSENT if value is None else _decode_content(value)


def pack(record: Record) -> bytes:
    return _encode(record)


def unpack(data: bytes) -> Record:
    return _decode(data)


def digest_of(key: bytes, record: Record) -> int:
    """Return 128 bits of what replicas of a key must agree on. A promise is not of it: it belongs to one acceptor."""
    if isinstance(record, Register):
        if record.accepted == NEVER:
            return 0
        data = _encode((record.accepted, record.value))
    else:
        data = _encode(record)
    raw = hashlib.blake2b(data, digest_size=16, key=hashlib.blake2b(key, digest_size=16).digest()).digest()
    return int.from_bytes(raw, "big")


def merged(mine: Record | None, theirs: Record) -> Record:
    """Return what both copies together say: commutative, associative and idempotent for each semantics.

    Of a register only what was accepted goes over: a copy is an accept message that comes late, and one that comes
    after a later promise is refused like any other.
    """
    if isinstance(theirs, Register):
        if mine is None:
            mine = NOTHING
        if isinstance(mine, Register):
            if theirs.accepted <= mine.accepted or theirs.accepted < mine.promised:
                return mine
            return Register(max(mine.promised, theirs.accepted), theirs.accepted, theirs.value)
    elif mine is None:
        return theirs
    elif isinstance(mine, Last) and isinstance(theirs, Last):
        return mine if mine.rank >= theirs.rank else theirs
    elif isinstance(mine, Siblings) and isinstance(theirs, Siblings):
        return Siblings(dotted.Siblings.decode(mine.state).merge(dotted.Siblings.decode(theirs.state)).encode())
    raise TypeError(f"a {type(mine).__name__} is no {type(theirs).__name__}: a bucket has one semantics")
