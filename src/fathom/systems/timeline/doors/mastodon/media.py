"""Pictures: sent, described, and their files given to whoever knows where they lie."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any

from fathom.errors import Refusal
from fathom.web.app import Reply, Stream

from ...api import MEDIA_BYTES_MAX, File, Focus, MediaId, Timeline
from .asked import Asked
from .entities import attachment
from .routes import ANYBODY, Route

__all__ = ["Pictures"]

FORM_BYTES_MAX = 64 * 1024  # beside the file
PIECE_BYTES = 256 * 1024  # of a file in memory, for each who reads one
READERS_MAX = 256  # of files that are longer than a piece
READ_S = 60.0

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_RANGE = re.compile(rb"bytes=(\d{0,15})-(\d{0,15})")
_FOCUS = re.compile(r"\s*(-?[0-9.]{1,20})\s*,\s*(-?[0-9.]{1,20})\s*")
_KEPT = (
    # What lies under a name never changes: another picture has another name.
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"cross-origin-resource-policy", b"cross-origin"),  # clients in a browser lie elsewhere
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"accept-ranges", b"bytes"),
)


class Pictures:
    """Handlers about pictures.

    A file's address is a drawn name that only those are told who may see its post. As in Mastodon whoever has the
    address may read the file, also without a token, for as long as the picture is there.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline, self._readers = timeline, 0

    def routes(self) -> list[Route]:
        at, write = "/api/v1/media", "write:media"
        return [
            Route("POST", at, write, self.upload, MEDIA_BYTES_MAX + FORM_BYTES_MAX),
            Route("POST", "/api/v2/media", write, self.upload, MEDIA_BYTES_MAX + FORM_BYTES_MAX),
            Route("GET", f"{at}/:id", write, self.one),
            Route("PUT", f"{at}/:id", write, self.update),
            Route("DELETE", f"{at}/:id", write, self.discard),
            Route("GET", "/pictures/:name/:file", ANYBODY, self.file),
        ]

    async def upload(self, asked: Asked) -> Any:
        """Keep a picture. It is ready at once: there is nothing to ask for again."""
        body = asked.files.get("file")
        if body is None:
            raise Refusal("invalid", "Validation failed: File can't be blank")
        asked.hold({}, {"thumbnail"} & asked.files.keys())
        kept = await self._timeline.upload(asked.viewer, body, asked.text("description") or "", _focus(asked))
        return attachment(kept, asked.base)

    async def one(self, asked: Asked) -> Any:
        return attachment(await self._timeline.uploaded(asked.viewer, MediaId(asked.id())), asked.base)

    async def update(self, asked: Asked) -> Any:
        asked.hold({}, {"thumbnail"} & (asked.files.keys() | asked.said.keys()))
        id = MediaId(asked.id())
        return attachment(
            await self._timeline.caption(asked.viewer, id, asked.text("description"), _focus(asked)), asked.base
        )

    async def discard(self, asked: Asked) -> Any:
        await self._timeline.discard(asked.viewer, MediaId(asked.id()))
        return {}

    # Files

    async def file(self, asked: Asked) -> Reply | Stream:
        name, (which, _, ending) = asked.path[0], asked.path[1].partition(".")
        small = which == "small"
        if not _NAME.fullmatch(name) or which not in ("small", "original"):
            raise Refusal("not-found", "there is no such file")
        file = await self._timeline.file(name, small)
        if ending != file.form:
            raise Refusal("not-found", "there is no such file")
        etag = f'"{file.digest}"'.encode()
        fields = [(b"etag", etag), *_KEPT]
        headers, type = asked.visit.headers, f"image/{file.form}".encode()
        if etag in headers.get(b"if-none-match", b"") or headers.get(b"if-none-match") == b"*":
            return Reply(304, b"", fields, type)
        status, first, length = 200, 0, file.bytes
        wanted = headers.get(b"range")
        if wanted is not None and headers.get(b"if-range", etag) == etag and (part := _part(wanted, file)):
            first, length = part
            if length < 1:
                return Reply(416, b"", [(b"content-range", f"bytes */{file.bytes}".encode()), *fields], type)
            status = 206
            fields.append((b"content-range", f"bytes {first}-{first + length - 1}/{file.bytes}".encode()))
        if length <= PIECE_BYTES:
            return Reply(status, await self._timeline.content(name, small, first, length), fields, type)
        return await self._long(name, small, (first, length), status, fields, type)

    async def _long(
        self, name: str, small: bool, part: tuple[int, int], status: int, fields: list[tuple[bytes, bytes]], type: bytes
    ) -> Stream:
        """Give a file piece by piece, as fast as it is taken: a slow reader costs the memory of one."""
        if self._readers >= READERS_MAX:
            raise Refusal("unavailable", "too many read files at once, try again", retry_s=1.0)
        first, length = part
        self._readers += 1
        try:
            begins = await self._timeline.content(name, small, first, PIECE_BYTES)  # while it can still be refused
        except BaseException:
            self._readers -= 1
            raise

        async def pieces() -> AsyncGenerator[bytes]:
            yield begins
            for at in range(first + PIECE_BYTES, first + length, PIECE_BYTES):
                yield await self._timeline.content(name, small, at, min(PIECE_BYTES, first + length - at))

        async def close() -> None:
            self._readers -= 1

        fields = [*fields, (b"content-length", b"%d" % length)]
        return Stream(pieces(), close, fields, type, status, READ_S)


def _part(wanted: bytes, file: File) -> tuple[int, int] | None:
    """Return where a wanted part begins and its length, 0 where it lies outside; None: it is to be given whole."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found[0] == b"bytes=-":
        return None
    if not found[1]:
        length = min(int(found[2]), file.bytes)
        return file.bytes - length, length
    first = int(found[1])
    last = min(int(found[2] or file.bytes), file.bytes - 1)
    if found[2] and int(found[2]) < first:
        return None  # it makes no sense, and is as if it had not been said
    return first, max(0, last - first + 1)


def _focus(asked: Asked) -> Focus | None:
    said = asked.text("focus")
    if not said:
        return None
    found = _FOCUS.fullmatch(said)
    try:
        return (float(found[1]), float(found[2])) if found else _no_focus()
    except ValueError:
        return _no_focus()


def _no_focus() -> Focus:
    raise Refusal("invalid", "Validation failed: focus is two numbers with a comma between")
