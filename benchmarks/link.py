"""What it costs to go through a link that does nothing: Redis asked directly and through it, in turns.

    .venv/bin/python -m benchmarks.link [--rounds 7] [--small]

One PING at a time (a round trip) and 32 at once (what it can pass on). Link and client share a core, as the runner and
its proxies do; Redis has the other.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

import uvloop

from benchmarks.timeline_world import parser
from fathom.engines.keeper import Keeper
from fathom.engines.link import Link
from fathom.engines.redis import Redis
from fathom.engines.redis_client import RedisClient


async def round_trip_s(client: RedisClient, n: int) -> float:
    took = []
    for _ in range(n):
        begun = time.perf_counter()
        await client("PING")
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def per_s(client: RedisClient, n: int) -> float:
    async def one() -> None:
        for _ in range(n // 32):
            await client("PING")

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(32)))
    return n / (time.perf_counter() - begun)


async def measure(rounds: int, n: int) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    theirs, mine = ({cores[0]}, {cores[1]}) if len(cores) > 1 else (None, None)
    async with Keeper.open() as keeper, Redis.start(keeper, cores=theirs) as redis:
        if mine:
            os.sched_setaffinity(0, mine)
        async with (
            Link.between(keeper, redis.where, cores=mine) as link,
            redis.connected() as direct,
            Redis.at(link.where).connected() as through,
        ):
            rows = []
            for number in range(rounds):
                pair = (direct, through)[:: -1 if number % 2 else 1]
                trips = {client: await round_trip_s(client, n) for client in pair}
                rates = {client: await per_s(client, 10 * n) for client in pair}
                rows.append((trips[direct], trips[through], rates[direct], rates[through]))
    direct_s, through_s, direct_rate, through_rate = (statistics.median(column) for column in zip(*rows, strict=True))
    added = [(row[1] - row[0]) * 1e6 for row in rows]
    print(
        f"one at a time: {direct_s * 1e6:.0f} us directly, {through_s * 1e6:.0f} us through the link: "
        f"{statistics.median(added):.0f} us more ({min(added):.0f}–{max(added):.0f}, n = {rounds} pairs)"
    )
    print(f"32 at once: {direct_rate:,.0f}/s directly, {through_rate:,.0f}/s through the link")


def main() -> None:
    options = parser((__doc__ or "").splitlines()[0], rounds=7).parse_args()
    uvloop.run(measure(1, 100) if options.small else measure(options.rounds, 2_000))


if __name__ == "__main__":
    main()
