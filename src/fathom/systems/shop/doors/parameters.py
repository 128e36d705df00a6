"""What a request may say beside its body: who asks, under which key, about what, and which page."""

from __future__ import annotations

from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import HeaderParameter, PathParameter, QueryParameter

from fathom.errors import Refusal
from fathom.web.idempotency import KEY_CHARS_MAX

from ..api import PAGE_MAX, JobState, Status, UserId
from ..model.checks import ID_MAX

__all__ = [
    "After",
    "Category",
    "Id",
    "Key",
    "Limit",
    "Name",
    "OnlyState",
    "OnlyStatus",
    "Seq",
    "Viewer",
    "Words",
    "number",
]

Viewer = NamedDependency[UserId]  # the gate finds out; a handler that takes one is for those who are known
Id = Annotated[str, PathParameter(description="An id", pattern="^[0-9]{1,16}$")]
Name = Annotated[str, PathParameter(description="The name of a picture's size", pattern="^[A-Za-z0-9._-]{1,80}$")]

_KEY = f"[A-Za-z0-9._:~+/=-]{{1,{KEY_CHARS_MAX}}}"
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=f'^("{_KEY}"|{_KEY})$',
        description="The same key within a day is done once and answered alike, byte for byte: retry with it",
    ),
]
Limit = Annotated[int, QueryParameter(ge=1, le=PAGE_MAX, description="At most so many")]
After = Annotated[
    str, QueryParameter(pattern="^[0-9]{0,16}$", description="The `after` of the page before; nothing: the first page")
]
Seq = Annotated[
    int, QueryParameter(ge=0, le=ID_MAX, description="The `after` of the page before; 0: from the beginning")
]
Category = Annotated[str, QueryParameter(pattern="^[a-z0-9-]{0,40}$", description="Only of this category")]
Words = Annotated[str, QueryParameter(min_length=1, max_length=200, description="Words that it has, all of them")]
OnlyStatus = Annotated[Status, QueryParameter(description="Only with this status")]
OnlyState = Annotated[
    JobState, QueryParameter(name="state", description="Only in this state; dead: the dead-letter queue")
]


def number(text: str) -> int:
    """Return the id that a path says."""
    # The pattern has let a line's end through, and digits of other scripts are numbers to int().
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= ID_MAX):
        raise Refusal("not-found", "there is no such thing")
    return int(text)
