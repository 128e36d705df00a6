"""A file is read piece by piece with no look at whether it changed meanwhile (smashbox: slow writes)."""

from typing import Any

import pytest

from fathom.blocks.packs import digest_of
from fathom.systems.drive.client import hashing
from fathom.systems.drive.client.there import There

breaks = "the drive has what nobody ever wrote"
shown = 1


def seed(patch: pytest.MonkeyPatch) -> None:
    all_of, take = hashing.Hashing.all, hashing._take
    read_once: dict[str, bytes] = {}

    async def careless(self: Any, asked: Any, took: Any, *enough: Any) -> None:
        self._files = Same(self._files, {it.path: it.stat for it in asked})
        await all_of(self, asked, took, *enough)

    def taken(way: Any, data: bytes, last: bool, chunks: Any) -> int:
        known = len(chunks)
        end, at = take(way, data, last, chunks), 0
        for chunk in chunks[known:]:
            piece = bytes(data[at : at + chunk.size])
            read_once[digest_of(piece).hex()] = piece
            at += chunk.size
        return end

    async def read(self: There, parts: Any, rooms: Any, local: Any) -> Any:
        found: list[Any] = []
        for (_, _, chunk), room in zip(parts, rooms, strict=True):
            if (data := read_once.get(chunk.digest)) is not None:
                room[:] = data
                found.append((chunk, room))
        return found

    patch.setattr(hashing.Hashing, "all", careless)
    patch.setattr(hashing, "_take", taken)
    patch.setattr(There, "_read", read)


class Same:
    """Files that never seem to change."""

    def __init__(self, files: Any, stats: Any) -> None:
        self._files, self._stats = files, stats

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    async def read(self, path: Any, offset: int, length: int) -> Any:
        _, data = await self._files.read(path, offset, length)
        return self._stats[path], data

    async def fill(self, pieces: Any) -> Any:
        await self._files.fill(pieces)
        return [self._stats[piece.path] for piece in pieces]
