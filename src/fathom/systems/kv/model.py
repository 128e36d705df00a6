"""The store if computers never failed: one dict, and the three things that a bucket may promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from fathom.errors import Refusal

from .api import (
    KEY_BYTES_MAX,
    PAGE_KEYS_MAX,
    SIBLINGS_MAX,
    USUAL,
    VALUE_BYTES_MAX,
    Add,
    Append,
    Bucket,
    Change,
    Changed,
    Delete,
    Expire,
    Found,
    Increment,
    Layout,
    Page,
    Place,
    Replace,
    Set,
    Swap,
    Terms,
    Written,
)

__all__ = ["KvModel", "checked_change", "checked_key", "checked_page", "checked_put", "checked_terms"]

INT_MAX = 2**63 - 1
RESERVED = b"\0fathom\0"  # keys that begin so are the cluster's own


# What may be asked ---------------------------------------------------------------------------------------------------


def checked_key(key: bytes) -> None:
    if not 0 < len(key) <= KEY_BYTES_MAX:
        raise Refusal("invalid", f"a key has 1 to {KEY_BYTES_MAX:,} bytes, and this one has {len(key):,}")
    if key.startswith(RESERVED):
        raise Refusal("invalid", f"keys that begin with {RESERVED!r} are the cluster's own")


def checked_terms(terms: Terms) -> None:
    asked = {"r": terms.r, "w": terms.w, "pr": terms.pr, "pw": terms.pw, "deadline_ms": terms.deadline_ms}
    for name, value in asked.items():
        if value is not None and not 1 <= value <= 3_600_000:
            raise Refusal("invalid", f"{name} is a whole number from 1, not {value}")
    if not 0 <= terms.at_least <= INT_MAX:
        raise Refusal("invalid", "at_least is a version that somebody was told")


def checked_put(bucket: Bucket, value: bytes | None, expires_ms: int) -> None:
    if bucket.semantics == "cas":
        raise Refusal("invalid", "keys of this bucket are cas: they are changed, not put")
    if bucket.semantics == "siblings" and expires_ms:
        raise Refusal("invalid", "keys of this bucket are siblings, which do not expire")
    _value(value)
    _time(expires_ms)


def checked_change(bucket: Bucket, change: Change) -> None:
    if bucket.semantics != "cas":
        raise Refusal("invalid", f"keys of this bucket are {bucket.semantics}: they are put, not changed")
    if isinstance(change, Set | Add | Replace | Swap | Expire):
        _time(change.expires_ms)
    if isinstance(change, Set | Add | Replace | Swap | Append):
        _value(change.value)
    if isinstance(change, Swap):
        _value(change.was)
        if change.version is not None and not (0 <= change.version <= INT_MAX and change.was is None):
            raise Refusal("invalid", "a swap names a version that somebody was told, or what was there, not both")
    if isinstance(change, Delete) and change.version is not None and not 0 <= change.version <= INT_MAX:
        raise Refusal("invalid", "a version is one that somebody was told")
    if isinstance(change, Increment) and abs(change.by) > INT_MAX:
        raise Refusal("invalid", "numbers have 64 bits")


def checked_page(limit: int) -> None:
    if not 1 <= limit <= PAGE_KEYS_MAX:
        raise Refusal("invalid", f"a page has 1 to {PAGE_KEYS_MAX:,} keys")


def _value(value: bytes | None) -> None:
    if value is not None and len(value) > VALUE_BYTES_MAX:
        raise Refusal("too-large", f"a value has at most {VALUE_BYTES_MAX:,} bytes, and this one has {len(value):,}")


def _time(expires_ms: int) -> None:
    if not 0 <= expires_ms <= INT_MAX:
        raise Refusal("invalid", "a key expires at a time in milliseconds since 1970, or never (0)")


# The store -----------------------------------------------------------------------------------------------------------


class _One(msgspec.Struct):
    """A key with one value: also one that was deleted, whose version says so."""

    value: bytes | None
    version: int
    expires_ms: int = 0


class _Several(msgspec.Struct):
    """A key with siblings: each value by the number of its write."""

    values: dict[int, bytes]
    last: int = 0


class KvModel:
    """`clock` tells the time in Unix milliseconds."""

    def __init__(self, clock: Callable[[], int], buckets: Sequence[Bucket] = (Bucket(),)) -> None:
        self._clock, self._buckets = clock, list(buckets)
        self._ones: dict[bytes, _One] = {}
        self._several: dict[bytes, _Several] = {}
        self._versions = 0

    async def get(self, key: bytes, terms: Terms = USUAL) -> Found:
        bucket = self._checked(key, terms)
        if bucket.semantics == "siblings":
            siblings = self._several.get(key, _Several({}))
            return Found(values=list(siblings.values.values()), context=_context(key, siblings))
        one = self._ones.get(key, _One(None, 0))
        if bucket.semantics == "lww" and one.version < terms.at_least:
            raise Refusal("unavailable", "nobody has what this reader has seen")
        value = self._current(one)
        if value is None:
            return Found(version=one.version)
        return Found(values=[value], version=one.version, expires_ms=one.expires_ms)

    async def put(
        self, key: bytes, value: bytes | None, context: bytes = b"", expires_ms: int = 0, terms: Terms = USUAL
    ) -> Written:
        bucket = self._checked(key, terms)
        checked_put(bucket, value, expires_ms)
        if bucket.semantics == "lww":
            one = self._ones[key] = _One(value, self._next(), expires_ms)
            return Written(version=one.version)
        siblings = self._several.setdefault(key, _Several({}))
        seen = _seen(key, context)
        if value is None and not context:
            seen = set(siblings.values)
        left = {number: kept for number, kept in siblings.values.items() if number not in seen}
        if value is not None:
            if len(left) == SIBLINGS_MAX:
                says = f"the key would have {len(left) + 1} siblings: read it, and write what they are together"
                raise Refusal("conflict", says)
            siblings.last += 1
            left[siblings.last] = value
        siblings.values = left
        return Written(context=_context(key, siblings) if len(left) <= 1 else b"")

    async def change(self, key: bytes, change: Change, terms: Terms = USUAL) -> Changed:
        checked_change(self._checked(key, terms), change)
        one = self._ones.get(key, _One(None, 0))
        before = self._current(one)
        no = Changed(done=False, version=one.version, before=before)
        expires_ms = one.expires_ms if before is not None else 0
        number = None
        match change:
            case Set(value=value, expires_ms=expires_ms):
                pass
            case Add(value=value, expires_ms=expires_ms):
                if before is not None:
                    return no
            case Replace(value=value, expires_ms=expires_ms):
                if before is None:
                    return no
            case Swap(value=value, version=version, was=was, expires_ms=expires_ms):
                if (version != one.version) if version is not None else (was != before):
                    return no
            case Delete(version=version):
                if (before is None) if version is None else (version != one.version):
                    return no
                value, expires_ms = None, 0
            case Increment(by=by):
                number = _number(before) + by
                if not -INT_MAX - 1 <= number <= INT_MAX:
                    raise Refusal("invalid", "value is not an integer or out of range")
                value = b"%d" % number
            case Append(value=more):
                value = (before or b"") + more
                number = len(value)
                _value(value)
            case Expire(expires_ms=until_ms):
                if before is None:
                    return Changed(done=False, version=one.version)
                if until_ms == expires_ms:  # to set what is set is done; to take away what is not there is not
                    return Changed(done=bool(until_ms), version=one.version, before=before)
                value, expires_ms = before, until_ms
        one = self._ones[key] = _One(value, self._next(), expires_ms)
        return Changed(done=True, version=one.version, number=number, before=before)

    async def scan(self, after: str = "", limit: int = 100) -> Page:
        checked_page(limit)
        there = [key for key, one in self._ones.items() if self._current(one) is not None]
        there += [key for key, siblings in self._several.items() if siblings.values]
        left = sorted(key for key in there if key.hex() > after)
        return Page(keys=left[:limit], after=left[limit - 1].hex() if len(left) > limit else "")

    async def bucket(self, key: bytes) -> Bucket:
        return self._checked(key, USUAL)

    async def topology(self) -> Layout:
        return Layout(cluster="model", epoch=1, places=[Place(node="model")], buckets=self._buckets)

    async def settled(self) -> None:
        """Everything has taken effect at once."""

    # -----------------------------------------------------------------------------------------------------------------

    def _checked(self, key: bytes, terms: Terms) -> Bucket:
        checked_key(key)
        checked_terms(terms)
        fitting = [bucket for bucket in self._buckets if key.startswith(bucket.prefix)]
        return max(fitting, key=lambda bucket: len(bucket.prefix))

    def _current(self, one: _One) -> bytes | None:
        return None if one.expires_ms and one.expires_ms <= self._clock() else one.value

    def _next(self) -> int:
        self._versions += 1
        return self._versions


class _Seen(msgspec.Struct, array_like=True):
    key: bytes
    numbers: list[int]


def _context(key: bytes, siblings: _Several) -> bytes:
    return msgspec.msgpack.encode(_Seen(key, list(siblings.values)))


def _seen(key: bytes, context: bytes) -> set[int]:
    if not context:
        return set()
    try:
        seen = msgspec.msgpack.decode(context, type=_Seen)
    except msgspec.MsgspecError:
        seen = _Seen(b"", [])
    if seen.key != key:
        raise Refusal("invalid", "this context is damaged, or of another key")
    return set(seen.numbers)


def _number(value: bytes | None) -> int:
    if value is None:
        return 0
    if len(value) > 20 or not value.removeprefix(b"-").isdigit() or value != b"%d" % int(value):
        raise Refusal("invalid", "value is not an integer or out of range")
    return int(value)
