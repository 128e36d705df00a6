"""Pictures of items, whose smaller sizes are made beside the requests, again and again until it is done or hopeless."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import msgspec

from fathom.engines.engine import EngineError
from fathom.errors import Refusal

from ..api import Item, ItemId, Job, JobId, Jobs, JobState, UserId
from ..decisions.broker import ROUTES, Broker, Taken
from ..model.checks import checked_id, checked_state, page_below, page_limit
from ..model.images import (
    checked_picture,
    checked_picture_name,
    is_a_size,
    key_of,
    names_of,
    resized,
    route_of,
)
from ..stores.jobs import Sent
from .base import Base, asking, changing

__all__ = ["Images"]

log = logging.getLogger("fathom.shop")

WAIT_S = 1.0  # that a worker waits for a job before it asks anew
AGAIN_S_MAX = 60.0
TAKEN_AT_ONCE = 4
CHANGED_MEANWHILE = 8  # times that an item may be changed by others while a picture is added to it


class Images(Base):
    """Pictures and their jobs."""

    async def add_picture(self, user: UserId, item: ItemId, name: str, picture: bytes) -> Job:
        checked_id(item, "item")
        checked_picture_name(name)
        checked_picture(picture)
        await self._staff(user)
        with changing():
            if await self._stores.catalogue.item(item) is None:
                raise Refusal("not-found", "there is no such item")
            digest = hashlib.sha256(picture).digest()
            # Before its row, under its own digest: whoever takes the job finds its picture, and nobody another's.
            await self._stores.files.client.ensure(_raw_key(item, name, digest), picture)
            wanted = Job(id=JobId(self._numbers.next()), item=item, name=name, state="waiting")
            route = route_of(picture)
            job = await self._stores.jobs.add(wanted, route, digest)
            if job is None:
                raise Refusal("conflict", f"this item has another picture called {name}")
            if job.id == wanted.id:
                await self._tell(Sent(job.id, route))
        return job

    async def _tell(self, sent: Sent) -> None:
        """Tell the broker of a job. If it cannot be told now it is later: the job's row is there."""
        try:
            await self._choices.broker.send(sent)
        except EngineError as fault:
            log.warning("job %d is sent later: %s (%s)", sent.job, fault.what, fault.why)

    async def picture(self, item: ItemId, name: str) -> bytes:
        checked_id(item, "item")
        with asking():
            found = await self._stores.files.client.get(key_of(item, name)) if is_a_size(name) else None
        if found is None:
            raise Refusal("not-found", "there is no such picture")
        return found

    async def job(self, user: UserId, job: JobId) -> Job:
        checked_id(job, "job")
        await self._staff(user)
        with asking():
            found = await self._stores.jobs.one(job)
        if found is None:
            raise Refusal("not-found", "there is no such job")
        return found

    async def jobs(self, user: UserId, state: JobState, after: str = "", limit: int = 20) -> Jobs:
        checked_state(state)
        await self._staff(user)
        with asking():
            return await self._stores.jobs.page(state, page_below(after), page_limit(limit))

    async def retry(self, user: UserId, job: JobId) -> Job:
        found = await self.job(user, job)
        with changing():
            sent = await self._stores.jobs.again(job)
            if sent is None:
                raise Refusal("conflict", f"a job that is {found.state} cannot be tried again")
            await self._tell(sent)
        return msgspec.structs.replace(found, state="waiting", tries=0)

    # Workers ------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        """Have a worker for each route, for the length of a block, and somebody who looks after what got lost."""
        tasks = [asyncio.create_task(self._work(route), name=f"pictures, {route}") for route in ROUTES]
        tasks.append(asyncio.create_task(self._look_after_jobs(), name="pictures that got lost"))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _work(self, route: str) -> None:
        while True:
            broker: Broker = self._choices.broker
            taken: list[Taken] | None = None
            with _going_on(f"no job of {route} can be taken"):
                taken = await broker.take(route, TAKEN_AT_ONCE, self._rules.lease_s, WAIT_S)
            if taken is None:
                await asyncio.sleep(WAIT_S)  # an engine that is not there cannot tell when it is
                continue
            for job in taken:  # where this fails, its lease ends and it is handed out again
                with _going_on(f"job {job.job} is done later"):
                    await self._do(broker, job)

    async def _do(self, broker: Broker, taken: Taken) -> None:
        """Do a job; if that fails, have it done later, or never."""
        most = self._rules.tries_max
        if taken.tries > most:  # each time whoever did it ended, and it may be the picture that ends them
            await broker.dead(taken, most, "whoever worked on it never came back")
            return
        try:
            async with self._kept(broker, taken):
                await self._make(taken.job)
        except ValueError as failed:
            because = str(failed)[:200]
            if taken.tries >= most:
                log.warning("job %d is dead: %s", taken.job, because)
                await broker.dead(taken, taken.tries, because)
            else:
                await broker.later(taken, min(AGAIN_S_MAX, broker.again_s * 2 ** (taken.tries - 1)), because)
        else:
            await broker.done(taken)

    @asynccontextmanager
    async def _kept(self, broker: Broker, taken: Taken) -> AsyncIterator[None]:
        """Renew the lease of a job again and again while it is being worked on."""

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._rules.lease_s / 3)
                with _going_on(f"the lease of job {taken.job} is renewed later"):
                    await broker.renew(taken, self._rules.lease_s)

        beating = asyncio.create_task(beat(), name=f"the lease of job {taken.job}")
        try:
            yield
        finally:
            beating.cancel()

    async def _make(self, job: JobId) -> None:
        """Make a picture's smaller sizes. Done twice, or by two at once, it comes to the same."""
        it = await self._stores.jobs.one(job)
        assert it is not None
        files = self._stores.files.client
        raw = await files.get(_raw_key(it.item, it.name, await self._stores.jobs.digest(job)))
        if raw is None:
            raise ValueError("the picture as it came is not there")
        sizes = await asyncio.to_thread(resized, raw)
        for name, body in zip(names_of(it.name), sizes, strict=True):
            await files.put(key_of(it.item, name), body)
        await self._show(it.item, names_of(it.name))

    async def _show(self, item: ItemId, names: list[str]) -> None:
        """Let an item have these pictures."""
        for _ in range(CHANGED_MEANWHILE):
            it = await self._stores.catalogue.item(item)
            if it is None or set(names) <= set(it.pictures):
                return
            changed: Item = msgspec.structs.replace(
                it,
                pictures=[*it.pictures, *(name for name in names if name not in it.pictures)],
                version=it.version + 1,
            )
            if await self._choices.cache.write(changed, it.version):
                return
        raise ValueError("the item was changed again and again meanwhile")

    async def _look_after_jobs(self) -> None:
        while True:
            await asyncio.sleep(self._rules.lease_s)
            with _going_on("what got lost is sent later"):
                await self._choices.broker.send_again(2 * self._rules.lease_s)


@contextmanager
def _going_on(without: str) -> Iterator[None]:
    """Go on behind a block that fails, and say why: engines come back, and no worker may end with one of them."""
    try:
        yield
    except EngineError as fault:
        log.info("%s: %s (%s)", without, fault.what, fault.why)
    except Exception:
        log.exception("%s", without)


def _raw_key(item: ItemId, name: str, digest: bytes) -> str:
    return f"pictures/{item}/{name}/{digest.hex()}"
