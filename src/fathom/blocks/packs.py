"""Many chunks in one object: a store that is asked by the object is asked once, and each chunk is proven by itself.

A pack is a head, the chunks one after the other, an index of them, and a foot of fixed length that says where the index
lies and proves it. So who lost every other record of a pack reads its end, then its index, and then any chunk alone. A
chunk is named by the BLAKE3 of its bytes, or by their SHA-256, which is what proves it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from blake3 import blake3

__all__ = [
    "BYTES_MAX",
    "FOOT_BYTES",
    "Entry",
    "damaged",
    "digest_of",
    "digest_of_all",
    "entries",
    "foot",
    "is_named",
    "laid_out",
    "pack",
]

Bytes = bytes | bytearray | memoryview
BYTES_MAX = (1 << 32) - 1
_HEAD = b"fathom pack 1\n\0\0"
_ENTRY = struct.Struct("<32sII")  # digest, offset, length
_FOOT = struct.Struct("<QII32s16s")  # bytes in all, entries, where the index begins, its digest, the head again
FOOT_BYTES = _FOOT.size


class Entry(NamedTuple):
    """Where a chunk lies in its pack."""

    digest: bytes
    offset: int
    length: int


class Foot(NamedTuple):
    """What the end of a pack says: where the index lies, and what proves it."""

    size: int
    offset: int
    length: int
    digest: bytes


def digest_of(data: Bytes) -> bytes:
    """Return what a chunk is named by: BLAKE3, which takes less than half of the time of SHA-256."""
    return blake3(data).digest()


def is_named(data: Bytes, digest: bytes) -> bool:
    """Tell whether a chunk is named so: by `digest_of`, or by SHA-256, which every language has.

    >>> is_named(b"tea", digest_of(b"tea")), is_named(b"tea", sha256(b"tea").digest()), is_named(b"tea", bytes(32))
    (True, True, False)
    """
    return digest_of(data) == digest or sha256(data).digest() == digest


def digest_of_all(chunks: Iterable[tuple[bytes, int]]) -> bytes:
    """Return what a file is named by whose chunks have these digests and sizes, in their order.

    >>> digest_of_all([]) == digest_of(b"")
    True
    """
    whole = blake3()
    for digest, size in chunks:
        whole.update(digest + size.to_bytes(8, "big"))
    return whole.digest()


def pack(chunks: Iterable[Bytes], digests: Iterable[bytes] | None = None) -> bytes:
    """Return the pack of some chunks, in their order; of equal ones the first alone is in it. ValueError if too large.

    `digests` of the chunks may be told by who knows them already: whoever opens the pack proves them anyway.

    >>> made = pack([b"green tea", b"milk", b"green tea"])
    >>> [(entry.offset, entry.length) for entry in entries(made)]
    [(16, 9), (25, 4)]
    """
    found: dict[bytes, Bytes] = {}
    named = ((digest_of(data), data) for data in chunks) if digests is None else zip(digests, chunks, strict=True)
    for digest, data in named:
        found.setdefault(digest, data)
    _, end = _frame([(digest, len(data)) for digest, data in found.items()])
    return b"".join((_HEAD, *found.values(), end))


def laid_out(
    chunks: Iterable[tuple[bytes, int]], room: Callable[[int], bytearray | memoryview] = bytearray
) -> tuple[memoryview, list[memoryview]]:
    """Return the pack of different chunks with these digests and sizes, and the room of each: they are yet to be read.

    Who reads them to where they are to lie need not copy them there. `room` is asked for so many bytes to lie in.

    >>> made, (tea, milk) = laid_out([(digest_of(b"green tea"), 9), (digest_of(b"milk"), 4)])
    >>> tea[:], milk[:] = b"green tea", b"milk"
    >>> made == pack([b"green tea", b"milk"])
    True
    """
    found, end = _frame(list(chunks))
    behind = found[-1].offset + found[-1].length if found else len(_HEAD)
    view = memoryview(room(behind + len(end)))
    view[: len(_HEAD)], view[behind:] = _HEAD, end
    return view, [view[it.offset : it.offset + it.length] for it in found]


def _frame(chunks: Sequence[tuple[bytes, int]]) -> tuple[list[Entry], bytes]:
    """Return where chunks lie in a pack, and what comes behind them. ValueError if that is too large."""
    ends = list(accumulate((size for _, size in chunks), initial=len(_HEAD)))
    found = [Entry(digest, at, size) for (digest, size), at in zip(chunks, ends, strict=False)]
    index = b"".join(_ENTRY.pack(*entry) for entry in found) if ends[-1] <= BYTES_MAX else b""
    size = ends[-1] + len(index) + FOOT_BYTES
    if size > BYTES_MAX:
        raise ValueError(f"a pack has at most {BYTES_MAX:,} bytes, and this one would have {size:,}")
    return found, index + _FOOT.pack(size, len(found), ends[-1], _proof(index, size), _HEAD)


def foot(end: Bytes) -> Foot:
    """Return what the last bytes of a pack say: at least FOOT_BYTES of them. ValueError if they are no pack's end."""
    if len(end) < FOOT_BYTES:
        raise ValueError(f"the end of a pack has {FOOT_BYTES} bytes, and here are {len(end)}")
    size, count, offset, digest, head = _FOOT.unpack(end[-FOOT_BYTES:])
    length = count * _ENTRY.size
    if head != _HEAD or offset < len(_HEAD) or offset + length + FOOT_BYTES != size:
        raise ValueError("these bytes are not the end of a pack, or are damaged")
    return Foot(size, offset, length, digest)


def entries(data: Bytes, at: Foot | None = None) -> list[Entry]:
    """Return the index of a whole pack; or, with the foot, that of the bytes where it says that the index lies.

    ValueError if it is damaged: a pack whose index is, is looked through chunk by chunk by those who know its chunks.
    """
    if at is None:
        at = foot(data)
        if at.size != len(data):
            raise ValueError(f"a pack of {at.size:,} bytes was cut to {len(data):,}, or is inside of something else")
        data = memoryview(data)[at.offset : at.offset + at.length]
    if len(data) != at.length or _proof(data, at.size) != at.digest:
        raise ValueError("the index of this pack is damaged")
    return [Entry(*it) for it in _ENTRY.iter_unpack(data)]


def damaged(data: Bytes) -> Iterator[Entry]:
    """Give the chunks of a whole pack whose bytes are not what they were. ValueError if the index is damaged."""
    view = memoryview(data)
    for entry in entries(view):
        if not is_named(view[entry.offset : entry.offset + entry.length], entry.digest):
            yield entry


def _proof(index: Bytes, size: int) -> bytes:
    return sha256(size.to_bytes(8, "little") + bytes(index)).digest()
