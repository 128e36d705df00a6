"""New files that are sent while others are read yet: what each of them holds is known when somebody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from ..core.state import Hashed
from .hashing import Asked, Took

__all__ = ["Later", "is_promise", "promised"]

_PROMISE = "?"


def promised(id: str) -> str:
    """Return the word for a content that nobody knows yet: equal to no other.

    >>> promised("f12"), is_promise(promised("f12")), is_promise("e3b0"), is_promise(None)
    ('?f12', True, False, False)
    """
    return _PROMISE + id


def is_promise(word: str | None) -> bool:
    """Tell whether that is the word for a content that is not known yet."""
    return word is not None and word.startswith(_PROMISE)


class Later:
    """Files that are being read. `read` reads them in their order, and tells of each what it holds, or None."""

    def __init__(
        self,
        asked: Collection[Asked] = (),
        read: Callable[[Sequence[Asked], Took], Awaitable[None]] | None = None,
        took: Callable[[str, Hashed | None], None] = lambda id, hashed: None,
    ) -> None:
        self._asked, self._read, self._told = list(asked), read, took
        self._open = {it.id: asyncio.Event() for it in asked}
        self._task: asyncio.Task[None] | None = None
        self.broken: set[str] = set()  # files that were not what was seen, or could not be read: the next look says why

    def __len__(self) -> int:
        """How many are not known yet."""
        return len(self._open)

    def begin(self) -> None:
        """Begin to read."""
        if self._open and self._task is None:
            self._task = asyncio.create_task(self._run())

    async def known(self, id: str) -> None:
        """Wait until it is known what a file holds, or that it is another one by now."""
        if (still := self._open.get(id)) is not None:
            self.begin()
            await still.wait()

    async def all(self) -> None:
        """Wait until all are known."""
        for id in list(self._open):
            await self.known(id)

    async def end(self) -> None:
        """Read no more. Raises what kept it from reading."""
        if self._task is not None:
            self._task.cancel()
            (fault,) = await asyncio.gather(self._task, return_exceptions=True)
            if isinstance(fault, Exception):
                raise fault
        self._close_all()

    async def _run(self) -> None:
        assert self._read is not None
        try:
            await self._read(self._asked, lambda asked, hashed, why: self._close(asked.id, hashed))
        finally:
            self._close_all()

    def _close_all(self) -> None:
        for id in list(self._open):
            self._close(id, None)

    def _close(self, id: str, hashed: Hashed | None) -> None:
        if (still := self._open.pop(id, None)) is not None:
            if hashed is None:
                self.broken.add(id)
            self._told(id, hashed)
            still.set()
