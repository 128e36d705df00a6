"""Pictures: room is reserved, bytes are kept, and only then is there a row that says so."""

from __future__ import annotations

import logging
from contextlib import suppress

from fathom.errors import Refusal

from ..api import File, Focus, Media, MediaId, UserId
from ..model.checks import checked_description, checked_focus, checked_id, checked_part, checked_upload
from .base import Base

__all__ = ["Pictures"]

log = logging.getLogger("fathom.timeline.media")


class Pictures(Base):
    """What is done with pictures. Who may see a post is told the names of its files; no list tells them."""

    async def upload(self, owner: UserId, body: bytes, description: str = "", focus: Focus | None = None) -> Media:
        checked_upload(body)
        checked_description(description)
        checked_focus(focus)
        uploads, rules = self._stores.uploads, self._rules
        async with self._house:
            id = await uploads.reserve(
                self._next, checked_id(owner), len(body), self._clock(), rules.unused_ms, rules.quota_bytes
            )
        try:
            picture = await self._workshop.rework(body)
            async with self._house:
                for part in picture:
                    await self._stores.blobs.keep(part.digest, part.body, self._clock())
                media = await uploads.finish(id, picture, description, focus)
                if media is None:
                    raise Refusal("unavailable", "the picture could not be kept, try again", retry_s=1.0)
                return media
        except Refusal:  # after anything else nobody knows whether it is there
            with suppress(Refusal, TimeoutError):  # then housekeeping does it, later
                async with self._house:
                    await uploads.give_back(id)
            raise

    async def uploaded(self, owner: UserId, media: MediaId) -> Media:
        with self._house:
            return await self._stores.uploads.of(owner, checked_id(media), self._clock(), self._rules.unused_ms)

    async def caption(
        self, owner: UserId, media: MediaId, description: str | None = None, focus: Focus | None = None
    ) -> Media:
        said = description if description is None else checked_description(description)
        checked_focus(focus)
        async with self._house:
            now_ms, unused_ms = self._clock(), self._rules.unused_ms
            return await self._stores.uploads.caption(owner, checked_id(media), said, focus, now_ms, unused_ms)

    async def discard(self, owner: UserId, media: MediaId) -> None:
        async with self._house:
            await self._stores.uploads.discard(owner, checked_id(media), self._clock(), self._rules.unused_ms)

    async def file(self, name: str, small: bool = False) -> File:
        with self._house:
            return (await self._stores.uploads.file(name, small, self._clock(), self._rules.unused_ms)).file

    async def content(self, name: str, small: bool, first: int, length: int) -> bytes:
        with self._house:
            kept = await self._stores.uploads.file(name, small, self._clock(), self._rules.unused_ms)
            checked_part(first, length, kept.file.bytes)
            found = await self._stores.blobs.content(kept.key, first, length)
        if found is None or len(found) != length:
            log.error("the object %s is lost: the truth has a row of it, and the object store has it not", kept.key)
            raise Refusal("not-found", "this file is lost")
        return found
