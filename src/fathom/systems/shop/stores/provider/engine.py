"""A payment provider as an engine: a process of its own that can be killed, stopped, and told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

import msgspec

from fathom.engines.engine import Engine, Killable, Pausable, on_disk
from fathom.engines.ports import Taken, when_free
from fathom.errors import FathomError
from fathom.web.listen import TAKEN

from .client import ProviderClient
from .faults import Behaviour
from .process import Spec

if TYPE_CHECKING:
    from fathom.engines.keeper import Child, Keeper

__all__ = ["OwnProvider", "Provider"]

PROCESS = ("-m", f"{__package__}.process")
START_S = 30.0
STOP_S = 5.0
POLL_S = 0.02


class Provider(Engine):
    """A payment provider, ours or another's. `client` is a ProviderClient."""

    kind: ClassVar[str] = "provider"
    unit: ClassVar[str] = "requests"
    client: ProviderClient

    def __init__(self, url: str) -> None:
        self.where = url

    @classmethod
    def at(cls, url: str) -> Provider:
        """Return the provider at `http://:key@host:port`."""
        return Provider(url)

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "provider",
        folder: Path | None = None,
        cores: set[int] | None = None,
        behaviour: Behaviour | None = None,
    ) -> AbstractAsyncContextManager[OwnProvider]:
        """Start one of our own, which misbehaves so, or as it was told last."""
        place = folder.absolute() if folder else None
        return OwnProvider._start(keeper, name, place, cores, behaviour)

    @asynccontextmanager
    async def connected(self, *, deadline_s: float = 2.0) -> AsyncIterator[ProviderClient]:
        """Connect a ProviderClient for the length of a block."""
        async with ProviderClient.open(self.where, deadline_s=deadline_s) as client:
            with self._lends(client):
                yield client

    async def ready(self, within_s: float = 10.0) -> None:
        """Return once it answers."""
        now = asyncio.get_running_loop().time
        until = now() + within_s
        while True:
            left_s = max(0.05, until - now())
            try:
                async with ProviderClient.open(self.where, connections=1, deadline_s=left_s) as client:
                    await client.ping()
                return
            except (FathomError, TimeoutError):
                if now() + POLL_S > until:
                    raise
            await asyncio.sleep(POLL_S)  # who is not there yet cannot tell when it is

    async def ping(self) -> None:
        await self.client.ping()

    async def counters(self) -> dict[str, int]:
        """Return how many charges and refunds it has made, in all currencies."""
        async with ProviderClient.open(self.where, connections=1) as client:
            totals = await client.totals()
        return {"charges": sum(it.charges for it in totals), "refunds": sum(it.refunds for it in totals)}

    def processes(self) -> tuple[int, ...]:
        return ()

    @property
    def version(self) -> str:
        return "Fathom's payment provider"


class OwnProvider(Provider, Killable, Pausable):
    """A provider that we started, and can end, stop, wipe and start again at the same address."""

    def __init__(
        self, keeper: Keeper, name: str, place: Path, cores: set[int] | None, behaviour: Behaviour | None
    ) -> None:
        super().__init__("")
        self._keeper, self._name, self._place, self._cores = keeper, name, place, cores
        self._spec = Spec(folder=str(place), behaviour=behaviour)
        self._child: Child | None = None

    @classmethod
    @asynccontextmanager
    async def _start(
        cls, keeper: Keeper, name: str, folder: Path | None, cores: set[int] | None, behaviour: Behaviour | None
    ) -> AsyncIterator[OwnProvider]:
        place = (folder or keeper.data / f"{name}-{secrets.token_hex(3)}") / "provider"
        with on_disk(f"the provider's book cannot be kept in {place}"):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with keeper.alone_in(place.parent, cls.kind):
            engine = cls(keeper, name, place, cores, behaviour)
            try:
                await engine._begin()
                yield engine
            finally:
                if engine._child and engine._child.alive:
                    await engine._child.resume()
                    await engine._child.stop(signal.SIGTERM, STOP_S)
                await engine.kill()

    async def _begin(self) -> None:
        said = await when_free(self._spawn, had=bool(self.where))
        self.where = said["url"]
        self._spec = msgspec.structs.replace(self._spec, port=urlsplit(self.where).port or 0, behaviour=None)

    async def _spawn(self) -> dict[str, Any]:
        self._child = child = await self._keeper.spawn(
            [sys.executable, "-P", *PROCESS],
            name=self._name,
            cores=self._cores,
            stdin=msgspec.json.encode(self._spec),
        )
        try:
            return await child.said(START_S)
        except FathomError as fault:
            if fault.why.startswith(TAKEN):
                raise Taken(fault) from None
            raise

    @property
    def door(self) -> str:
        return self.where

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    def processes(self) -> tuple[int, ...]:
        return self._child.tree() if self._child else ()

    async def kill(self) -> None:
        """End its process with SIGKILL; returns when it is gone."""
        if self._child:
            await self._child.kill()

    async def restart(self, *, wiped: bool = False) -> None:
        """Start it again at the same address with its book, or with an empty one; returns when it is ready."""
        await self.kill()
        if wiped:
            with (
                on_disk(f"the provider's book in {self._place} cannot be wiped"),
                contextlib.suppress(FileNotFoundError),
            ):
                for file in self._place.glob("book.sqlite3*"):
                    file.unlink()
        await self._begin()

    async def pause(self) -> None:
        """Stop its process; returns when it stands still."""
        assert self._child
        await self._child.pause()

    async def resume(self) -> None:
        """Let it go on."""
        assert self._child
        await self._child.resume()
