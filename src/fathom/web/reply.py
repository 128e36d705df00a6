"""What a route answers that goes past the framework: finished bytes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["Reply"]


class Reply(msgspec.Struct, frozen=True, gc=False):
    """What a quick route answers: a body of bytes, and headers beside the usual ones."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ()
    media_type: bytes = b"application/json"
