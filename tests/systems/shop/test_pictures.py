"""Pictures: made smaller by whoever takes the job, again if they die, and never again once it is hopeless."""

from __future__ import annotations

import asyncio
import io
import json
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from fathom.engines.engine import EngineDown, EngineError
from fathom.engines.redis import RedisError
from fathom.errors import Refusal
from fathom.systems.shop.api import Item, Job, JobId, UserId
from fathom.systems.shop.dives import broker as dive
from fathom.systems.shop.service import Rules, Service
from fathom.systems.shop.stores.jobs import Sent
from tests.features import feature

from .pictures import BROKEN, png
from .world import SHOP, World
from .written import Written

pytestmark = pytest.mark.asyncio(loop_scope="session")

BROKERS = list(SHOP.decision("broker").approaches)
WORKER = Path(__file__).with_name("worker.py")
QUICK = {"again_s": "0.02"}
RULES = Rules(lease_s=0.5, tries_max=3, sweep_s=60.0)


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def nothing_left(world: World) -> None:
    """What other tests sent has numbers that are given again."""
    with suppress(EngineError):
        await world.stores.queue.client.purge("shop-jobs")


async def ended(shop: Service, keeper: UserId, job: Job) -> Job:
    """Return a job once it is done or dead."""
    async with asyncio.timeout(15):
        while True:
            found = await shop.job(keeper, job.id)
            if found.state in ("done", "dead"):
                return found
            await asyncio.sleep(0.02)  # workers tell nobody but the row


async def opened(world: World, shop: Service) -> tuple[UserId, Item]:
    (item,) = await world.goods(shop, 0)
    return (await world.users(1, staff=True))[0], item


@pytest.mark.slow
@pytest.mark.parametrize("broker", BROKERS)
@feature("IMGQ-01", "IMGQ-02", "IMGQ-03")
async def test_good_pictures_are_made_smaller_and_a_broken_one_before_them_dies_of_its_last_try(
    world: World, broker: str
):
    async with world.open({"broker": broker}, knobs=QUICK, rules=RULES) as shop:
        keeper, item = await opened(world, shop)
        written = Written(shop, given={"tries_max": 3})
        bad = await written.ask("add_picture", keeper, item.id, "bad", BROKEN)
        good = [await written.ask("add_picture", keeper, item.id, f"good-{n}", png(shade=n)) for n in range(6)]
        assert [(await ended(shop, keeper, job)).state for job in good] == ["done"] * 6
        dead = await ended(shop, keeper, bad)
        assert (dead.state, dead.tries) == ("dead", 3) and "cannot be read" in dead.because
        assert [job.id for job in (await shop.jobs(keeper, "dead")).jobs] == [bad.id]
        shown = (await shop.item(item.id)).pictures
        assert sorted(shown) == sorted(f"good-{n}-{width}" for n in range(6) for width in (160, 480, 960))
        with Image.open(io.BytesIO(await shop.picture(item.id, "good-1-160"))) as small:
            assert small.size == (40, 30)  # never larger than it was
        retried = await written.ask("retry", keeper, bad.id)
        assert retried.tries == 0
        assert (await ended(shop, keeper, bad)).tries == 3
        for each in [bad, *good]:
            await written.ask("job", keeper, each.id, final=True)
        await written.ask("item", item.id, final=True)
        assert written.broken() == []


@pytest.mark.slow
@pytest.mark.parametrize("broker", BROKERS)
@feature("IMGQ-01", "IMGQ-02")
async def test_a_job_whose_worker_is_killed_is_done_by_another_and_only_once(world: World, broker: str):
    rules = Rules(lease_s=0.8, tries_max=3, sweep_s=60.0)
    async with world.open({"broker": broker}, rules=rules, seed=nobody_works) as shop:
        keeper, item = await opened(world, shop)
        job = await shop.add_picture(keeper, item.id, "front", png())
        stores = world.stores
        where = {name: getattr(stores, name).where for name in ("truth", "cache", "queue", "files")}
        asked = {"broker": broker, "lease_s": rules.lease_s, **where}
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(WORKER), json.dumps(asked), stdout=asyncio.subprocess.PIPE
        )
        assert worker.stdout is not None
        taken = json.loads(await asyncio.wait_for(worker.stdout.readline(), 20))
        assert taken == {"job": job.id, "tries": 1}
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        assert (await shop.job(keeper, job.id)).state == "working"
    async with world.open({"broker": broker}, rules=rules) as shop:
        found = await ended(shop, keeper, job)
        assert (found.state, found.tries) == ("done", 2)
        assert not await world.stores.jobs.done(job.id, 1), "whoever comes back late is told that it is over"
        assert len((await shop.item(item.id)).pictures) == 3


