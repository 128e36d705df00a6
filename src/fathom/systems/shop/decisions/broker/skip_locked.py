"""Keep jobs as rows and let each worker skip those that others have locked: no second engine, one statement a job."""

from __future__ import annotations

from ...stores.jobs import Sent
from . import Broker, Taken


class SkipLocked(Broker):
    """The job's own row is its place in the queue: there is no message that could be lost beside it."""

    async def send(self, sent: Sent) -> None:
        self._tell(sent.route)  # its row is all there is to be kept

    async def take(self, route: str, most: int, lease_s: float, wait_s: float) -> list[Taken]:
        found = await self._waiting(route, wait_s, lambda: self.jobs.take(route, most, lease_s))
        return [Taken(job=job, tries=tries) for job, tries in found]

    async def send_again(self, overdue_s: float) -> int:
        return 0  # no message that could be lost; and what has waited longest keeps its place

    async def kept(self, route: str) -> int:
        return await self.jobs.count(route)
