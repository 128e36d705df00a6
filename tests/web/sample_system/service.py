"""The request path of the sample system."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fathom.engines.ledger import charge, operation
from fathom.errors import Refusal

from .api import Note, NoteId


class Service:
    def __init__(self, choices: Any) -> None:
        self._choices = choices
        self._notes: list[Note] = []
        self._holders: defaultdict[str, int] = defaultdict(int)
        self._came = asyncio.Event()
        self._held: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def write(self, text: str, *, copies: int = 1) -> Note:
        if not text:
            raise Refusal("invalid", "a note says something", retry_s=None)
        for _ in range(copies):
            self._notes.append(Note(id=NoteId(len(self._notes) + 1), text=text))
        return self._notes[-1]

    async def notes(self, newest: int | None = None) -> list[Note]:
        return self._notes if newest is None else self._notes[-newest:]

    async def greet(self, name: str) -> str:
        return await self._choices.greeting.greet(name)

    async def whoami(self, token: str) -> int:
        if token != "a-good-token":
            raise Refusal("unauthorised", "nobody has this token")
        return 7

    async def hold(self, name: str) -> str:
        self._holders[name] += 1
        self._came.set()
        await self._held[name].wait()
        return name

    async def holding(self, name: str, number: int) -> None:
        """Return when so many hold that name."""
        while self._holders[name] < number:
            self._came.clear()
            await self._came.wait()

    async def release(self, name: str) -> None:
        self._held[name].set()

    async def caused(self) -> str:
        charge("commands")
        return operation.get()

    async def fall(self) -> None:
        raise RuntimeError("secret details")

    async def settled(self) -> None:
        return None


@asynccontextmanager
async def open(stores: Any, choices: Any) -> AsyncIterator[Service]:
    assert stores is None
    yield Service(choices)