def nobody_works(stores: Any, choices: Any) -> None:
    async def never(*asked: Any) -> list[Any]:
        await asyncio.Event().wait()
        return []

    choices.broker.take = never


@pytest.mark.slow
@pytest.mark.parametrize("broker", BROKERS)
@feature("IMGQ-04")
async def test_a_small_picture_goes_another_way_than_a_large_one_and_does_not_wait_behind_it(
    world: World, broker: str, monkeypatch: pytest.MonkeyPatch
):
    async with world.open({"broker": broker}, rules=RULES) as shop:
        keeper, item = await opened(world, shop)
        begun, go_on = asyncio.Event(), asyncio.Event()
        make = shop._make

        async def slow_if_large(job: JobId) -> None:
            if (await shop.job(keeper, job)).name == "large":
                begun.set()
                await go_on.wait()
            await make(job)

        monkeypatch.setattr(shop, "_make", slow_if_large)
        noise = Image.frombytes("RGB", (200, 200), random.Random(7).randbytes(120_000))
        written = io.BytesIO()
        noise.save(written, "png")
        large = await shop.add_picture(keeper, item.id, "large", written.getvalue())
        await asyncio.wait_for(begun.wait(), 10)
        small = await shop.add_picture(keeper, item.id, "small", png())
        assert (await ended(shop, keeper, small)).state == "done"
        await asyncio.sleep(2 * RULES.lease_s)  # longer than a lease: it is kept by being renewed
        assert (await shop.job(keeper, large.id)).state == "working"
        go_on.set()
        found = await ended(shop, keeper, large)
        assert (found.state, found.tries) == ("done", 1)


@pytest.mark.slow
@pytest.mark.parametrize("broker", BROKERS)
async def test_a_job_whose_message_was_lost_is_sent_again_from_its_row(world: World, broker: str):
    async with world.open({"broker": broker}, rules=RULES, seed=nobody_works) as shop:
        keeper, item = await opened(world, shop)
        job = await shop.add_picture(keeper, item.id, "front", png())
        await world.stores.cache.client("FLUSHALL")
        if broker == "jetstream":
            await world.stores.queue.client.purge("shop-jobs")
    async with world.open({"broker": broker}, rules=RULES) as shop:
        await shop._choices.broker.send_again(0.0)
        assert (await ended(shop, keeper, job)).state == "done"


async def test_the_same_picture_sent_again_is_the_same_job_and_another_one_is_refused(world: World):
    async with world.open(rules=RULES) as shop:
        keeper, item = await opened(world, shop)
        job = await shop.add_picture(keeper, item.id, "front", png())
        await ended(shop, keeper, job)
        assert (await shop.add_picture(keeper, item.id, "front", png())).id == job.id
        with pytest.raises(Refusal, match="another picture called front"):
            await shop.add_picture(keeper, item.id, "front", png(shade=1))
        with pytest.raises(Refusal, match="PNG"):
            await shop.add_picture(keeper, item.id, "back", b"GIF89a")
        with pytest.raises(Refusal, match="staff"):
            await shop.add_picture((await world.users(1))[0], item.id, "back", png())
        with pytest.raises(Refusal, match="done cannot be tried again"):
            await shop.retry(keeper, job.id)
        for name in ("front-161", "front", "../front-160"):
            with pytest.raises(Refusal, match="no such picture"):
                await shop.picture(item.id, name)


@pytest.mark.slow
@pytest.mark.parametrize("broker", BROKERS)
async def test_the_dive_counts_what_each_broker_costs_and_none_loses_a_job(
    world: World, broker: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dive, "JOBS", 100)
    question = SHOP.decision("broker")
    async with world.open():
        approach: Any = question.build(question.choice(broker), world.stores)
        it = dive.Queues()
        await it.prepare(world.stores, approach, [10])
        counted = await it.trial(approach, SimpleNamespace(at_once=10))
    print(broker, counted)
    assert counted["lost"] == 0 and counted["came_again"] == dive.GONE
    assert counted["kept"] == (1.0 if broker == "skip-locked" else 0.0)


