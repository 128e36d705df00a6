"""Keep jobs in Redis Streams, where a group of workers shares them: quick, and no place for what must wait."""

from __future__ import annotations

import secrets

from ...stores.jobs import Sent
from ...stores.streams import Given, JobStream
from . import ROUTES, Broker, Taken


class RedisStreams(Broker):
    """A message is pending from when it is read until it is acknowledged; who finds it idle for long claims it."""

    streams: JobStream

    def __post_init__(self) -> None:
        super().__post_init__()
        self._worker = secrets.token_hex(4)

    async def begin(self) -> None:
        await self.streams.declare(ROUTES)

    async def send(self, sent: Sent) -> None:
        await self.streams.send(sent)
        self._tell(sent.route)

    async def take(self, route: str, most: int, lease_s: float, wait_s: float) -> list[Taken]:
        async def look() -> list[Given]:  # one connection is shared by all: nobody may block on it
            return await self.streams.take(route, self._worker, most, lease_s)

        return await self._begin(await self._waiting(route, wait_s, look), lease_s)

    async def _keep(self, taken: Taken) -> None:
        await self.streams.working(taken.receipt, self._worker)

    async def _put_off(self, taken: Taken, after_s: float) -> None:
        await self.streams.later(taken.job, taken.receipt, after_s)

    async def _forget(self, receipt: str) -> None:
        await self.streams.done(receipt)

    async def kept(self, route: str) -> int:
        return await self.streams.kept(route)
