"""A page of posts: the cursor out of the query, the neighbours into the body and the Link header."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.datastructures import ResponseHeader

from fathom.web import cursors
from fathom.web.app import Reply

from ..api import PAGE_POSTS_MAX, Page, Post, Slice
from ..service import Copies
from .shapes import LIMIT, listing, published

__all__ = ["HEADERS", "NEXT", "Renderer", "as_response", "page", "reply"]

HEADERS = [
    ResponseHeader(
        name="Link",
        value="",
        documentation_only=True,
        description="The page below (rel=next) and the page above (rel=prev)",
    ),
    ResponseHeader(
        name="Fathom-Source",
        value="feed",
        documentation_only=True,
        description="feed: pushed; pull: put together for this request; fallback: the same, because a store is down",
    ),
]

NEXT = ResponseHeader(name="Link", value="", documentation_only=True, description="The page below (rel=next)")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Post).decode


FIRST = Page(limit=LIMIT)


def page(query: bytes) -> Page:
    """Return the page that a query asks for, or refuse."""
    if not query:
        return FIRST
    limit, max_id, since_id, min_id = cursors.read(query, limit=LIMIT, limit_max=PAGE_POSTS_MAX)
    return Page(
        limit=limit,
        max_id=max_id,  # pyright: ignore[reportArgumentType]  (numbers become ids here)
        since_id=since_id,  # pyright: ignore[reportArgumentType]
        min_id=min_id,  # pyright: ignore[reportArgumentType]
    )


def reply(piece: Slice, asked: Page, path: str) -> Reply:
    """Return a page as an answer: the Link header, and the header that says where it came from."""
    return Reply(200, _encode(listing(piece, asked.limit)), _fields(piece, asked, path))


def _fields(piece: Slice | Copies, asked: Page, path: str) -> list[tuple[bytes, bytes]]:
    fields = [(b"fathom-source", piece.source.encode())]
    links = cursors.link(path, limit=asked.limit, older=piece.older, newer=piece.newer)
    if links is not None:
        fields.append((b"link", links.encode()))
    return fields


class Renderer:
    """Writes pages of copies as `reply` would, and keeps what it wrote of each copy.

    Many read the same post within a short time, and reading it from JSON to write it as other JSON is most of what a
    page costs. What is kept is found by the very bytes that it was made of, so it cannot be out of date: a post that
    changes has another copy. What was written longest ago goes first.
    """

    def __init__(self, copies_max: int = 20_000) -> None:
        self._copies_max = copies_max
        self._written: dict[bytes, bytes] = {}

    def reply(self, piece: Copies, asked: Page, path: str) -> Reply:
        written = self._written
        try:
            posts = b",".join([written[copy] for copy in piece.json])
        except KeyError:
            posts = b",".join([self._post(copy) for copy in piece.json])
        body = b'{"posts":[%b],"pagination":{"limit":%d,"older":%b,"newer":%b},"source":"%b"}' % (
            posts,
            asked.limit,
            b"null" if piece.older is None else b'"%d"' % piece.older,
            b"null" if piece.newer is None else b'"%d"' % piece.newer,
            piece.source.encode(),
        )
        return Reply(200, body, _fields(piece, asked, path))

    def _post(self, copy: bytes) -> bytes:
        found = self._written.get(copy)
        if found is None:
            found = self._written[copy] = _encode(published(_decode(copy)))
            if len(self._written) > self._copies_max:
                for old in list(self._written)[: self._copies_max // 8]:
                    del self._written[old]
        return found


def as_response(it: Reply) -> Response[Any]:
    """Return the same for Litestar to send."""
    headers = {name.decode(): value.decode() for name, value in it.headers}
    return Response(it.body, status_code=it.status, media_type=it.media_type.decode(), headers=headers)