@pytest.mark.slow
async def test_a_job_that_a_queue_has_lost_is_counted_and_not_waited_for(world: World, monkeypatch: pytest.MonkeyPatch):
    for name, few in {"JOBS": 10, "GONE": 4, "INTURN": 5, "GIVE_UP_S": 0.5, "LEASE_S": 0.3}.items():
        monkeypatch.setattr(dive, name, few)
    question = SHOP.decision("broker")
    async with world.open():
        approach: Any = question.build(question.choice("redis-streams"), world.stores)
        it = dive.Queues()
        await it.prepare(world.stores, approach, [1])
        send, sent = approach.send, list[Any]()

        async def loses(job: Any) -> None:
            sent.append(job)
            if len(sent) not in (3, 12, 16):  # one of each part
                await send(job)

        monkeypatch.setattr(approach, "send", loses)
        async with asyncio.timeout(30):
            counted = await it.trial(approach, SimpleNamespace(at_once=1))
    assert counted["lost"] == 3 and counted["came_again"] == dive.GONE - 1


async def test_a_queue_that_was_lost_for_one_route_takes_the_receipts_of_the_other(world: World):
    subjects = world.stores.subjects
    await subjects.declare()
    await subjects.send(Sent(JobId(7), "quick"))
    (given,) = await subjects.take("quick", 1, 30.0, 1.0)
    assert await subjects.take("bulky", 1, 30.0, 0.0) == []
    await world.stores.queue.client.remove_consumer("shop-jobs", "bulky")
    with pytest.raises(EngineDown):
        await subjects.take("bulky", 1, 30.0, 0.0)
    await subjects.working(given.receipt)
    await subjects.done(given.receipt)
    assert await subjects.take("bulky", 1, 30.0, 0.0) == [], "it is declared again"
    for _ in range(500):
        if not await subjects.kept("quick"):
            break
        await asyncio.sleep(0.01)  # an acknowledgement is not acknowledged
    assert await subjects.kept("quick") == 0


@pytest.mark.slow
async def test_a_worker_outlives_what_nobody_thought_of(world: World, monkeypatch: pytest.MonkeyPatch):
    async with world.open(rules=RULES) as shop:
        keeper, item = await opened(world, shop)
        make, broker = shop._make, world.choices.broker
        take, renew = broker.take, broker.renew
        faults = {name: iter([RedisError(f"NOGROUP {name}")]) for name in ("take", "make", "renew")}
        renewed, kept = list[bool](), asyncio.Event()

        def fails_once(name: str) -> None:
            for fault in faults[name]:
                raise fault

        async def takes(*asked: Any) -> Any:
            fails_once("take")
            return await take(*asked)

        async def makes(job: JobId) -> None:
            fails_once("make")
            await asyncio.wait_for(kept.wait(), 10)
            await make(job)

        async def renews(*asked: Any) -> bool:
            fails_once("renew")
            renewed.append(await renew(*asked))
            kept.set()
            return renewed[-1]

        monkeypatch.setattr(shop, "_make", makes)
        monkeypatch.setattr(broker, "take", takes)
        monkeypatch.setattr(broker, "renew", renews)
        job = await shop.add_picture(keeper, item.id, "front", png())
        found = await ended(shop, keeper, job)
        assert (found.state, found.tries, renewed[0]) == ("done", 2, True)


@pytest.mark.slow
@pytest.mark.parametrize("broker", ["redis-streams", "jetstream"])
async def test_what_waits_for_long_is_sent_again_once_whoever_looks_for_it(world: World, broker: str):
    async with world.open({"broker": broker}, rules=RULES, seed=nobody_works) as shop:
        keeper, item = await opened(world, shop)
        await shop.add_picture(keeper, item.id, "front", png())
        await world.sql("UPDATE jobs SET due = now() - interval '100 seconds'")
        approach = world.choices.broker
        if broker == "jetstream":  # whose consumer is there once somebody has taken
            await world.stores.subjects.take("quick", 1, 30.0, 0.0)
        assert await asyncio.gather(*(approach.send_again(60.0) for _ in range(4))) in (
            [[1 if n == first else 0 for n in range(4)] for first in range(4)]
        )
        assert await approach.kept("quick") == 2
