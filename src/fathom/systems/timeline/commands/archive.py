"""A backup with pictures in it: a tar of what pg_dump wrote and of every object that it speaks of."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fathom.engines.engine import EngineError, without_secrets
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.errors import EXIT_BROKE, FathomError

if TYPE_CHECKING:
    from fathom.engines.bucket import Bucket

    from ..stores.blobs import Object

__all__ = ["is_packed", "pack", "snapshot", "unpack"]

TRUTH, FILES = "timeline/truth.dump", "timeline/files/"
END = "timeline/end"  # says how many objects there are: to a reader of tars a spoilt head is the end as well
OBJECT_BYTES_MAX = 64 << 20  # far above what is ever kept: no tar of somebody's fills our memory


@asynccontextmanager
async def snapshot(truth: Postgres) -> AsyncIterator[tuple[str, list[Object]]]:
    """Hold the truth as it is for the length of a block: yield the snapshot's name, and its objects.

    What it speaks of is not swept from the store before the grace is over, however the truth goes on.
    """
    from ..stores.blobs import referred

    async with truth.client.transaction(isolation="repeatable read", within_s=600.0) as tx:
        name = await tx.fetchval("SELECT pg_export_snapshot()")
        yield name, await referred(tx)


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
                    _add(tar, FILES + key, body)
                _add(tar, END, b"%d" % len(objects))
    except EngineError as failure:
        raise _lacks(url, failure.why) from failure


def _add(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(body)
    tar.addfile(info, io.BytesIO(body))


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
    """Write an archive's dump to a file, and its objects into a store; fail unless all of them are there."""
    from ..stores.blobs import digest_of

    objects, said = 0, b""
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if content is None or (member.name != TRUTH and member.size > OBJECT_BYTES_MAX):
                    raise _torn(file, f"'{member.name[:80]}' is no part of one")
                if member.name == TRUTH:
                    with dumped.open("wb") as written:
                        shutil.copyfileobj(content, written, 1 << 20)
                    continue
                body = content.read()
                if member.name == END:
                    said = body
                    continue
                key = member.name.removeprefix(FILES)
                if key == member.name:
                    raise _torn(file, f"'{key[:80]}' is no part of one")
                if hashlib.sha256(body).hexdigest() != digest_of(key):
                    raise _torn(file, f"the object {key[:80]} is not what its name says")
                await bucket.put(key, body)
                objects += 1
    except (tarfile.TarError, EOFError, ValueError) as torn:
        raise _torn(file, str(torn)) from torn
    if said != b"%d" % objects:
        raise _torn(
            file, f"it ends after {objects} objects, and should have {said.decode(errors='replace')[:20] or 'more'}"
        )


def _torn(file: Path, why: str) -> FathomError:
    return FathomError(f"{file} is torn", why=why, fix="restore another backup", code=EXIT_BROKE)
