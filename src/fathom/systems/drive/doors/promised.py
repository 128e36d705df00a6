"""What somebody says that a file's bytes are: a digest beside them, so that what came otherwise is not kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import NamedTuple

from fathom.errors import Refusal

from .writing import Hash

__all__ = ["Promised", "promised"]

_OWNCLOUD = re.compile(r"(SHA256|SHA1|MD5):([0-9a-f]{32,64})", re.IGNORECASE)
_REPR = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")


class Promised(NamedTuple):
    """The digest that was promised, and what takes the bytes."""

    digest: bytes
    whole: Hash

    def check(self) -> None:
        """Refuse bytes that are others."""
        if self.whole.digest() != self.digest:
            raise Refusal("invalid", "the bytes that came are not those whose digest was sent: send them again")


def promised(headers: Mapping[bytes, bytes]) -> Promised | None:
    """Read OC-Checksum (ownCloud), or Repr-Digest and Content-Digest (RFC 9530); None: nothing was said.

    >>> promised({b"oc-checksum": b"MD5:" + b"0" * 32}).digest == bytes(16)
    True
    """
    if (said := headers.get(b"oc-checksum")) is not None and (found := _OWNCLOUD.fullmatch(said.decode("latin-1"))):
        whole = hashlib.new(found[1].lower(), usedforsecurity=False)
        if len(found[2]) == 2 * whole.digest_size:
            return Promised(bytes.fromhex(found[2]), whole)
        raise Refusal("invalid", "OC-Checksum has not as many digits as its kind of digest")
    for name in (b"repr-digest", b"content-digest"):
        if (said := headers.get(name)) is not None and (found := _REPR.search(said.decode("latin-1"))):
            try:
                return Promised(base64.b64decode(found[1], validate=True), hashlib.sha256())
            except binascii.Error:
                raise Refusal("invalid", f"{name.decode()} cannot be read") from None
    return None
