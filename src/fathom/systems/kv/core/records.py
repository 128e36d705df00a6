"""What lies under a key, for each semantics: how two copies become one, and what a digest is taken of."""

from __future__ import annotations

import hashlib
from typing import TypeAlias

import msgspec

from fathom.blocks import dotted

__all__ = ["ABSENT", "NO_BALLOT", "Ballot", "Content", "Last", "OpId", "Record", "Register", "Siblings", "digest_of", "merged", "pack", "unpack"]

Ballot: TypeAlias = tuple[int, str]  # a hybrid stamp and the proposer: unique, ordered, and above all before a restart
OpId: TypeAlias = tuple[int, str]  # the first ballot that a change was proposed with
NO_BALLOT: Ballot = (0, "")

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
    """Everything that was written without knowing of each other: a dotted version vector set, in its canonical bytes."""

    state: bytes


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a register holds. `version` counts its changes; `ops` are the last of them, the newest at the end."""

    version: int
    value: bytes | None
    expires_ms: int = 0
    ops: tuple[OpId, ...] = ()

    def then(self, value: bytes | None, expires_ms: int, op: OpId) -> Content:
        return Content(self.version + 1, value, expires_ms, (*self.ops, op)[-OPS_KEPT:])

    def knows(self, op: OpId, version: int) -> bool | None:
        """Whether the change `op`, which would have made this `version`, is in it; None where that was too long ago."""
        if op in self.ops:
            return True
        return False if self.version < version or self.version - version < len(self.ops) else None


ABSENT = Content(0, None)


class Register(msgspec.Struct, frozen=True, array_like=True, tag="r", gc=False):
    """One acceptor's memory of a register: what it has promised, and what it accepted last."""

    promised: Ballot = NO_BALLOT
    accepted: Ballot = NO_BALLOT
    content: Content = ABSENT


Record: TypeAlias = Last | Siblings | Register

_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Record)


def pack(record: Record) -> bytes:
    return _encode(record)


def unpack(data: bytes) -> Record:
    return _decoder.decode(data)


def digest_of(key: bytes, record: Record) -> int:
    """Return 128 bits of what replicas of a key must agree on. A promise is not of it: it belongs to one acceptor."""
    if type(record) is Register:
        if record.accepted == NO_BALLOT:
            return 0
        data = _encode((record.accepted, record.content))
    else:
        data = _encode(record)
    return int.from_bytes(hashlib.blake2b(data, digest_size=16, key=key[:64], salt=len(key).to_bytes(2, "big")).digest(), "big")


def merged(mine: Record | None, theirs: Record) -> Record:
    """Return what both copies together say: commutative, associative and idempotent for each semantics.

    Of a register only what was accepted goes over: a copy is an accept message that comes late.
    """
    if mine is None:
        return theirs if type(theirs) is not Register else Register(theirs.accepted, theirs.accepted, theirs.content)
    if type(mine) is Last and type(theirs) is Last:
        return max(mine, theirs, key=lambda record: record.rank)
    if type(mine) is Siblings and type(theirs) is Siblings:
        return Siblings(dotted.Siblings.decode(mine.state).merge(dotted.Siblings.decode(theirs.state)).encode())
    if type(mine) is Register and type(theirs) is Register:
        if theirs.accepted <= mine.accepted or theirs.accepted < mine.promised:
            return mine
        return Register(max(mine.promised, theirs.accepted), theirs.accepted, theirs.content)
    raise TypeError(f"a {type(mine).__name__} is no {type(theirs).__name__}: a bucket has one semantics")
