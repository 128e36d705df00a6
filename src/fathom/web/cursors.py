"""Where a page begins and ends: limit, max_id, since_id, min_id out of a query, and the Link header back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

from fathom.errors import Refusal

__all__ = ["ID_MAX", "Cursor", "link", "read", "read_opaque"]

ID_MAX = 2**53 - 1  # the largest id that every JSON reader holds exactly
_IDS = ("max_id", "since_id", "min_id")


class Cursor(NamedTuple):
    """Which part of a list is asked for; a system turns it into its own page."""

    limit: int
    max_id: int | None = None
    since_id: int | None = None
    min_id: int | None = None


def read(query: bytes, *, limit: int, limit_max: int, also: Iterable[str] = ()) -> Cursor:
    """Read a cursor from a raw query string; refuse what is out of bounds, said twice, or unknown.

    `also` names the parameters that the caller reads for itself.

    >>> read(b"max_id=7", limit=20, limit_max=40)
    Cursor(limit=20, max_id=7, since_id=None, min_id=None)
    """
    if not query:
        return Cursor(limit)
    given: dict[str, int] = {}
    for name, text in _pairs(query):
        if name in given:
            raise Refusal("invalid", f"{name} is said twice")
        if name == "limit":
            given[name] = _number(name, text, 1, limit_max)
        elif name in _IDS:
            given[name] = _number(name, text, 0, ID_MAX)
        elif name not in also:
            raise Refusal("invalid", f"there is no parameter '{name[:40]}'; say limit, max_id, since_id or min_id")
    if "since_id" in given and "min_id" in given:
        raise Refusal("invalid", "since_id and min_id contradict each other: say which end of what is newer you want")
    return Cursor(given.get("limit", limit), *(given.get(name) for name in _IDS))


def read_opaque(query: bytes, *, limit: int, limit_max: int) -> tuple[int, str | None]:
    """Read limit and cursor of a list whose cursors are words of its own; what they say is for the list to check.

    >>> read_opaque(b"cursor=AQAA&limit=5", limit=20, limit_max=40)
    (5, 'AQAA')
    """
    given: dict[str, str] = {}
    for name, text in _pairs(query) if query else ():
        if name not in ("limit", "cursor"):
            raise Refusal("invalid", f"there is no parameter '{name[:40]}'; say limit or cursor")
        if name in given:
            raise Refusal("invalid", f"{name} is said twice")
        given[name] = text
    most = _number("limit", given["limit"], 1, limit_max) if "limit" in given else limit
    return most, given.get("cursor")


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=16, errors="strict")
    except ValueError:
        raise Refusal("invalid", "the query cannot be read") from None


def link(path: str, *, limit: int, older: int | None, newer: int | None, **also: str) -> str | None:
    """Return the Link header (RFC 8288) of a page: `next` is the page below, `prev` the one above.

    >>> link("/home", limit=20, older=7, newer=None)
    '</home?limit=20&max_id=7>; rel="next"'
    """
    links: list[str] = []
    start = f"<{path}?{urlencode(also)}&limit={limit}" if also else f"<{path}?limit={limit}"
    if older is not None:
        links.append(f'{start}&max_id={older}>; rel="next"')
    if newer is not None:
        links.append(f'{start}&min_id={newer}>; rel="prev"')
    return ", ".join(links) or None


def _number(name: str, text: str, low: int, high: int) -> int:
    # Only plain digits: int() would also take "+1", " 1", "1_0" and digits of other scripts.
    if text.isascii() and text.isdigit() and len(text) <= 16 and low <= (value := int(text)) <= high:
        return value
    raise Refusal("invalid", f"{name} is a whole number from {low} to {high}, not '{text[:40]}'")
