"""Keep jobs as rows and let each worker skip those that others have locked: no second engine, one statement a job."""

from __future__ import annotations

from ...api import JobId
from . import Broker, Taken


class SkipLocked(Broker):
    """The job's own row is its place in the queue."""

    async def send(self, job: JobId) -> None:
        await self.jobs.wait(job, 0.0)

    async def take(self, most: int, lease_s: float, wait_s: float) -> list[Taken]:
        return [Taken(job=job, tries=tries) for job, tries in await self.jobs.take(most, lease_s)]

    async def done(self, taken: Taken) -> bool:
        return await self.jobs.done(taken.job, taken.tries)

    async def later(self, taken: Taken, after_s: float) -> None:
        await self.jobs.wait(taken.job, after_s)

    async def dead(self, taken: Taken) -> None:
        await self.jobs.dead(taken.job)
