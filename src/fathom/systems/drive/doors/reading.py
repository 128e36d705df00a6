"""A file's bytes on their way out: chunk after chunk, the next one fetched while this one is sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from fathom.errors import Refusal
from fathom.web.app import Reply, Stream
from fathom.web.problems import Problem, problem

from ..api import Chunk, Drive, Manifest, Node, NodeId, SpaceId, UserId
from .conditions import Unmet, date_of, fresh, part, tag_of
from .unbuffered import said

__all__ = ["BEYOND", "Reading", "unmet", "version_of"]

PIECE_BYTES = 256 << 10
AHEAD = 1  # chunks that are fetched while one is sent
OF_ONE, AT_ONCE = 16, 128  # files that are being sent: each holds up to two chunks of 16 MiB
GRACE_S, BYTES_PER_S_MIN = 60.0, 16_384
BEYOND = Problem(title="The file has no such part", status=416, code="no-such-part", detail="it is not that long")


class Reading:
    """Answers with a file's bytes, or with a part of them."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._sending: Counter[UserId] = Counter()

    async def answer(
        self, user: UserId, space: SpaceId, node: Node, headers: Mapping[bytes, bytes], *, head: bool = False
    ) -> Reply | Stream:
        """Return the content that `node` tells of, as the headers of a request ask for it."""
        if node.content is None:
            raise Refusal("invalid", "a folder holds no bytes of its own")
        tag, date, size = tag_of(node.content), date_of(node), node.content.size
        fields = [
            (b"etag", tag.encode()),
            (b"last-modified", date.encode()),
            (b"accept-ranges", b"bytes"),
            (b"cache-control", b"private, no-cache"),
            (b"content-disposition", b"attachment"),  # what somebody put here is nothing that a browser is to run
        ]
        try:
            if fresh(headers, tag, date):
                return Reply(304, b"", fields)
        except Unmet:
            return unmet()
        wanted = part({} if head else headers, size, tag, date)
        if wanted is None:
            return said(BEYOND, [*fields, (b"content-range", b"bytes */%d" % size)])
        length = wanted.end - wanted.start
        fields.append((b"content-length", b"%d" % length))
        if wanted.partial:
            fields.append((b"content-range", b"bytes %d-%d/%d" % (wanted.start, wanted.end - 1, size)))
        media_type, status = b"application/octet-stream", 206 if wanted.partial else 200
        if head or not length:
            return Stream(_nothing(), None, fields, media_type, status)
        manifest = await self._drive.manifest(user, space, node.id, node.version)
        self._enter(user)
        pieces = self._pieces(user, space, manifest, wanted.start, wanted.end)

        async def close() -> None:
            self._sending -= Counter((user,))

        lasts_s = GRACE_S + length / BYTES_PER_S_MIN
        return Stream(pieces, close, fields, media_type, status, lasts_s)

    def _enter(self, user: UserId) -> None:
        if self._sending[user] >= OF_ONE or self._sending.total() >= AT_ONCE:
            raise Refusal("unavailable", "too many files are being sent at once", retry_s=1)
        self._sending[user] += 1

    async def _pieces(
        self, user: UserId, space: SpaceId, manifest: Manifest, start: int, end: int
    ) -> AsyncGenerator[bytes]:
        async with contextlib.aclosing(
            ahead(lambda chunk: self._drive.chunk(user, space, chunk.digest), within(manifest, start, end))
        ) as found:
            async for data, first, last in found:
                for at in range(first, last, PIECE_BYTES):
                    yield data[at : min(at + PIECE_BYTES, last)]


def within(manifest: Manifest, start: int, end: int) -> list[tuple[Chunk, int, int]]:
    """Return the chunks in which the bytes of a part lie, and from where to where in each.

    >>> within(Manifest(cutting="", chunks=[Chunk("a", 5), Chunk("b", 5)]), 3, 7)
    [(Chunk(digest='a', size=5), 3, 5), (Chunk(digest='b', size=5), 0, 2)]
    """
    found: list[tuple[Chunk, int, int]] = []
    at = 0
    for chunk in manifest.chunks:
        if at < end and at + chunk.size > start:
            found.append((chunk, max(0, start - at), min(chunk.size, end - at)))
        at += chunk.size
    return found


async def ahead(
    fetch: Callable[[Chunk], Awaitable[bytes]], wanted: list[tuple[Chunk, int, int]]
) -> AsyncGenerator[tuple[bytes, int, int]]:
    """Give the bytes of chunks in their order; one is fetched while another is used, and never more."""
    tasks: list[asyncio.Task[bytes]] = []
    try:
        for number, (_, first, last) in enumerate(wanted):
            while len(tasks) <= AHEAD and number + len(tasks) < len(wanted):
                tasks.append(asyncio.ensure_future(_fetched(fetch, wanted[number + len(tasks)][0])))
            data = await tasks.pop(0)
            yield data, first, last
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _fetched(fetch: Callable[[Chunk], Awaitable[bytes]], chunk: Chunk) -> bytes:
    data = await fetch(chunk)
    if len(data) != chunk.size:
        raise Refusal("unavailable", f"chunk {chunk.digest} is not whole")
    return data


async def _nothing() -> AsyncGenerator[bytes]:
    for piece in ():
        yield piece


def unmet() -> Reply:
    """Return what is answered where a condition does not hold."""
    return said(problem("unmet", "it is not what you think: read it again"))


async def version_of(drive: Drive, user: UserId, space: SpaceId, id: NodeId, version: int) -> Node:
    """Return a file as it is, or as it was at one of its versions."""
    node = await drive.node(user, space, id)
    if not version or version == node.version:
        return node
    for held in await drive.versions(user, space, id):
        if held.version == version:
            return held
    raise Refusal("not-found", f"there is no version {version} of it")
