"""What happened in a world, as a running hash and, for whoever watches, event by event."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Trace"]

FLUSH_BYTES = 1 << 16  # hashed in pieces of this size: a call of `update` for each event costs as much as the event

Watch = Callable[[int, str, str, Any], None]  # at_ns, what, whom, and what came with it


class Trace:
    """A running BLAKE2b over everything noted; two runs of one seed must end with the same `hash()`.

    Notes are MessagePack, which says itself where it ends, so that no two sequences of notes are the same bytes.
    What a note holds must be structs, numbers, strings, bytes, lists, dicts or exceptions. A set of strings may be
    noted, and is then seen: its order differs from process to process, and so does the hash.
    """

    __slots__ = ("_buffer", "_encode_into", "_hash", "notes", "watch")

    def __init__(self, watch: Watch | None = None) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._buffer = bytearray()
        self._encode_into = msgspec.msgpack.Encoder(enc_hook=_plain).encode_into
        self.notes = 0
        self.watch = watch

    def note(self, at_ns: int, what: str, whom: str, about: Any = None) -> None:
        """Note that `what` happened to `whom`; `about` is what came with it."""
        self.notes += 1
        buffer = self._buffer
        self._encode_into((at_ns, what, whom, about), buffer, -1)
        if len(buffer) > FLUSH_BYTES:
            self._flush()
        if self.watch is not None:
            self.watch(at_ns, what, whom, about)

    def hash(self) -> str:
        """Return the hash of everything noted so far: 32 hexadecimal digits."""
        self._flush()
        return self._hash.hexdigest()

    def _flush(self) -> None:
        self._hash.update(self._buffer)
        self._buffer.clear()


def _plain(what: object) -> tuple[str, tuple[Any, ...]]:
    """Return an exception (a refusal may be an answer) as what can be encoded."""
    if isinstance(what, BaseException):
        return type(what).__name__, what.args
    raise TypeError(f"the trace cannot note a {type(what).__name__}: whatever crosses the world is plain data")
