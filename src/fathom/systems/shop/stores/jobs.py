"""Jobs of pictures: the row is the truth, whoever hands the job out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres

from ..api import Job, JobId

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["JobRows"]

_TAKE = """
    UPDATE jobs SET state = 'working', tries = tries + 1, due = clock_timestamp() + $2 * interval '1 second'
    WHERE id IN (
        SELECT id FROM jobs WHERE state IN ('waiting', 'working') AND due <= clock_timestamp()
        ORDER BY due LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING id, tries
"""


class JobRows:
    """Rows of jobs, which are a queue as well for the approach that wants them to be."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def add(self, job: Job) -> None:
        """Write a job down, waiting."""
        await self._db.execute("INSERT INTO jobs (id, item, name) VALUES ($1, $2, $3)", job.id, job.item, job.name)

    async def wait(self, job: JobId, after_s: float) -> None:
        """Let a job wait to be handed out, not sooner than this."""
        await self._db.execute(
            "UPDATE jobs SET state = 'waiting', due = clock_timestamp() + $2 * interval '1 second' WHERE id = $1",
            job,
            after_s,
        )

    async def take(self, most: int, lease_s: float) -> list[tuple[JobId, int]]:
        """Return jobs that are due, with how often each was tried; others skip them for so long."""
        return [(JobId(row["id"]), row["tries"]) for row in await self._db.fetch(_TAKE, most, lease_s)]

    async def done(self, job: JobId, tries: int) -> bool:
        """Let a job be done, unless somebody else has it by now."""
        return (
            await self._db.execute(
                "UPDATE jobs SET state = 'done' WHERE id = $1 AND tries = $2 AND state = 'working'", job, tries
            )
            == 1
        )

    async def dead(self, job: JobId) -> None:
        """Let a job wait for staff."""
        await self._db.execute("UPDATE jobs SET state = 'dead' WHERE id = $1", job)

    async def unfinished(self) -> list[JobId]:
        """Return jobs that are neither done nor dead."""
        rows = await self._db.fetch("SELECT id FROM jobs WHERE state IN ('waiting', 'working') ORDER BY id")
        return [JobId(row["id"]) for row in rows]
