"""A free list of buffers: memory is lent again, as to have the system give new memory costs more than to fill it."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Buffers"]


class Buffers:
    """Lends buffers of one size, and keeps at most so many until it is told to forget them.

    Whoever needs more than that size has one made. The system gives memory only where something is written: a large
    buffer of which little is used costs little. It is used from one thread.

    >>> buffers = Buffers(1_000, keep=2)
    >>> with buffers.lent(600) as room:
    ...     room[:3] = b"tea"
    ...     len(room), buffers.kept
    (600, 0)
    >>> buffers.kept
    1
    """

    def __init__(self, size: int, *, keep: int) -> None:
        self._size, self._keep = size, keep
        self._free: list[mmap.mmap] = []

    @property
    def kept(self) -> int:
        """How many are not lent to anybody."""
        return len(self._free)

    @contextmanager
    def lent(self, size: int) -> Iterator[memoryview]:
        """Lend a buffer for the length of a block, with anything in it.

        It is lent to nobody else after an exception: whoever was waited for in vain may still write to it, or read.
        """
        large = size > self._size
        buffer = _made(size) if large else self._free.pop() if self._free else _made(self._size)
        yield memoryview(buffer)[:size]
        if not large and len(self._free) < self._keep:
            self._free.append(buffer)

    def forget(self) -> None:
        """Give back what is lent to nobody."""
        self._free.clear()


def _made(size: int) -> mmap.mmap:
    """Return new memory: private, which costs a third less to fill first than what could be shared."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size)  # Windows has one kind
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
