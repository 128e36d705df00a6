"""What the Redis client's care costs: beside forty lines that only pipeline, in turns, against the same Redis.

    .venv/bin/python -m benchmarks.redis_client [--rounds 7] [--small]

The forty lines have no bounds, deadlines, reconnection, errors or ledger: they are what such a client can reach at
most in this language. 32 tasks GET a value of 100 bytes, each its next when its last is answered; and one task adds
1,000 members in one pipeline. CPU is this process' own, for one GET.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import hiredis
import uvloop

from fathom.engines.keeper import Keeper
from fathom.engines.redis import Redis
from fathom.engines.redis_connection import Address

TASKS = 32
Client = Callable[..., Awaitable[Any]]


class Bare(asyncio.Protocol):
    """A pipelining client, and nothing more."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.reader, self.sent, self.out, self.flushing = hiredis.Reader(), deque[asyncio.Future[Any]](), [], False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        while (answer := self.reader.gets()) is not False:
            self.sent.popleft().set_result(answer)

    def flush(self) -> None:
        self.flushing = False
        self.transport.write(b"".join(self.out))
        self.out.clear()

    def __call__(self, *command: Any) -> asyncio.Future[Any]:
        future = self.loop.create_future()
        self.sent.append(future)
        self.out.append(hiredis.pack_command(cast(Any, command)))
        if not self.flushing:
            self.flushing = True
            self.loop.call_soon(self.flush)
        return future

    async def many(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        return [await future for future in [self(*command) for command in commands]]


async def gets(client: Client, n: int) -> tuple[float, float]:
    """Return GETs a second, and the CPU seconds of one."""

    async def one() -> None:
        for _ in range(n // TASKS):
            await client("GET", "k")

    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one() for _ in range(TASKS)))
    return n / (time.perf_counter() - begun), (time.process_time() - cpu) / n


async def adds(client: Any) -> float:
    """Return the seconds that a pipeline of 1,000 takes."""
    begun = time.perf_counter()
    await client.many([("ZADD", f"feed:{n}", n, n) for n in range(1_000)])
    return time.perf_counter() - begun


async def measure(rounds: int, n: int) -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    apart = len(cores) > 1
    async with (
        Keeper.open() as keeper,
        Redis.start(keeper, cores={cores[0]} if apart else None) as redis,
        redis.connected(deadline_s=60) as ours,
    ):
        if apart:
            os.sched_setaffinity(0, {cores[1]})
        address = Address.parse(redis.where)
        _, bare = await asyncio.get_running_loop().create_unix_connection(Bare, address.path)
        await bare("AUTH", address.password)
        await ours("SET", "k", "x" * 100)
        found: dict[str, list[tuple[float, float, float]]] = {"ours": [], "bare": []}
        for number in range(rounds):
            for name, client in (("ours", ours), ("bare", bare))[:: -1 if number % 2 else 1]:
                found[name].append((*await gets(client, n), await adds(client)))
        bare.transport.close()
    print(f"Redis on core {cores[0]}, client on core {cores[1]}" if apart else "all on one core")
    for name, rows in found.items():
        rate, cpu, pipeline = (statistics.median(column) for column in zip(*rows, strict=True))
        low, high = min(row[0] for row in rows), max(row[0] for row in rows)
        print(
            f"{name}: {rate:,.0f} GET/s ({low:,.0f}–{high:,.0f}), {cpu * 1e6:.2f} us CPU each; "
            f"1,000 ZADD in {pipeline * 1e3:.2f} ms"
        )
    ratios = [ours[0] / bare[0] for ours, bare in zip(found["ours"], found["bare"], strict=True)]
    print(f"ours: {statistics.median(ratios):.2f}x bare ({min(ratios):.2f}–{max(ratios):.2f}, n = {rounds} pairs)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="a moment's run that only shows that all of it works")
    options = parser.parse_args()
    uvloop.run(measure(2, 3_200) if options.small else measure(options.rounds, 320_000))


if __name__ == "__main__":
    main()
