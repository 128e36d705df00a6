"""What a request may say beside its body: who asks, about what, and which page."""

from __future__ import annotations

from typing import Annotated

from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from fathom.blocks.places import WORD_CHARS
from fathom.web.idempotency import KEY_CHARS_MAX

from ..api import PAGE_POSTS_MAX, TRENDING_HOURS_MAX, UserId
from .shapes import ID, NAME

__all__ = ["LOCATION", "Cursor", "Hours", "Key", "Limit", "MaxId", "MinId", "PostPath", "SinceId", "UserName", "Viewer"]

Viewer = NamedDependency[UserId]  # the gate finds out; a handler that takes one is for those who are known
UserName = Annotated[str, PathParameter(pattern=NAME, description="An account's name")]
PostPath = Annotated[str, PathParameter(pattern=ID, description="A post's id")]

_KEY = f"[A-Za-z0-9._:~+/=-]{{1,{KEY_CHARS_MAX}}}"
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=f'^("{_KEY}"|{_KEY})$',
        description="The same key within a day gives the same post, however often it is sent: retry with it",
    ),
]

LOCATION = [ResponseHeader(name="Location", value="", documentation_only=True, description="Where it lies from now on")]

# These document the query, and Litestar checks it; `pages.page` reads it, also on the routes that leave Litestar.
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_POSTS_MAX, description="At most so many posts")]
Hours = Annotated[int, QueryParameter(ge=1, le=TRENDING_HOURS_MAX, description="Of the last so many hours")]
MaxId = Annotated[str | None, QueryParameter(pattern=ID, description="Only posts older than this one")]
SinceId = Annotated[
    str | None,
    QueryParameter(pattern=ID, description="Only posts newer than this one: the newest of them"),
]
MinId = Annotated[
    str | None,
    QueryParameter(
        pattern=ID,
        description="Only posts newer than this one: the oldest of them, so that walking up closes a gap of any length",
    ),
]
Cursor = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^[A-Za-z0-9_-]{{{WORD_CHARS}}}$",
        description="The `next` of the page above, sent back as it was",
    ),
]
