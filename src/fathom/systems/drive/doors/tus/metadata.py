"""What a client says of a file before its bytes come: the header Upload-Metadata, and the digest of a part."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

from fathom.blocks.names import refused
from fathom.errors import Refusal

from ..writing import Hash

__all__ = ["ALGORITHMS", "CHARS_MAX", "Checksum", "Metadata", "checksum", "metadata"]

CHARS_MAX = 8_192
ALGORITHMS = ("sha256", "sha1", "md5")
_KEY = re.compile(r"[!-+\--~]+")  # ASCII without spaces and commas
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?")
_VERSION = re.compile(r"[1-9]\d{0,14}")


class Metadata(NamedTuple):
    """Where a file is to be; `version`: of the file that is there, and is to hold something else; 0: it is new."""

    names: list[str]
    modified_ms: int
    version: int


class Checksum(NamedTuple):
    """What the bytes of one request are said to be."""

    digest: bytes
    hash: Hash

    @property
    def holds(self) -> bool:
        return self.hash.digest() == self.digest


def metadata(header: str) -> Metadata:
    """Read Upload-Metadata: `filename`, and if it is said `path`, `mtime` in seconds of Unix, and `version`.

    >>> metadata("filename YSBi,path ZG9jcy90ZWE=,mtime MS41,is_secret")
    Metadata(names=['docs', 'tea', 'a b'], modified_ms=1500, version=0)
    """
    if len(header) > CHARS_MAX:
        raise Refusal("invalid", f"Upload-Metadata has at most {CHARS_MAX:,} characters")
    found: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else ():
        key, _, value = pair.strip(" ").partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise Refusal("invalid", "Upload-Metadata has pairs of a key, once each, and a value in base64")
        found[key] = _text(key, value)
    if "filename" not in found:
        raise Refusal("invalid", "Upload-Metadata has to say the filename")
    folders = [name for name in found.get("path", "").split("/") if name]
    names = [*folders, found["filename"]]
    if why := next(filter(None, map(refused, names)), None):
        raise Refusal("invalid", why)
    return Metadata(names, _modified_ms(found.get("mtime", "")), _version(found.get("version")))


def checksum(header: str) -> Checksum:
    """Read Upload-Checksum.

    >>> checksum("md5 1B2M2Y8AsgTpgAmY7PhCfg==").holds
    True
    """
    algorithm, _, value = header.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise Refusal("invalid", f"checksums are understood of {', '.join(ALGORITHMS)}")
    hash = hashlib.new(algorithm, usedforsecurity=False)
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != hash.digest_size:
        raise Refusal("invalid", f"this is no {algorithm} in base64")
    return Checksum(digest, hash)


def _text(key: str, value: str) -> str:
    """Return what a value says; of keys that are not for us nobody knows whether it is text."""
    try:
        raw = base64.b64decode(value, validate=True)
        return raw.decode("utf-8", "strict" if key in ("filename", "path", "mtime", "version") else "replace")
    except (binascii.Error, ValueError):
        raise Refusal("invalid", f"the value of {key[:40]} is no text in base64") from None


def _modified_ms(text: str) -> int:
    if not text:
        return 0
    if (found := _SECONDS.fullmatch(text)) is None or not text.isascii():
        raise Refusal("invalid", "mtime is told in seconds of Unix time")
    return int(found[1]) * 1_000 + int((found[2] or "").ljust(3, "0")[:3])


def _version(text: str | None) -> int:
    if text is None:
        return 0
    if _VERSION.fullmatch(text) is None or not text.isascii():
        raise Refusal("invalid", "version is that of the file which is to hold something else: 1 or more")
    return int(text)
