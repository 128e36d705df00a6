"""A request that may be sent twice and happens once: its key."""

from __future__ import annotations

import re

from fathom.errors import Refusal

__all__ = ["KEY_CHARS_MAX", "read_key"]

KEY_CHARS_MAX = 64
_KEY = re.compile(rf"[A-Za-z0-9._:~+/=-]{{1,{KEY_CHARS_MAX}}}")


def read_key(header: str | bytes | None, *, required: bool = False) -> str | None:
    """Return the checked key of an `Idempotency-Key` header; the draft's quotes around it may be missing.

    >>> read_key('"8e03978e-40d5"')
    '8e03978e-40d5'
    """
    if header is None:
        if required:
            raise Refusal("invalid", "this request needs an Idempotency-Key header")
        return None
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not _KEY.fullmatch(text):
        raise Refusal("invalid", f"an Idempotency-Key is 1 to {KEY_CHARS_MAX} letters, digits and . _ : ~ + / = -")
    return text
