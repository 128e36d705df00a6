"""How it is found out what files hold: each is read once, cut into chunks, and named by them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import accumulate, compress, pairwise
from operator import not_
from typing import NamedTuple

from msgspec.structs import replace

from fathom.blocks.buffers import Buffers
from fathom.blocks.chunking import Cutting
from fathom.blocks.packs import digest_of

from ..api import Chunk, Digest
from ..core.contents import word
from ..core.files import Changed, Files, Path, Piece, Stat
from ..core.state import Hashed
from ..model.checks import content_of
from .place import Knobs, several

__all__ = ["Asked", "Hashing", "cut"]


class Asked(NamedTuple):
    """A file as it was seen, and what it held before, if that is known."""

    id: str
    path: Path
    stat: Stat
    before: Hashed | None
    program: bool


Took = Callable[[Asked, "Hashed | None", str], None]
"""Takes what a file holds, or None: it changed meanwhile, or cannot be read, and why."""


class Hashing:
    """Reads files that are to be cut in one way, small ones together: a thread costs more than to read one of them."""

    def __init__(self, files: Files, cutting: str, knobs: Knobs) -> None:
        self._files, self._cutting, self._knobs = files, cutting, knobs
        self._buffers = Buffers(knobs.piece_bytes + Cutting.of(cutting).most, keep=2 * knobs.hashes)

    async def all(self, asked: Sequence[Asked], took: Took) -> None:
        """Say of each file what it holds as soon as it is known."""

        async def one(together: list[Asked]) -> None:
            if len(together) > 1:
                await self._together(together, took)
            else:
                await self._alone(together[0], took)

        await several(self._knobs.hashes, [partial(one, together) for together in self._grouped(asked)])

    def _grouped(self, asked: Sequence[Asked]) -> Iterator[list[Asked]]:
        group: list[Asked] = []
        size = 0
        for it in asked:
            if it.before is not None and it.before.cutting != self._cutting:
                yield [it]
                continue
            if group and size + it.stat.size > self._knobs.piece_bytes:
                yield group
                group, size = [], 0
            group.append(it)
            size += it.stat.size
        if group:
            yield group

    async def _together(self, asked: list[Asked], took: Took) -> None:
        at_ns, way = self._files.now_ns(), Cutting.of(self._cutting)
        with self._buffers.lent(sum(it.stat.size for it in asked)) as room:
            ends = list(accumulate((it.stat.size for it in asked), initial=0))
            parts = [room[begin:end] for begin, end in pairwise(ends)]
            stats = await self._files.fill([Piece(it.path, 0, part) for it, part in zip(asked, parts, strict=True)])
            same = [stat == it.stat for it, stat in zip(asked, stats, strict=True)]
            cut = await asyncio.to_thread(lambda: [_chunks(way, part) for part in compress(parts, same)])
        for it, chunks in zip(compress(asked, same), cut, strict=True):
            took(it, _hashed(it, self._cutting, at_ns, chunks), "")
        for it in compress(asked, map(not_, same)):
            await self._alone(it, took)  # it is another one by now, or cannot be read

    async def _alone(self, it: Asked, took: Took) -> None:
        """Read a file piece by piece.

        One that was cut in another way is cut so again: if it still holds the same it is not another file for that.
        """
        try:
            hashed = None
            if it.before is not None and it.before.cutting != self._cutting:
                hashed = await self._cut(it, it.before.cutting)
                if hashed is None or hashed.chunks == it.before.chunks:
                    took(it, hashed, "")
                    return
            took(it, await self._cut(it, self._cutting), "")
        except (OSError, Changed) as fault:
            took(it, None, _why(fault))

    async def _cut(self, it: Asked, cutting: str) -> Hashed | None:
        at_ns, way = self._files.now_ns(), Cutting.of(cutting)
        chunks: list[Chunk] = []
        size, most = it.stat.size, self._knobs.piece_bytes
        front = way.most if size > most else 0  # of each room: where that part of the piece before lies that is uncut
        with self._buffers.lent(front + min(most, size)) as room, self._buffers.lent(front + min(most, size)) as next:
            offset = rest = 0
            piece = min(most, size)
            same = await self._read(it, 0, room[front : front + piece])
            while same:
                offset += piece
                uncut = room[front - rest : front + piece]
                if offset == size:
                    await asyncio.to_thread(_take, way, uncut, True, chunks)
                    return _hashed(it, cutting, at_ns, chunks)
                piece = min(most, size - offset)
                coming = asyncio.ensure_future(self._read(it, offset, next[front : front + piece]))
                try:
                    cut = await asyncio.to_thread(_take, way, uncut, False, chunks)
                except BaseException:
                    with contextlib.suppress(Exception):  # it may still be writing there
                        await coming
                    raise
                rest = len(uncut) - cut
                next[front - rest : front] = uncut[cut:]
                same = await coming
                room, next = next, room
        return None

    async def _read(self, it: Asked, offset: int, room: memoryview) -> bool:
        """Read a piece; tell whether it is of the file that was seen."""
        (now,) = await self._files.fill([Piece(it.path, offset, room)])
        if now is None:
            await self._files.read(it.path, 0, 1)  # which says why, if it cannot be read
        return now == it.stat


def _hashed(it: Asked, cutting: str, at_ns: int, chunks: list[Chunk]) -> Hashed:
    content = word(replace(content_of(chunks), executable=it.program))
    return Hashed(it.stat.size, it.stat.mtime_ns, it.stat.ctime_ns, at_ns, content, cutting, chunks)


def _why(fault: Exception) -> str:
    """Say why a file cannot be read; nothing: there is another one, or none, by now."""
    if isinstance(fault, (FileNotFoundError, NotADirectoryError, Changed)):
        return ""
    return getattr(fault, "strerror", None) or repr(fault)


def _take(way: Cutting, data: bytes | memoryview, last: bool, chunks: list[Chunk]) -> int:
    """Add the chunks of some data that are sure; return where they end."""
    view, begin = memoryview(data), 0
    for end in way.ends(data, last=last):
        chunks.append(Chunk(Digest(digest_of(view[begin:end]).hex()), end - begin))
        begin = end
    return begin


def _chunks(way: Cutting, data: bytes | memoryview) -> list[Chunk]:
    chunks: list[Chunk] = []
    _take(way, data, True, chunks)
    return chunks


def cut(way: Cutting, data: bytes) -> str:
    """Return the digest of a file that holds this."""
    return content_of(_chunks(way, data)).digest
