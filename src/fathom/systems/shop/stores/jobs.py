"""Jobs of pictures: the row is the truth, whoever hands the job out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fathom.engines.postgres import Postgres

from ..api import ItemId, Job, JobId, Jobs, JobState

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database

__all__ = ["JobRows", "Sent"]

_COLUMNS = "id, item, name, state, tries, because"
_LATER = "clock_timestamp() + {} * interval '1 second'"
_TAKE = f"""
    UPDATE jobs SET state = 'working', tries = tries + 1, due = {_LATER.format("$3")}
    WHERE id IN (
        SELECT id FROM jobs WHERE route = $1 AND state IN ('waiting', 'working')
            AND due <= clock_timestamp()
        ORDER BY due, id LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id, tries, due
"""
# What a broker hands out counts as tried whatever became of the time before; what is done or dead is not tried again.
_BEGIN = f"""
    UPDATE jobs SET state = 'working', tries = tries + 1, due = {_LATER.format("$2")}
    WHERE id = ANY($1::bigint[]) AND state IN ('waiting', 'working') RETURNING id, tries
"""
_MINE = "WHERE id = $1 AND tries = $2 AND state = 'working'"


class Sent(NamedTuple):
    """A job as a broker has it."""

    job: JobId
    route: str


class JobRows:
    """Rows of jobs, which are a queue as well for the approach that wants them to be."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def add(self, job: Job, route: str, digest: bytes) -> Job | None:
        """Write a job down, waiting; return it, or the one that was there for this picture; None: another picture's."""
        await self._db.execute(
            "INSERT INTO jobs (id, item, name, route, digest) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (item, name) DO NOTHING",
            job.id, job.item, job.name, route, digest,
        )  # fmt: skip
        row = await self._db.fetchrow(
            f"SELECT {_COLUMNS} FROM jobs WHERE item = $1 AND name = $2 AND digest = $3", job.item, job.name, digest
        )
        return None if row is None else job_of(row)

    async def one(self, job: JobId) -> Job | None:
        row = await self._db.fetchrow(f"SELECT {_COLUMNS} FROM jobs WHERE id = $1", job)
        return None if row is None else job_of(row)

    async def digest(self, job: JobId) -> bytes:
        """Return the SHA-256 of a job's picture as it came."""
        return await self._db.fetchval("SELECT digest FROM jobs WHERE id = $1", job)

    async def page(self, state: JobState, below: int, limit: int) -> Jobs:
        """Return the newest jobs in a state with ids below this."""
        rows = await self._db.fetch(
            f"SELECT {_COLUMNS} FROM jobs WHERE state = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            state, below, limit + 1,
        )  # fmt: skip
        jobs = [job_of(row) for row in rows[:limit]]
        return Jobs(jobs=jobs, after=str(jobs[-1].id) if len(rows) > limit else "")

    async def take(self, route: str, most: int, lease_s: float) -> list[tuple[JobId, int]]:
        """Return jobs that are due, with how often each was tried; others skip them for so long."""
        rows = await self._db.fetch(_TAKE, route, most, lease_s)
        return [(JobId(row["id"]), row["tries"]) for row in sorted(rows, key=lambda row: row["id"])]

    async def begin(self, jobs: Sequence[JobId], lease_s: float) -> dict[JobId, int]:
        """Note that these were handed out; return those that are to be done, with how often each was tried."""
        if not jobs:
            return {}
        return {JobId(row["id"]): row["tries"] for row in await self._db.fetch(_BEGIN, jobs, lease_s)}

    async def renew(self, job: JobId, tries: int, lease_s: float) -> bool:
        """Keep a job for longer; False: it is somebody else's by now."""
        return await self._db.execute(f"UPDATE jobs SET due = {_LATER.format('$3')} {_MINE}", job, tries, lease_s) == 1

    async def wait(self, job: JobId, tries: int, after_s: float, because: str) -> bool:
        """Let a job that failed be handed out again, not sooner than this."""
        return await self._db.execute(
            f"UPDATE jobs SET state = 'waiting', due = {_LATER.format('$3')}, because = $4 {_MINE}",
            job, tries, after_s, because,
        ) == 1  # fmt: skip

    async def done(self, job: JobId, tries: int) -> bool:
        """Let a job be done, unless somebody else has it by now."""
        return await self._db.execute(f"UPDATE jobs SET state = 'done', because = '' {_MINE}", job, tries) == 1

    async def dead(self, job: JobId, tries: int, tried: int, because: str) -> bool:
        """Let a job wait for staff; it was begun `tried` times."""
        return (
            await self._db.execute(
                f"UPDATE jobs SET state = 'dead', tries = $3, because = $4 {_MINE}", job, tries, tried, because
            )
            == 1
        )

    async def again(self, job: JobId) -> Sent | None:
        """Let a dead job wait once more, as if it had never been tried; None: it is not dead."""
        row = await self._db.fetchrow(
            "UPDATE jobs SET state = 'waiting', tries = 0, due = clock_timestamp()"
            " WHERE id = $1 AND state = 'dead' RETURNING id, route",
            job,
        )
        return None if row is None else Sent(JobId(row["id"]), row["route"])

    async def unfinished(self) -> list[Sent]:
        """Return jobs that are neither done nor dead, the oldest first."""
        rows = await self._db.fetch("SELECT id, route FROM jobs WHERE state IN ('waiting', 'working') ORDER BY id")
        return [Sent(JobId(row["id"]), row["route"]) for row in rows]

    async def overdue(self, overdue_s: float) -> list[Sent]:
        """Return jobs that have been due for so long, the oldest first, and let them be due from now on.

        So for that long nobody sends it once more, be it lost or only waiting behind many others.
        """
        rows = await self._db.fetch(
            "UPDATE jobs SET due = clock_timestamp() WHERE state IN ('waiting', 'working')"
            " AND due < clock_timestamp() - $1 * interval '1 second' RETURNING id, route",
            overdue_s,
        )
        return [Sent(JobId(row["id"]), row["route"]) for row in sorted(rows, key=lambda row: row["id"])]

    async def count(self, route: str) -> int:
        """Return how many jobs there are of a route, be they done or not."""
        return await self._db.fetchval("SELECT count(*) FROM jobs WHERE route = $1", route)

    async def bulk(self, jobs: Sequence[Job], route: str) -> None:
        """Add many jobs, whose pictures are not there."""
        await self._db.copy(
            "jobs", ("id", "item", "name", "route", "digest"), [(it.id, it.item, it.name, route, b"") for it in jobs]
        )


def job_of(row: asyncpg.Record) -> Job:
    """Return the job in a row."""
    return Job(
        id=JobId(row["id"]),
        item=ItemId(row["item"]),
        name=row["name"],
        state=row["state"],
        tries=row["tries"],
        because=row["because"],
    )
