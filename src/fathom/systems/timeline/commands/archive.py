"""A backup with pictures in it: a tar of what pg_dump wrote and of every object that it speaks of."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fathom.engines.engine import EngineError, without_secrets
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.errors import EXIT_BROKE, FathomError

if TYPE_CHECKING:
    from fathom.engines.bucket import Bucket

__all__ = ["Object", "is_packed", "pack", "snapshot", "unpack"]

TRUTH, FILES = "timeline/truth.dump", "timeline/files/"
OBJECT_BYTES_MAX = 64 << 20  # far above what is ever kept: no tar of somebody's fills our memory


class Object(NamedTuple):
    """An object that the truth speaks of: where it lies, and the SHA-256 of its bytes."""

    key: str
    digest: bytes


@asynccontextmanager
async def snapshot(truth: Postgres) -> AsyncIterator[tuple[str, list[Object]]]:
    """Hold the truth as it is for the length of a block: yield the snapshot's name, and its objects.

    What it speaks of is not swept from the store before the grace is over, however the truth goes on.
    """
    async with truth.client.transaction(isolation="repeatable read", within_s=600.0) as tx:
        name = await tx.fetchval("SELECT pg_export_snapshot()")
        objects: list[Object] = []
        if await tx.fetchval("SELECT to_regclass('blobs') IS NOT NULL"):  # data of before know no pictures
            rows = await tx.fetch(
                "SELECT key, hash FROM blobs b WHERE EXISTS (SELECT FROM media WHERE original = b.hash)"
                " OR EXISTS (SELECT FROM media WHERE small = b.hash) ORDER BY key"
            )
            objects = [Object(row["key"], row["hash"]) for row in rows]
        yield name, objects


async def pack(file: Path, dumped: Path, objects: Sequence[Object], url: str) -> None:
    """Write an archive of a dump and the objects that it speaks of; fail where one of them is not there, whole."""
    store = Objects.at(url)
    try:
        async with store.connected() as bucket:
            with tarfile.open(file, "w") as tar:
                tar.add(dumped, TRUTH)
                for key, digest in objects:
                    body = await bucket.get(key)
                    if body is None or hashlib.sha256(body).digest() != digest:
                        raise _lacks(url, f"the object {key} is {'not there' if body is None else 'another'}")
                    info = tarfile.TarInfo(FILES + key)
                    info.size = len(body)
                    tar.addfile(info, io.BytesIO(body))
    except EngineError as failure:
        raise _lacks(url, failure.why) from failure


def _lacks(url: str, why: str) -> FathomError:
    return FathomError(
        f"the pictures cannot be read from {without_secrets(url)}",
        why=why,
        fix="say where they lie: --data DIR, or --objects URL where the object store is your own",
    )


def is_packed(file: Path) -> bool:
    """Whether a file is such an archive."""
    try:
        with tarfile.open(file, "r:") as tar:
            first = tar.next()
        return first is not None and first.name == TRUTH
    except (tarfile.TarError, OSError):
        return False


async def unpack(file: Path, dumped: Path, bucket: Bucket) -> None:
    """Write an archive's dump to a file, and its objects into a store."""
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if member.name == TRUTH and content is not None:
                    with dumped.open("wb") as written:
                        while some := content.read(1 << 20):
                            written.write(some)
                    continue
                key = member.name.removeprefix(FILES)
                if content is None or key == member.name or member.size > OBJECT_BYTES_MAX:
                    raise _torn(file, f"'{member.name[:80]}' is no part of one")
                body = content.read()
                if hashlib.sha256(body).hexdigest() != key.partition("/")[2].partition(".")[0]:
                    raise _torn(file, f"the object {key[:80]} is not what its name says")
                await bucket.put(key, body)
    except (tarfile.TarError, EOFError, ValueError) as torn:
        raise _torn(file, str(torn)) from torn


def _torn(file: Path, why: str) -> FathomError:
    return FathomError(f"{file} is torn", why=why, fix="restore another backup", code=EXIT_BROKE)
