"""Keep jobs in a JetStream work stream: it knows leases, delays and whoever waits, and is one more engine to run."""

from __future__ import annotations

from ...stores.jobs import Sent
from ...stores.streams import JobSubjects
from . import Broker, Taken


class JetStream(Broker):
    """The stream forgets a message when it is acknowledged; a worker that waits is told at once."""

    subjects: JobSubjects

    async def begin(self) -> None:
        await self.subjects.declare()

    async def send(self, sent: Sent) -> None:
        await self.subjects.send(sent)

    async def take(self, route: str, most: int, lease_s: float, wait_s: float) -> list[Taken]:
        return await self._begin(await self.subjects.take(route, most, lease_s, wait_s), lease_s)

    async def _keep(self, taken: Taken) -> None:
        await self.subjects.working(taken.receipt)

    async def _put_off(self, taken: Taken, after_s: float) -> None:
        await self.subjects.later(taken.receipt, after_s)

    async def _forget(self, receipt: str) -> None:
        await self.subjects.done(receipt)

    async def kept(self, route: str) -> int:
        return await self.subjects.kept(route)
