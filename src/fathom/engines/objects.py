"""An object store: whole things under keys, in a folder of this machine or in an S3 bucket."""

from __future__ import annotations

import asyncio
import importlib.metadata
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from fathom.engines.bucket import Bucket, folder_of, unfinished_in
from fathom.engines.engine import Engine, EngineDown, on_disk, without_secrets

if TYPE_CHECKING:
    from fathom.engines.keeper import Keeper

__all__ = ["Objects"]

POLL_S = 0.05


class Objects(Engine):
    """An object store. `client` is a Bucket.

    Ours is a folder: it has no process that could be killed or stopped, so it is neither Killable nor Pausable.
    """

    kind: ClassVar[str] = "objects"
    unit: ClassVar[str] = "objects"
    client: Bucket

    def __init__(self, url: str) -> None:
        self.where = url

    @classmethod
    def at(cls, url: str) -> Objects:
        """Return the store at `file:///folder` or `s3://bucket/prefix?endpoint=https://host&region=name`."""
        return Objects(url)

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "objects",
        folder: Path | None = None,
        cores: set[int] | None = None,
    ) -> AbstractAsyncContextManager[Objects]:
        """Make a folder for objects. There is nothing to pin to `cores`: whoever asks does the work."""
        return cls._start(keeper, name, folder.absolute() if folder else None)

    @classmethod
    @asynccontextmanager
    async def _start(cls, keeper: Keeper, name: str, folder: Path | None) -> AsyncIterator[Objects]:
        place = (folder or keeper.data / f"{name}-{secrets.token_hex(3)}") / "objects"
        with on_disk(f"objects cannot be kept in {place}"):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with keeper.alone_in(place.parent, cls.kind):
            with on_disk(f"objects cannot be kept in {place}"):
                await asyncio.to_thread(_tidy, place)
            try:
                yield Objects(place.as_uri())
            finally:
                if folder is None:
                    await asyncio.to_thread(shutil.rmtree, place.parent, ignore_errors=True)

    @asynccontextmanager
    async def connected(self, *, deadline_s: float = 30.0) -> AsyncIterator[Bucket]:
        """Connect a Bucket for the length of a block."""
        bucket = Bucket(self.where, deadline_s=deadline_s)
        await bucket.open()
        try:
            with self._lends(bucket):
                yield bucket
        finally:
            await bucket.close()

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers."""
        now = asyncio.get_running_loop().time
        until = now() + within_s
        while True:
            bucket = Bucket(self.where, deadline_s=max(0.01, until - now()))
            try:
                await bucket.open()
                return
            except EngineDown as fault:
                if now() + POLL_S > until:
                    raise EngineDown(
                        f"the object store at {without_secrets(self.where)} was not ready within {within_s:g} s",
                        why=fault.why,
                        fix=fault.fix,
                    ) from None
            finally:
                await bucket.close()
            await asyncio.sleep(POLL_S)  # a store that is not there gives no sign when it is

    async def ping(self) -> None:
        await self.client.list(at_most=1)

    async def counters(self) -> dict[str, int]:
        """Return what it holds. It keeps no count of what was asked of it."""
        bucket = Bucket(self.where)
        await bucket.open()
        try:
            objects, size = await bucket.totals()
            return {"held": objects, "held_bytes": size}
        finally:
            await bucket.close()

    def processes(self) -> tuple[int, ...]:
        return ()

    @property
    def version(self) -> str:
        form = "a folder" if folder_of(self.where) is not None else urlsplit(self.where).scheme
        return f"{form}, through obstore {importlib.metadata.version('obstore')}"


def _tidy(folder: Path) -> None:
    for path in unfinished_in(folder):
        path.unlink()
