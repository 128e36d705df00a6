"""The If header: what tokens and etags somebody expects, of which resource (RFC 4918, section 10.4)."""

from __future__ import annotations

import re
from typing import NamedTuple

from fathom.errors import Refusal

__all__ = ["Condition", "Expected", "expected"]

_PART = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|<(?P<url>[^<>\s]*)>|(?P<no>Not\b)|\[(?P<tag>(?:W/)?\"[^\"]*\")\])", re.IGNORECASE
)
_CHARS_MAX = 8_192


class Condition(NamedTuple):
    """A lock's token or an etag that is expected, or with `no` is not."""

    no: bool
    token: str = ""
    tag: str = ""


class Expected(NamedTuple):
    """Conditions that have to hold together, of what lies at `url`; nothing: of what the request is about."""

    url: str
    conditions: list[Condition]


def expected(header: str) -> list[Expected]:
    """Read the header: of its lists one has to hold.

    >>> [(no, token, tag) for no, token, tag in expected('(Not <DAV:no-lock> ["x"])')[0].conditions]
    [(True, 'DAV:no-lock', ''), (False, '', '"x"')]
    """
    if len(header) > _CHARS_MAX:
        raise unreadable()
    found: list[Expected] = []
    conditions: list[Condition] | None = None
    at, url, no = 0, "", False
    text = header.strip()
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise unreadable()
        at = part.end()
        if part["open"] and conditions is None:
            conditions = []
        elif part["close"] and conditions and not no:
            found.append(Expected(url, conditions))
            conditions = None
        elif part["url"] is not None and conditions is None:
            url = part["url"]
        elif part["no"] and conditions is not None and not no:
            no = True
        elif conditions is not None and (part["url"] is not None or part["tag"] is not None):
            conditions.append(Condition(no, part["url"] or "", part["tag"] or ""))
            no = False
        else:
            raise unreadable()
    if conditions is not None or not found:
        raise unreadable()
    return found


def unreadable() -> Refusal:
    return Refusal("invalid", "the If header cannot be read")
