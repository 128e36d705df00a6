"""Keeps notes in memory, and greets: what the web floor is tested with."""

from __future__ import annotations

from typing import NewType, Protocol

import msgspec

__all__ = ["Note", "NoteId", "SampleSystem"]

NoteId = NewType("NoteId", int)


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A note."""

    id: NoteId
    text: str


class SampleSystem(Protocol):
    """What a client can ask."""

    async def write(self, text: str, *, copies: int = 1) -> Note:
        """Write a note; refuse an empty one."""
        ...

    async def notes(self, newest: int | None = None) -> list[Note]:
        """Return all notes, or the newest few."""
        ...

    async def greet(self, name: str) -> str:
        """Greet as was chosen."""
        ...

    async def whoami(self, token: str) -> int:
        """Return whose token this is."""
        ...

    async def hold(self, name: str) -> str:
        """Answer only when `release` was called with the same name."""
        ...

    async def release(self, name: str) -> None:
        """Let those go who hold this name."""
        ...

    async def caused(self) -> str:
        """Return the operation that this call is charged to, and charge it one command."""
        ...

    async def fall(self) -> None:
        """Break."""
        ...

    async def settled(self) -> None: ...
