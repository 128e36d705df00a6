"""What a request hangs on, and which part of a file it asks for: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import NamedTuple

from fathom.errors import Refusal

from ..api import Content, Node

__all__ = ["Part", "Unmet", "date_of", "fresh", "met", "part", "tag_of"]

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class Unmet(Exception):
    """A condition of the request does not hold: nothing was done."""


class Part(NamedTuple):
    """Bytes of a file, from `start` and before `end`; `partial`, if they were asked for."""

    start: int
    end: int
    partial: bool = False


def tag_of(content: Content) -> str:
    """Return the strong etag of a file's bytes: they were cut as `digest` tells, and are what it is made of.

    >>> tag_of(Content("e3b0c442" * 8, 0))
    '"e3b0c442e3b0c442e3b0c442e3b0c442"'
    """
    return f'"{content.digest[:32]}"'


def date_of(node: Node) -> str:
    """Return when a file was changed, as HTTP says it."""
    return formatdate(min(max(node.modified_ms or node.at_ms, 0) // 1_000, 253_402_300_799), usegmt=True)


def met(headers: Mapping[bytes, bytes], tag: str | None) -> None:
    """Raise `Unmet` unless `If-Match` and `If-None-Match` let something be written; None: there is nothing yet.

    >>> met({b"if-none-match": b"*"}, None)
    """
    if (wanted := _text(headers, b"if-match")) is not None and not _among(wanted, tag, weak=False):
        raise Unmet
    if (unwanted := _text(headers, b"if-none-match")) is not None and _among(unwanted, tag, weak=True):
        raise Unmet


def fresh(headers: Mapping[bytes, bytes], tag: str, date: str) -> bool:
    """Whether who reads has it already; raise `Unmet` where they want what it is no more."""
    if (wanted := _text(headers, b"if-match")) is not None and not _among(wanted, tag, weak=False):
        raise Unmet
    if (known := _text(headers, b"if-none-match")) is not None:
        return _among(known, tag, weak=True)
    since = _text(headers, b"if-modified-since")
    return since is not None and _seconds(date) <= _seconds(since)


def part(headers: Mapping[bytes, bytes], size: int, tag: str, date: str) -> Part | None:
    """Return which bytes are asked for; None: there are none such.

    What is no range of bytes, or is several, is answered with all of them.

    >>> part({b"range": b"bytes=-3"}, 10, "", "")
    Part(start=7, end=10, partial=True)
    """
    asked = _RANGE.fullmatch(_text(headers, b"range") or "")
    if asked is None or asked[1] == asked[2] == "":
        return Part(0, size)
    only_if = _text(headers, b"if-range")
    if only_if is not None and only_if.strip() not in (tag, date):
        return Part(0, size)
    if asked[1] == "":
        start, end = max(0, size - int(asked[2])), size
    else:
        start, end = int(asked[1]), min(size, int(asked[2]) + 1) if asked[2] else size
        if asked[2] and int(asked[2]) < start:
            return Part(0, size)
    return Part(start, end, True) if start < end else None


def _among(listed: str, tag: str | None, *, weak: bool) -> bool:
    """Whether a list of etags has this one, or is `*` and there is one."""
    if listed.strip() == "*":
        return tag is not None
    found = _TAG.findall(listed)
    if not found:
        raise Refusal("invalid", "If-Match and If-None-Match take etags in quotes, or *")
    return tag in found or (weak and f"W/{tag}" in found)


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return -float("inf")
