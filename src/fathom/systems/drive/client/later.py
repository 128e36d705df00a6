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
    """Files that are being read. `read` reads them in their order; `took` is told of each what it holds, or None."""

    def __init__(
        self,
        asked: Collection[Asked] = (),
        read: Callable[[Sequence[Asked], Took], Awaitable[None]] | None = None,
        took: Callable[[Asked, Hashed | None], None] = lambda asked, hashed: None,
    ) -> None:
        self._open = {it.id: it for it in asked}
        self._read, self._took = read, took
        self._waiting: dict[str, asyncio.Event] = {}
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
        self.begin()
        if id in self._open:
            await self._waiting.setdefault(id, asyncio.Event()).wait()

    async def all(self) -> None:
        """Wait until all are known."""
        for id in list(self._open):
            await self.known(id)

    async def end(self) -> Exception | None:
        """Read no more; return what kept it from reading."""
        fault: object = None
        if self._task is not None:
            self._task.cancel()
            (fault,) = await asyncio.gather(self._task, return_exceptions=True)
        self._close_all()
        return fault if isinstance(fault, Exception) else None

    async def _run(self) -> None:
        assert self._read is not None
        try:
            await self._read(list(self._open.values()), lambda asked, hashed, why: self._close(asked, hashed))
        finally:
            self._close_all()

    def _close_all(self) -> None:
        """Let nobody wait any more, whatever telling it comes to."""
        try:
            for asked in list(self._open.values()):
                self._close(asked, None)
        finally:
            self.broken.update(self._open)
            self._open.clear()
            for still in self._waiting.values():
                still.set()

    def _close(self, asked: Asked, hashed: Hashed | None) -> None:
        if self._open.pop(asked.id, None) is None:
            return
        if hashed is None:
            self.broken.add(asked.id)
        try:
            self._took(asked, hashed)
        finally:
            if (still := self._waiting.pop(asked.id, None)) is not None:
                still.set()
