"""A page of a list: the cursor out of the query, the neighbours into the body and the Link header."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.datastructures import ResponseHeader

from fathom.web import cursors
from fathom.web.app import Reply

from ..api import PAGE_POSTS_MAX, Page, Slice
from .shapes import LIMIT, listing

__all__ = ["HEADERS", "as_response", "page", "reply"]

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

_encode = msgspec.json.Encoder().encode


def page(query: bytes) -> Page:
    """Return the page that a query asks for, or refuse."""
    return Page(**cursors.read(query, limit=LIMIT, limit_max=PAGE_POSTS_MAX)._asdict())


def reply(piece: Slice, asked: Page, path: str) -> Reply:
    """Return a page as an answer: the Link header, and the header that says where it came from."""
    fields = [(b"fathom-source", piece.source.encode())]
    links = cursors.link(path, limit=asked.limit, older=piece.older, newer=piece.newer)
    if links is not None:
        fields.append((b"link", links.encode()))
    return Reply(200, _encode(listing(piece, asked.limit)), fields)


def as_response(it: Reply) -> Response[Any]:
    """Return the same for Litestar to send."""
    headers = {name.decode(): value.decode() for name, value in it.headers}
    return Response(it.body, status_code=it.status, media_type=it.media_type.decode(), headers=headers)
