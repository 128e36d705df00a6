"""Merged first pages in Redis, each for a while, and which are not shown any more because their reader acted."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from fathom.blocks.changes import Changes

from ..api import PostId, UserId
from .memory import Memory, MemoryShut

__all__ = ["MergedPage", "MergedPages"]


class MergedPage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ids that were found for a first page of at most `limit`, and whose posts among them are not to be shown."""

    stamp: int
    limit: int
    ids: list[PostId]
    hidden: frozenset[UserId]


_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(MergedPage).decode


class MergedPages:
    """A page has ids alone, so what a post says of itself, and whether it is still there, is as of now.

    Whom the reader follows, mutes and blocks, and what they wrote, is told apart by number: a page that was put
    together before the reader's last change is not shown, also if it is kept only after that. One service serves these
    data, so it hears of every change; what an earlier one kept is not found.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._life = secrets.token_hex(6).encode()
        self.changes = Changes()

    def _key(self, generation: int, reader: UserId) -> bytes:
        return b"merged:%b:%d:%d" % (self._life, generation, reader)

    async def kept(self, generation: int, reader: UserId, limit: int) -> MergedPage | None:
        """Return a page of at least so many; None: there is none that may be shown."""
        found = await self._memory.ask("GET", self._key(generation, reader))
        page = None if found is None else _decode(found)
        return None if page is None or page.limit < limit or self.changes.since(reader, page.stamp) else page

    async def keep(
        self, generation: int, reader: UserId, stamp: int, limit: int, ids: Sequence[PostId],
        hidden: frozenset[UserId], kept_s: float,
    ) -> None:  # fmt: skip
        """Keep a page that was put together after `changes.now` was `stamp`."""
        page = _encode(MergedPage(stamp, limit, list(ids), hidden))
        with suppress(MemoryShut):  # then the next read puts it together
            await self._memory.look([("SET", self._key(generation, reader), page, "PX", max(1, int(1000 * kept_s)))])
