"""What the timeline acknowledged is on the disk by then: shown with strace, which sees every fsync."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.web.served import Served

from . import wal
from .traced import Traced

POSTS = 200
AT_ONCE = 8  # several, so that one sync covers several commits, as it does in life

pytestmark = [pytest.mark.outside, pytest.mark.slow]


@asynccontextmanager
async def traced_timeline(settings: Mapping[str, str]) -> AsyncIterator[tuple[Any, Postgres, Path]]:
    """Yield a client of a running timeline, its PostgreSQL, and the file of the trace."""
    async with Keeper.open() as keeper:
        keeper.data.chmod(0o711)  # PostgreSQL's user writes its trace there
        traced: Any = Traced(keeper, truth=wal.SYSCALLS)
        async with (
            Postgres.start(traced, name="truth", settings=settings) as truth,
            Redis.start(keeper, name="cache") as cache,
            Nats.start(keeper, name="queue") as queue,
            Objects.start(keeper, name="files") as files,
            Served.start(
                keeper,
                find("timeline"),
                engines={"truth": truth.where, "cache": cache.where, "queue": queue.where, "files": files.where},
            ) as served,
            served.client(deadline_s=30.0) as timeline,
        ):
            yield timeline, truth, traced.trace("truth")


async def posted(timeline: Any, truth: Postgres) -> list[wal.Acknowledged]:
    """Write the posts; return each with its transaction, and when the client was told."""
    ann = await timeline.join("ann", "correct horse battery")
    told: dict[int, tuple[str, float]] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with room:
            post = await timeline.post(ann.id, f"post {number}")
            told[post.id] = (f"post {number}", time.time())  # the wall's clock, as strace's

    await asyncio.gather(*(one(number) for number in range(POSTS)))
    async with truth.connected() as database:
        rows = await database.fetch("SELECT id, xmin::text AS xid FROM posts")
        await database.execute("CHECKPOINT")
    xids = {row["id"]: int(row["xid"]) for row in rows}
    return [wal.Acknowledged(what, xids[post], told_s) for post, (what, told_s) in told.items()]


async def judged(settings: Mapping[str, str]) -> tuple[list[str], int]:
    """Return what was acknowledged too early, and how many syncs of the log were seen."""
    async with traced_timeline(settings) as (timeline, truth, trace):
        told = await posted(timeline, truth)
        assert len(told) == POSTS
        commits = await wal.commits(truth)
        with trace.open("rb") as lines:
            writes, syncs = wal.trace(lines)
        return wal.uncovered(told, commits, writes, syncs), len(syncs)


async def test_every_acknowledged_post_was_on_the_disk_before_its_author_was_told() -> None:
    early, syncs = await judged({})
    print(f"{POSTS} posts, {syncs} syncs of the log")
    assert early == []
    assert syncs > 0


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit"])
async def test_the_check_turns_red_when_syncing_is_turned_off(setting: str) -> None:
    early, syncs = await judged({setting: "off"})
    print(f"{setting}=off: {len(early)} of {POSTS} too early, {syncs} syncs of the log; {early[:1]}")
    assert len(early) > POSTS * 0.9
