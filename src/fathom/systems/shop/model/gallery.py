"""Pictures where nothing fails: their smaller sizes are there at once, or their job is dead at once."""

from __future__ import annotations

from msgspec.structs import replace

from fathom.errors import Refusal

from ..api import ItemId, Job, JobId, Jobs, JobState, UserId
from .checks import checked_id, checked_state, page_below, page_limit
from .goods import Goods
from .images import checked_picture, checked_picture_name, names_of, resized

__all__ = ["Gallery"]

TRIES = 4  # of a picture that cannot be read


class Gallery(Goods):
    """Pictures and their jobs."""

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # pyright: ignore[reportArgumentType]
        self.raw: dict[tuple[ItemId, str], bytes] = {}
        self.sizes: dict[tuple[ItemId, str], bytes] = {}
        self.work: dict[JobId, Job] = {}

    async def add_picture(self, user: UserId, item: ItemId, name: str, picture: bytes) -> Job:
        checked_id(item, "item")
        checked_picture_name(name)
        checked_picture(picture)
        self._staff(user)
        self._item(item)
        id = JobId(self.numbers.next())
        if (item, name) in self.raw:
            if self.raw[item, name] != picture:
                raise Refusal("conflict", f"this item has another picture called {name}")
            return next(job for job in self.work.values() if (job.item, job.name) == (item, name))
        self.raw[item, name] = picture
        self.work[id] = Job(id=id, item=item, name=name, state="waiting")
        told = self.work[id]
        self._make(id)
        return told

    def _make(self, id: JobId) -> None:
        job = self.work[id]
        try:
            made = resized(self.raw[job.item, job.name])
        except ValueError as failed:
            self.work[id] = replace(job, state="dead", tries=TRIES, because=str(failed)[:200])
            return
        names = names_of(job.name)
        self.sizes |= {(job.item, name): size for name, size in zip(names, made, strict=True)}
        it = self.catalogue[job.item]
        self.catalogue[job.item] = replace(it, pictures=[*it.pictures, *names], version=it.version + 1)
        self.work[id] = replace(job, state="done", tries=1)

    async def picture(self, item: ItemId, name: str) -> bytes:
        checked_id(item, "item")
        if (item, name) not in self.sizes:
            raise Refusal("not-found", "there is no such picture")
        return self.sizes[item, name]

    async def job(self, user: UserId, job: JobId) -> Job:
        checked_id(job, "job")
        self._staff(user)
        if job not in self.work:
            raise Refusal("not-found", "there is no such job")
        return self.work[job]

    async def jobs(self, user: UserId, state: JobState, after: str = "", limit: int = 20) -> Jobs:
        checked_state(state)
        self._staff(user)
        below, most = page_below(after), page_limit(limit)
        found = sorted((it for it in self.work.values() if it.state == state and it.id < below), key=lambda it: -it.id)
        return Jobs(jobs=found[:most], after=str(found[most - 1].id) if len(found) > most else "")

    async def retry(self, user: UserId, job: JobId) -> Job:
        found = await self.job(user, job)
        if found.state != "dead":
            raise Refusal("conflict", f"a job that is {found.state} cannot be tried again")
        self._make(job)
        return replace(found, state="waiting", tries=0)
