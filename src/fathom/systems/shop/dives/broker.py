"""Jobs wait for whoever does them: what does each broker cost, and what becomes of a job whose worker is gone?

A thousand jobs are sent, and four workers take them, so many at a time, and say that each is done. Counted is the work
that each takes, and the processor's time of the engines and of those who ask them. Then one worker takes a few and is
never heard of again, and another waits for them. Then one worker takes jobs that were sent one after the other, and it
is seen how many come before one that was sent earlier. In the end somebody comes who would like to hear all of it.
"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

from fathom.engines.ledger import charging, work
from fathom.lab.dive import Dive, sweep
from fathom.lab.machine import cpu_s

from ..api import Item, ItemId, Job, JobId, Money
from ..decisions.broker import Broker, Taken
from ..stores.jobs import Sent

JOBS, WORKERS, GONE, INTURN = 1_000, 4, 20, 200
KEPT_LOOKS, KEPT_LOOK_S = 50, 0.02
LEASE_S = 1.0
GIVE_UP_S = 10.0  # what has not come for so long does not come any more: it is counted as lost
SENDERS = 16
ROUTE = "dive"  # nobody of the service takes these
COUNTED = ("statements", "commands", "messages")


class Queues(Dive[Any]):
    """Three brokers, one job at a time and ten."""

    decision = Broker
    trial_s = 8.0
    at_once: int = sweep(1, 10)
    counts = "jobs_per_cpu_s", "jobs_per_s", *COUNTED, "lost", "came_again", "late_ms", "overtaken", "kept"

    async def prepare(self, stores: Any, approach: Broker, at_once: Any) -> None:
        self.stores = stores
        self.item = ItemId(await stores.catalogue.last_id() + 4_096)
        async with stores.truth.client.transaction() as tx:
            item = Item(id=self.item, name="Teapot", price=Money(100, "EUR"), category="tea")
            await stores.catalogue.add(item, tx)
        self.next_id = int(self.item)

    async def trial(self, approach: Broker, turn: Any) -> Any:
        await approach.begin()
        it = Queue(self, approach, turn.at_once)
        before, cpu_before, own_before, began = work.snapshot().get(ROUTE, {}), it.cpu(), time.process_time(), it.now()
        with charging(ROUTE):
            jobs = await it.sent(JOBS)
            await it.all_done(len(jobs))
        took_s = it.now() - began
        after, cpu_after = work.snapshot()[ROUTE], it.cpu()
        used_s = sum(cpu_after[pid] - cpu_before[pid] for pid in cpu_after.keys() & cpu_before.keys())
        used_s += time.process_time() - own_before
        each = {name: (after.get(name, 0) - before.get(name, 0)) / JOBS for name in COUNTED}
        came_again, late_s = await it.somebody_is_gone()
        overtaken = await it.in_turn()
        lost = await it.left()
        return {
            "jobs_per_cpu_s": JOBS / used_s,
            "jobs_per_s": JOBS / took_s,
            **each,
            "lost": lost,
            "came_again": came_again,
            "late_ms": 1_000 * late_s,
            "overtaken": overtaken,
            "kept": await _kept(approach, JOBS + GONE + INTURN) / (JOBS + GONE + INTURN),
        }

    def predict(self, found):
        for at_once in (1, 10):
            rows, redis, nats = (
                found(approach, at_once=at_once) for approach in ("skip-locked", "redis-streams", "jetstream")
            )
            for name, it in (("skip-locked", rows), ("redis-streams", redis), ("jetstream", nats)):
                yield f"{name}: nothing is lost, {at_once} at a time", it.lost.equals(0)
                yield f"{name}: all that a worker left comes again, {at_once} at a time", it.came_again.equals(GONE)
            fewer = redis.statements > 0.9 * rows.statements
            yield f"a second engine spares the database no statement, {at_once} at a time", fewer
            cheapest = rows.jobs_per_cpu_s > redis.jobs_per_cpu_s
            yield f"and so takes more of the processor, {at_once} at a time", cheapest
            yield f"only rows can be told again, {at_once} at a time", nats.kept.equals(0)
        one, ten = found("skip-locked", at_once=1), found("skip-locked", at_once=10)
        yield "ten at a time take a fifth of the statements less, or better", ten.statements < 0.8 * one.statements


class Queue:
    """Some jobs, and what becomes of them."""

    def __init__(self, dive: Queues, approach: Broker, at_once: int) -> None:
        self.dive, self.approach, self.at_once = dive, approach, at_once
        self.all: list[JobId] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def cpu(self) -> dict[int, float]:
        """Return the processor's time of each process of the engines."""
        stores = self.dive.stores
        pids = [pid for engine in (stores.truth, stores.cache, stores.queue) for pid in engine.processes()]
        return {pid: used for pid in pids if (used := cpu_s(pid)) is not None}

    async def sent(self, n: int) -> list[JobId]:
        """Have rows for so many jobs, as an upload would leave them, and send them, several at once."""
        jobs = self._new(n)
        await self._rows(jobs)
        left = iter(jobs)

        async def send() -> None:
            for job in left:
                await self.approach.send(Sent(job, ROUTE))

        await asyncio.gather(*(send() for _ in range(SENDERS)))
        return jobs

    async def all_done(self, n: int) -> None:
        """Have workers take and do jobs until so many are done, or until no more come."""
        done, patience = 0, Patience()

        async def works() -> None:
            nonlocal done
            while done < n and patience.lasts:
                for taken in await self.approach.take(ROUTE, self.at_once, 60.0, 0.2):
                    was_mine = await self.approach.done(taken)
                    done += was_mine
                    patience.begins()

        await asyncio.gather(*(works() for _ in range(WORKERS)))

    async def somebody_is_gone(self) -> tuple[int, float]:
        """Take jobs and forget them; return how many came again, and how long after their lease the last one did."""
        await self.sent(GONE)
        gone: list[Taken] = []
        patience = Patience()
        while len(gone) < GONE and patience.lasts:
            gone += await self.approach.take(ROUTE, GONE, LEASE_S, 0.2)
        over = self.now() + LEASE_S
        again: list[Taken] = []
        while len(again) < GONE and self.now() < over + GIVE_UP_S:
            found = await self.approach.take(ROUTE, GONE, LEASE_S, 0.05)
            again += [taken for taken in found if await self.approach.done(taken)]
        late_s = max(0.0, self.now() - over)
        assert not any([await self.approach.done(taken) for taken in gone]), "whoever comes back late does nothing"
        return len(again), late_s

    async def in_turn(self) -> int:
        """Send jobs one after the other; return how many are taken before one that was sent earlier."""
        jobs = self._new(INTURN)
        await self._rows(jobs)
        for job in jobs:
            await self.approach.send(Sent(job, ROUTE))
        order: list[JobId] = []
        patience = Patience()
        while len(order) < INTURN and patience.lasts:
            for taken in await self.approach.take(ROUTE, self.at_once, 60.0, 0.2):
                order.append(taken.job)
                await self.approach.done(taken)
                patience.begins()
        return sum(later < earlier for earlier, later in pairwise(order))

    async def left(self) -> int:
        """Return how many jobs are not done."""
        return len(await self.dive.stores.jobs.unfinished())

    def _new(self, n: int) -> list[JobId]:
        first = self.dive.next_id + 1
        self.dive.next_id += n
        return [JobId(first + at) for at in range(n)]

    async def _rows(self, jobs: list[JobId]) -> None:
        rows = [Job(id=job, item=self.dive.item, name=f"picture-{job}", state="waiting") for job in jobs]
        await self.dive.stores.jobs.bulk(rows, ROUTE)


class Patience:
    """How long is waited for the next job: a queue that lost one never says so."""

    def __init__(self) -> None:
        self.begins()

    def begins(self) -> None:
        self._until_s = time.monotonic() + GIVE_UP_S

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self._until_s


async def _kept(approach: Any, sent: int) -> int:
    """Return how many jobs can be told again; a queue hears a moment later that one is done."""
    kept = await approach.kept(ROUTE)
    for _ in range(KEPT_LOOKS):
        if kept in (0, sent):
            break
        await asyncio.sleep(KEPT_LOOK_S)
        kept = await approach.kept(ROUTE)
    return kept
