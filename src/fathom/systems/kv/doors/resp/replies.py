"""Values → the bytes of a reply, in either version; what failed → an error that clients retry rightly.

What clients do with an error is decided by its first word, so each was chosen by what redis-py 8 (`cluster.py`) and
redis-cli do with it. Only two are tried again by a client on its own account, and both mean that nothing was done:

* `CLUSTERDOWN` (too few owners can be reached): RedisCluster waits 0.25 s, asks for the slots again, and tries again.
* `TRYAGAIN` (a replica is behind what was asked for): RedisCluster tries again, after some tries with 0.05 s between.
* `BUSY` (this node has too much to do) is no `TRYAGAIN`: of that, RedisCluster sends the first eight without waiting,
  which is the last thing a busy node needs.
* `ERR unknown outcome`: it may have been done. No client repeats an `ERR`; whoever does must know what it repeats.
"""

from __future__ import annotations

from typing import Any

from ...core.calls import Failure

__all__ = ["OK", "Error", "Status", "Text", "Wrong", "bulk", "encoded", "failed", "wrong"]

OK = b"+OK\r\n"
_CODES = {
    "unavailable": "CLUSTERDOWN",
    "behind": "TRYAGAIN",
    "busy": "BUSY",
    "too-many-siblings": "SIBLINGS",
    "bad-context": "BADCONTEXT",
}
_ONE_LINE = str.maketrans("\r\n", "  ")


class Error(str):
    """What went wrong; the first word is a code."""

    __slots__ = ()


class Status(str):
    """A short word that is no data."""

    __slots__ = ()


class Text(str):
    """Something for people to read."""

    __slots__ = ()


class Wrong(Exception):
    """The command cannot be done as it was asked: what to answer."""


def encoded(value: Any, version: int) -> bytes:
    """Return a reply.

    >>> encoded({"a": [1, None, b"x"]}, 2)
    b'*2\\r\\n$1\\r\\na\\r\\n*3\\r\\n:1\\r\\n$-1\\r\\n$1\\r\\nx\\r\\n'
    >>> encoded({"a": [1, None, b"x"]}, 3)
    b'%1\\r\\n$1\\r\\na\\r\\n*3\\r\\n:1\\r\\n_\\r\\n$1\\r\\nx\\r\\n'
    """
    parts: list[bytes] = []
    _encode(value, version, parts)
    return b"".join(parts)


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def wrong(says: str) -> bytes:
    """Return an error reply. What a client sent may be in it, so it is made one line."""
    return b"-%b\r\n" % says.translate(_ONE_LINE).encode()


def failed(failure: Any) -> bytes:
    """Return what to tell of a request that failed, or of which nobody knows whether it did."""
    if type(failure) is not Failure:
        return wrong(f"ERR unknown outcome: this node was told {type(failure).__name__}, which says nothing")
    if failure.unknown:
        return wrong(f"ERR unknown outcome: it may have been done, or may still be ({failure.says})")
    return wrong(f"{_CODES.get(failure.code, 'ERR')} {failure.says}")


def _encode(value: Any, version: int, parts: list[bytes]) -> None:
    kind = type(value)
    if kind is bytes:
        parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    elif kind is int:
        parts.append(b":%d\r\n" % value)
    elif kind is str:
        parts.append(bulk(value.encode()))
    elif value is None:
        parts.append(b"$-1\r\n" if version == 2 else b"_\r\n")
    elif kind is Status:
        parts.append(b"+%b\r\n" % value.encode())
    elif kind is Error:
        parts.append(wrong(value))
    elif kind is Text:
        raw = value.encode()
        parts.append(bulk(raw) if version == 2 else b"=%d\r\ntxt:%b\r\n" % (len(raw) + 4, raw))
    elif kind is dict:
        parts.append(b"*%d\r\n" % (2 * len(value)) if version == 2 else b"%%%d\r\n" % len(value))
        for key, item in value.items():
            _encode(key, version, parts)
            _encode(item, version, parts)
    elif kind is set:
        parts.append((b"*%d\r\n" if version == 2 else b"~%d\r\n") % len(value))
        for item in sorted(value):
            _encode(item, version, parts)
    elif kind is list or kind is tuple:
        parts.append(b"*%d\r\n" % len(value))
        for item in value:
            _encode(item, version, parts)
    else:
        raise TypeError(f"a {kind.__name__} is no reply")
