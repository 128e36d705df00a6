"""A picture has to be made smaller, later and by somebody else: who keeps the job until it is done?

The job's row is the truth, whoever hands it out: it says how often the job was tried, and so whose it is now. A broker
may hand a job out twice, as all of them do after a crash; the row lets only one of the two be done.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from fathom.design import Decision, knob

from ...api import JobId
from ...stores.jobs import JobRows, Sent

__all__ = ["ROUTES", "Broker", "Taken"]

T = TypeVar("T")
ROUTES = ("quick", "bulky")  # small pictures do not wait behind large ones


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was handed out: `tries` is how often by now, `receipt` what the broker knows this one by."""

    job: JobId
    tries: int
    receipt: str = ""


class Broker(Decision):
    """Who hands out jobs. One that is handed out and not heard of again is handed out once more after its lease."""

    default = "skip-locked"

    jobs: JobRows

    again_s: float = knob(0.5, "seconds until a job that failed is tried again, the first time; then twice as long")

    def __post_init__(self) -> None:
        self._told: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def begin(self) -> None:
        """Get ready to serve."""

    @abstractmethod
    async def send(self, sent: Sent) -> None:
        """Keep a job that waits, durable when this returns."""

    @abstractmethod
    async def take(self, route: str, most: int, lease_s: float, wait_s: float) -> list[Taken]:
        """Return jobs of a route that nobody else has for the next `lease_s`; wait for one, at most `wait_s`."""

    @abstractmethod
    async def kept(self, route: str) -> int:
        """Return how many of the jobs that were ever sent this way could be told again to somebody who comes later."""

    async def renew(self, taken: Taken, lease_s: float) -> bool:
        """Keep a job for another `lease_s`; False: it is somebody else's by now."""
        mine = await self.jobs.renew(taken.job, taken.tries, lease_s)
        if mine:
            await self._keep(taken)
        return mine

    async def done(self, taken: Taken) -> bool:
        """Say that a job is done and never to be handed out again; False: it was somebody else's by then."""
        mine = await self.jobs.done(taken.job, taken.tries)
        if mine:  # else what was handed out is somebody else's as well
            await self._forget(taken.receipt)
        return mine

    async def later(self, taken: Taken, after_s: float, because: str) -> None:
        """Hand a job out again, not sooner than this."""
        if await self.jobs.wait(taken.job, taken.tries, after_s, because):
            await self._put_off(taken, after_s)
            asyncio.get_running_loop().call_later(after_s, self._tell, *ROUTES)

    async def dead(self, taken: Taken, tried: int, because: str) -> None:
        """Never hand it out again unless it is sent again: it was begun `tried` times."""
        if await self.jobs.dead(taken.job, taken.tries, tried, because):
            await self._forget(taken.receipt)

    async def send_again(self, overdue_s: float) -> int:
        """Send what has been due for so long and was not handed out: its message was lost. Return how many."""
        lost = await self.jobs.overdue(overdue_s)
        for sent in lost:
            await self.send(sent)
        return len(lost)

    async def adopt(self, previous: Any) -> None:
        """Take over under load: jobs that were not done are sent again from their rows."""
        await self.begin()
        for sent in await self.jobs.unfinished():
            await self.send(sent)

    # What a broker does that is an engine of its own, beside the rows ---------------------------------------------

    async def _keep(self, taken: Taken) -> None:
        """Let the lease begin anew."""

    async def _forget(self, receipt: str) -> None:
        """Never hand this one out again."""

    async def _put_off(self, taken: Taken, after_s: float) -> None:
        """Hand it out again, not sooner than this."""

    async def _begin(self, given: Sequence[tuple[JobId, str]], lease_s: float) -> list[Taken]:
        """Note in the rows that these were handed out; let go of those that are done or dead already."""
        tries = await self.jobs.begin([job for job, _ in given], lease_s)
        taken: list[Taken] = []
        for job, receipt in given:
            # The same job may be there twice, sent again because it seemed lost: one of them is enough.
            if job in tries:
                taken.append(Taken(job=job, tries=tries.pop(job), receipt=receipt))
            else:
                await self._forget(receipt)
        return taken

    async def _waiting(self, route: str, wait_s: float, look: Callable[[], Awaitable[list[T]]]) -> list[T]:
        """Look; if there is nothing, look once more when something is sent through this process, or time is over."""
        told = self._told[route]
        told.clear()
        found = await look()
        if found or wait_s <= 0:
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await told.wait()
        return await look()

    def _tell(self, *routes: str) -> None:
        """Let those look who wait here. Those in other processes find out by themselves."""
        for route in routes:
            self._told[route].set()
