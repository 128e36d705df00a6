"""A request that may be sent twice and happens once: the key, the fingerprint, and the store behind them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from fathom.errors import Refusal

__all__ = ["KEY_CHARS_MAX", "Replies", "Reply", "fingerprint", "once", "read_key"]

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


def fingerprint(*parts: str | bytes) -> bytes:
    """Return 16 bytes that tell one request from another; the borders between the parts count."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


class Reply(NamedTuple):
    """What the first request with a key was answered."""

    status: int
    body: bytes


class Replies(Protocol):
    """Where replies are kept, by who asked and under which key, at least for a day.

    A key and the effect of its request belong into one transaction: a store that can be asked apart from the
    effect only narrows the window in which a retry does it twice. Systems with a database take the key themselves.
    """

    async def begin(self, who: str, key: str, print_: bytes) -> Reply | bytes | None:
        """Take the key: None when it is ours now; the reply, if there was one for this very request;
        the other request's fingerprint while that is under way or when it was another one."""
        ...

    async def keep(self, who: str, key: str, reply: Reply) -> None:
        """Keep the reply of the request that took the key."""
        ...

    async def drop(self, who: str, key: str) -> None:
        """Give the key back: the request had no effect."""
        ...


async def once(
    replies: Replies, who: str, key: str, print_: bytes, act: Callable[[], Awaitable[Reply]]
) -> tuple[Reply, bool]:
    """Do `act` for the first request with this key; return its reply to that one and to every repetition.

    The second value says whether the reply is a repetition. An unexpected error keeps the key: whether the
    request took effect is then unknown, and to do it again would be a guess.
    """
    known = await replies.begin(who, key, print_)
    if isinstance(known, Reply):
        return known, True
    if known is not None and known != print_:
        raise Refusal("invalid", "this Idempotency-Key was used for another request")
    if known is not None:
        raise Refusal("conflict", "the first request with this Idempotency-Key is still under way", retry_s=1)
    try:
        reply = await act()
    except Refusal:
        await replies.drop(who, key)
        raise
    await replies.keep(who, key, reply)
    return reply, False
