"""How many durable batches a second, beside a bare loop of write and fdatasync on the same disk; how many gets?

    .venv/bin/python -m benchmarks.rocks [--rounds 7] [--small]

A batch is one value of 100 bytes and one of 16, in two families. The bare loop appends as many bytes as the store's
log grows by for a batch, and syncs each: with one writer the store can be as fast at best; with 64, who share a sync,
it can be faster. Gets are of keys that are there: out of the memtable, and out of tables whose blocks are cached.
Everything is on one core, in one process and its threads; the ratios carry over to other disks only where a sync
costs about the same.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.timeline_world import parser
from fathom.engines.rocks import Rocks
from fathom.engines.rocks_tuning import Tuning

FAMILIES = ("data", "slots")
WRITERS = 64
BODY, SUM = os.urandom(100), bytes(16)
KEYS = 10_000


def apply(store: Rocks, number: int) -> int:
    return store.apply([("data", b"%010d" % number, BODY), ("slots", b"%02d" % (number % 64), SUM)])


async def durable_per_s(store: Rocks, writers: int, n: int) -> float:
    """Return batches a second, each writer making its next when its last is durable."""

    async def writer(first: int) -> None:
        for number in range(first, n, writers):
            await store.sync(apply(store, number))

    begun = time.perf_counter()
    await asyncio.gather(*(writer(first) for first in range(writers)))
    return n / (time.perf_counter() - begun)


def bare_per_s(path: Path, size: int, n: int) -> float:
    """Return how often a second so many bytes are appended to a file and synced."""
    body = os.urandom(size)
    sync = getattr(os, "fdatasync", os.fsync)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        begun = time.perf_counter()
        for _ in range(n):
            os.write(fd, body)
            sync(fd)
        return n / (time.perf_counter() - begun)
    finally:
        os.close(fd)


def gets_per_s(store: Rocks, n: int) -> float:
    dice = random.Random(1)
    keys = [b"%010d" % dice.randrange(KEYS) for _ in range(n)]
    begun = time.perf_counter()
    for key in keys:
        store.get("data", key)
    return n / (time.perf_counter() - begun)


async def measure(rounds: int, n: int) -> None:
    core = min(os.sched_getaffinity(0)) if sys.platform == "linux" else None
    if core is not None:
        os.sched_setaffinity(0, {core})
    rows: list[tuple[float, ...]] = []
    with tempfile.TemporaryDirectory(prefix=".rocks-", dir=Path.cwd()) as place:
        folder = Path(place)
        async with Rocks.open(folder / "n1", cluster="c", families=FAMILIES, tuning=Tuning(reserve_bytes=0)) as store:
            before = await store.counters()
            for number in range(KEYS):
                apply(store, number)
            size = ((await store.counters())["wal_bytes"] - before["wal_bytes"]) // KEYS
            memtable = statistics.median(gets_per_s(store, 10 * n) for _ in range(rounds))
            for number in range(rounds):
                asks = [
                    lambda: asyncio.sleep(0, bare_per_s(folder / "bare", size, n)),
                    lambda: durable_per_s(store, 1, n),
                    lambda: durable_per_s(store, WRITERS, 4 * n),
                ]
                turn = number % len(asks)
                found = dict.fromkeys(range(len(asks)), 0.0)
                for which in [*range(turn, len(asks)), *range(turn)]:
                    found[which] = await asks[which]()
                rows.append(tuple(found.values()))
            syncs, batches = (await store.counters())["wal_syncs"], store.durable - KEYS
            await store.snapshot(folder / "copy")  # writes the memtables out
            tables = statistics.median(gets_per_s(store, 10 * n) for _ in range(rounds))
            shared = await shares(store, n)
    said(rows, size, memtable, tables, core)
    print(f"{batches:,} batches in {syncs:,} syncs; with {WRITERS} writers {shared:.1f} batches a sync")


async def shares(store: Rocks, n: int) -> float:
    """Return how many batches a sync covers when there are many writers."""
    before = (await store.counters())["wal_syncs"]
    await durable_per_s(store, WRITERS, 4 * n)
    return 4 * n / ((await store.counters())["wal_syncs"] - before)


def said(rows: list[tuple[float, ...]], size: int, memtable: float, tables: float, core: int | None) -> None:
    bare, one, many = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"all on core {core}" if core is not None else "on whatever core")
    print(f"write + fdatasync of {size} bytes: {bare:,.0f}/s")
    for who, rate, column in (("1 writer", one, 1), (f"{WRITERS} writers", many, 2)):
        ratios = [row[column] / row[0] for row in rows]
        print(
            f"{who}: {rate:,.0f} durable batches/s, {statistics.median(ratios):.2f}x the bare loop "
            f"({min(ratios):.2f}–{max(ratios):.2f}, n = {len(ratios)} rounds)"
        )
    print(f"gets: {memtable:,.0f}/s out of the memtable, {tables:,.0f}/s out of cached tables")


def main() -> None:
    options = parser((__doc__ or "").splitlines()[0], rounds=7).parse_args()
    uvloop.run(measure(1, 100) if options.small else measure(options.rounds, 2_000))


if __name__ == "__main__":
    main()
