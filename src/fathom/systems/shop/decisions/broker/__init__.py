"""A picture has to be made smaller, later and by somebody else: who keeps the job until it is done?"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import msgspec

from fathom.design import Decision

from ...api import JobId
from ...stores.jobs import JobRows

__all__ = ["Broker", "Taken"]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was handed out: `tries` is how often by now, `receipt` what the broker knows this one by."""

    job: JobId
    tries: int
    receipt: str = ""


class Broker(Decision):
    """Who hands out jobs. One that is handed out and not heard of again is handed out once more after `lease_s`."""

    default = "skip-locked"

    jobs: JobRows

    @abstractmethod
    async def send(self, job: JobId) -> None:
        """Keep a job, durable when this returns."""

    @abstractmethod
    async def take(self, most: int, lease_s: float, wait_s: float) -> list[Taken]:
        """Return jobs that nobody else has for the next `lease_s`; wait for one, but no longer than `wait_s`."""

    @abstractmethod
    async def done(self, taken: Taken) -> bool:
        """Say that a job is done and never to be handed out again; False: it was somebody else's by then."""

    @abstractmethod
    async def later(self, taken: Taken, after_s: float) -> None:
        """Hand a job out again, not sooner than this."""

    @abstractmethod
    async def dead(self, taken: Taken) -> None:
        """Never hand it out again unless it is sent again."""

    async def adopt(self, previous: Any) -> None:
        """Take over under load: jobs that were not done are sent again from their rows."""
        for job in await self.jobs.unfinished():
            await self.send(job)
