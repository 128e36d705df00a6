"""What may be asked: model and service refuse the same, and tell contents by the same digest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fathom.blocks.chunking import Cutting
from fathom.blocks.names import refused
from fathom.blocks.packs import Entry, damaged, digest_of_all, entries
from fathom.errors import Refusal

from ..api import (
    CHUNK_BYTES_MAX,
    CHUNKS_MAX,
    DEVICE_CHARS_MAX,
    EDITS_MAX,
    KEY_CHARS_MAX,
    MANIFESTS_MAX,
    PACK_BYTES_MAX,
    PAGE_MAX,
    Chunk,
    Content,
    Digest,
    Edit,
    Make,
    Manifest,
    NodeId,
    Put,
)

__all__ = [
    "DEPTH_MAX",
    "PATH_MAX",
    "SESSIONS_MAX",
    "checked_after",
    "checked_chunks",
    "checked_commit",
    "checked_digest",
    "checked_files",
    "checked_limit",
    "checked_manifest",
    "checked_name",
    "checked_pack",
    "checked_password",
    "checked_path",
    "checked_user_name",
    "content_of",
    "number_after",
    "other_epoch",
]

DEPTH_MAX = 128  # folders within each other
PATH_MAX = DEPTH_MAX + 1
BYTES_MAX = 1 << 53  # of a file: a double holds it exactly
SESSIONS_MAX = 100  # of one user, that last at once in a space
AFTER_CHARS_MAX = 1_024  # of a key; the longest name has fewer
CUTTING_CHARS_MAX = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")
_USER = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,29}")


def content_of(chunks: Iterable[Chunk]) -> Content:
    """Return what a file of these chunks holds.

    >>> content_of([]).digest[:8]
    'af1349b9'
    """
    told = [(bytes.fromhex(chunk.digest), chunk.size) for chunk in chunks]
    return Content(Digest(digest_of_all(told).hex()), sum(size for _, size in told))


def checked_user_name(name: str) -> str:
    if not _USER.fullmatch(name):
        raise Refusal(
            "invalid", "a name has 1 to 30 of a-z, 0-9, dot, dash and underscore, and begins with none of . -"
        )
    return name


def checked_password(password: str) -> str:
    if not 8 <= len(password) <= 200:
        raise Refusal("invalid", "a password has 8 to 200 characters")
    return password


def checked_name(name: str) -> str:
    if why := refused(name):
        raise Refusal("invalid", why)
    return name


def checked_path(path: Sequence[str]) -> Sequence[str]:
    if len(path) > PATH_MAX:
        raise Refusal("invalid", f"a path has at most {PATH_MAX} names")
    return path


def checked_digest(digest: str) -> Digest:
    if not _DIGEST.fullmatch(digest):
        raise Refusal("invalid", "a digest is a BLAKE3, or a SHA-256: 64 hexadecimal digits in lower case")
    return Digest(digest)


def checked_chunks(chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    if len(chunks) > CHUNKS_MAX:
        raise Refusal("too-large", f"at most {CHUNKS_MAX:,} chunks at once, and these are {len(chunks):,}")
    sizes: dict[str, int] = {}
    for chunk in chunks:
        checked_digest(chunk.digest)
        if not 0 < chunk.size <= CHUNK_BYTES_MAX:
            raise Refusal("invalid", f"a chunk has 1 to {CHUNK_BYTES_MAX:,} bytes, and one has {chunk.size:,}")
        if sizes.setdefault(chunk.digest, chunk.size) != chunk.size:
            raise Refusal("invalid", f"chunk {chunk.digest} cannot have two sizes")
    return chunks


def checked_manifest(manifest: Manifest) -> Content:
    """Return what a file of this manifest holds."""
    if len(manifest.cutting) > CUTTING_CHARS_MAX:
        raise Refusal("invalid", f"the id of a way to cut has at most {CUTTING_CHARS_MAX} characters")
    try:
        Cutting.of(manifest.cutting)
    except ValueError as fault:
        raise Refusal("invalid", str(fault)) from None
    content = content_of(checked_chunks(manifest.chunks))
    if content.size > BYTES_MAX:
        raise Refusal("too-large", f"a file has at most {BYTES_MAX:,} bytes")
    return content


def checked_files(files: Sequence[tuple[NodeId, int]]) -> None:
    if not 0 < len(files) <= MANIFESTS_MAX:
        raise Refusal("invalid", f"1 to {MANIFESTS_MAX} manifests are asked for at once, not {len(files):,}")


def checked_commit(edits: Sequence[Edit], device: str) -> None:
    if not 0 < len(edits) <= EDITS_MAX:
        raise Refusal("invalid", f"a commit has 1 to {EDITS_MAX} edits, not {len(edits):,}")
    keys = [edit.key for edit in edits if edit.key]
    if any(len(key) > KEY_CHARS_MAX for key in keys) or len(set(keys)) < len(keys):
        raise Refusal("invalid", f"each edit has a key of its own, of at most {KEY_CHARS_MAX} characters")
    if any(isinstance(edit, (Make, Put)) and abs(edit.modified_ms) > BYTES_MAX for edit in edits):
        raise Refusal("invalid", "a time is told in milliseconds, as a number that a double holds exactly")
    if len(device) > DEVICE_CHARS_MAX or not device.isprintable():
        raise Refusal("invalid", f"a device is called by at most {DEVICE_CHARS_MAX} characters that can be printed")


def other_epoch() -> Refusal:
    return Refusal("conflict", "the journal of this space was set back since: read the whole tree")


def checked_pack(pack: bytes | bytearray | memoryview) -> list[Entry]:
    """Return where the chunks of a pack lie, each proven to be what its digest says."""
    if len(pack) > PACK_BYTES_MAX:
        raise Refusal("too-large", f"a pack has at most {PACK_BYTES_MAX:,} bytes, and this one has {len(pack):,}")
    try:
        found = entries(pack)
        if bad := next(damaged(pack), None):
            raise Refusal("invalid", f"chunk {bad.digest.hex()} is not what its digest says: send it again")
    except ValueError as fault:
        raise Refusal("invalid", str(fault)) from None
    if any(entry.offset + entry.length > len(pack) for entry in found):
        raise Refusal("invalid", "a chunk of this pack would end behind the pack's own end")
    return found


def checked_limit(limit: int) -> int:
    if not 0 < limit <= PAGE_MAX:
        raise Refusal("invalid", f"a page has 1 to {PAGE_MAX:,}, not {limit}")
    return limit


def checked_after(after: str) -> str:
    """Return the key after which a page by key begins."""
    text = len(after) <= AFTER_CHARS_MAX and "\0" not in after
    if not text or any("\ud800" <= letter <= "\udfff" for letter in after):
        raise Refusal("invalid", "this is not where a page begins: take `after` of the page before, or nothing")
    return after


def number_after(after: str) -> int:
    """Return the id after which a page by id begins."""
    if not after:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise Refusal("invalid", "this is not where a page begins: take `after` of the page before, or nothing")
    return int(after)
