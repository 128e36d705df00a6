"""Callbacks are signed, so that nobody else can say that somebody has paid."""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["TOLERANCE_S", "sign", "signed"]

TOLERANCE_S = 300  # how old a signature may be: who records a callback cannot play it again tomorrow


def sign(key: str, body: bytes, now_s: int) -> str:
    """Return the signature of a body, made now (Unix seconds), by the key that only provider and shop know.

    The time is signed with it. A callback that is sent again is signed again.

    >>> sign("a key", b"{}", 1_800_000_000)[:15]
    't=1800000000,v1'
    """
    return f"t={now_s},v1={_code(key, now_s, body)}"


def signed(key: str, body: bytes, header: str, now_s: float) -> bool:
    """Say whether a header signs this body by this key, and not long ago. Compared in constant time.

    >>> header = sign("a key", b"{}", 1_800_000_000)
    >>> signed("a key", b"{}", header, 1_800_000_001), signed("a key", b"[]", header, 1_800_000_001)
    (True, False)
    >>> signed("a key", b"{}", header, 1_800_001_000), signed("a key", b"{}", "v1=", 1_800_000_000)
    (False, False)
    """
    fields = {name: value for name, _, value in (field.partition("=") for field in header.split(","))}
    at, code = fields.get("t", ""), fields.get("v1", "")
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        return False
    right = hmac.compare_digest(_code(key, int(at), body).encode(), code.encode(errors="replace"))
    return right and abs(now_s - int(at)) <= TOLERANCE_S


def _code(key: str, at_s: int, body: bytes) -> str:
    # A key of its own is made for this of the one that both know: what signs callbacks opens no door.
    of_callbacks = hmac.digest(key.encode(), b"callbacks", hashlib.sha256)
    return hmac.digest(of_callbacks, b"%d.%b" % (at_s, body), hashlib.sha256).hex()
