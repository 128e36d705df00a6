"""What a client may ask of a node, and what it is told: ok, failed (nothing was done), or unknown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec

from .records import Content, OpId
from .topology import Bucket, Member, Placement

__all__ = [
    "Answer",
    "Call",
    "Change",
    "Failure",
    "Found",
    "Get",
    "Put",
    "Reshape",
    "Reshaped",
    "Scan",
    "Scanned",
    "Unchanged",
    "Within",
    "Wrote",
    "changed",
]


class Get(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="get"):
    """Read a key. `at_least`: a stamp (or version) that the reader has seen or written: nothing older will do."""

    key: bytes
    r: int | None = None
    pr: int | None = None
    at_least: int = 0

    @property
    def plain(self) -> bool:
        """Whether the bucket alone says how many are asked."""
        return self.r is None and self.pr is None and not self.at_least


class Put(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="put"):
    """Write a key of a `lww` or `siblings` bucket; with no value, delete it. What the writer had read says `context`,
    and of a `lww` key `at_least`: its version, which the write outdoes on whichever node and by whatever clock."""

    key: bytes
    value: bytes | None
    context: bytes = b""
    expires_ms: int = 0
    w: int | None = None
    pw: int | None = None
    at_least: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="change"):
    """Change a key of a `cas` bucket in one step that nobody comes between; `how` and `given` are of `changed`.

    `op`: an id that the client made, so that what is asked again (`again`) is done once; where so much was changed
    since that nobody can tell, the answer is unknown. Without an id every ask is a new one.
    """

    key: bytes
    how: Literal["set", "add", "replace", "delete", "swap", "increment", "append", "expire"]
    given: tuple[Any, ...] = ()
    op: OpId | None = None
    again: bool = False


class Scan(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="scan"):
    """List keys of which this node is the first owner, in the order of slots, after a cursor."""

    slot: int = 0
    after: bytes = b""
    limit: int = 100


class Reshape(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="reshape"):
    """Let these be the members, the placement and the buckets; what is not said stays. Given again, it goes on where it
    was. A bucket keeps its prefix, its semantics and its n: those say where data lie, and what they are."""

    members: tuple[Member, ...] = ()
    placement: Placement | None = None
    vnodes: int = 0
    buckets: tuple[Bucket, ...] = ()


Call: TypeAlias = Get | Put | Change | Scan | Reshape


class Within(msgspec.Struct, frozen=True, array_like=True):
    """A call that has other time than the node's knob gives it; never more than that."""

    call: Call
    deadline_ms: int


class Found(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="found"):
    """The values (none: there is no such key), and what to give back when writing: a context or a version."""

    values: tuple[bytes, ...]
    context: bytes = b""
    version: int = 0
    expires_ms: int = 0
    fallbacks: int = 0  # how many of those who answered are no owners


class Wrote(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="wrote"):
    """It is kept by as many as were asked for. `result` is what the change returns, `before` what was there."""

    version: int = 0
    context: bytes = b""
    result: Any = None
    before: bytes | None = None
    fallbacks: int = 0


class Scanned(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="scanned"):
    keys: tuple[bytes, ...]
    slot: int  # where the next page begins; -1: that was all
    after: bytes


class Reshaped(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="reshaped"):
    """The epoch that holds now, and whether all is in it as it was asked for."""

    epoch: int
    done: bool


class Failure(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="failure"):
    """`unknown`: it may have been done, or may still be. Else nothing was done, and nothing will be."""

    code: str  # unavailable, timeout, busy, behind, too-many-siblings, bad-context, wrong-kind
    says: str
    unknown: bool = False


Answer: TypeAlias = Found | Wrote | Scanned | Reshaped | Failure


class Unchanged(Exception):
    """The change does not apply, or would change nothing: what to answer instead."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer


# Changes -------------------------------------------------------------------------------------------------------------

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def changed(
    call: Change, content: Content, op: OpId, version: int, wall_ms: int, value_max: int
) -> tuple[Content, Callable[[Content], Wrote]]:
    """Return what a register holds after a change, and how to answer it. Raises `Unchanged`."""
    before = current(content, wall_ms)
    how, given = call.how, call.given
    expires = content.expires_ms if before is not None else 0
    result: Any = None
    if how == "set":
        value, expires = given
    elif how == "add":
        if before is not None:
            raise Unchanged(Wrote(version=content.version, result=False, before=before))
        (value, expires), result = given, True
    elif how == "replace":
        if before is None:
            raise Unchanged(Wrote(version=content.version, result=False))
        (value, expires), result = given, True
    elif how == "swap":
        wanted, value, expires = given  # a version, or the bytes that must be there (None: nothing)
        fits = content.version == wanted if isinstance(wanted, int) else before == wanted
        if not fits:
            raise Unchanged(Wrote(version=content.version, result=False, before=before))
        result = True
    elif how == "delete":
        if before is None:
            raise Unchanged(Wrote(version=content.version, result=0))
        value, expires, result = None, 0, 1
    elif how == "increment":
        (by,) = given
        number = _number(before)
        if number is None or not INT_MIN <= number + by <= INT_MAX:
            raise Unchanged(Failure(code="wrong-kind", says="value is not an integer or out of range"))
        result = number + by
        value = b"%d" % result
    elif how == "append":
        value = (before or b"") + given[0]
        result = len(value)
        if result > value_max:
            raise Unchanged(
                Failure(code="wrong-kind", says=f"the value would have {result:,} bytes; at most {value_max:,}")
            )
    else:
        if before is None:
            raise Unchanged(Wrote(version=content.version, result=0))
        value, expires, result = before, given[0], 1
        if expires == content.expires_ms:  # to set what is set is done; to take away what is not there is not
            raise Unchanged(Wrote(version=content.version, result=int(bool(expires)), before=before))
    new = content.then(version, value, expires, op)
    return new, lambda kept: Wrote(version=kept.version, result=result, before=before)


def current(content: Content, wall_ms: int) -> bytes | None:
    """Return what is there at this time: what has expired is not."""
    return None if content.expires_ms and content.expires_ms <= wall_ms else content.value


def _number(value: bytes | None) -> int | None:
    if value is None:
        return 0
    if len(value) > 20 or not value.removeprefix(b"-").isdigit() or (value != b"%d" % int(value)):
        return None
    return int(value)
