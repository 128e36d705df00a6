"""How many GETs and SETs a second does one node of the store answer, beside redis-server, under redis-benchmark?

Nothing is kept over a power cut by either: Redis writes nothing, the node leaves its log to the operating system. Both
have all cores, and so has the client; they are asked in turns, over TCP on loopback. Every key has a value of 100
bytes. `CPU` is the node's own, for one command.

    .venv/bin/python -m benchmarks.kv_redis
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import statistics
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.timeline_world import parser
from fathom.engines.keeper import Keeper
from fathom.engines.ports import free_port
from fathom.engines.redis import _program
from fathom.engines.redis_client import RedisClient
from fathom.systems.kv.core.topology import Bucket, Topology
from fathom.systems.kv.service.founding import found
from fathom.systems.kv.stores.nodes import Node

KEYS, CLIENTS, BYTES = 10_000, 50, 100
ATTEMPTS = 3
PIPELINES = (1, 16)
TICKS = os.sysconf("SC_CLK_TCK")


class Side(NamedTuple):
    name: str
    port: int
    token: str
    pid: int


def main() -> None:
    asked = parser(__doc__ or "", rounds=5).parse_args()
    if shutil.which("redis-benchmark") is None:
        print("there is no redis-benchmark here: sudo apt-get install -y redis-tools")
        return
    size = {"rounds": 1, "times": 2_000, "keys": 1_000} if asked.small else {"rounds": asked.rounds, "times": 100_000}
    found = asyncio.run(compare(**size))
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


async def compare(*, rounds: int, times: int, keys: int = KEYS) -> dict[str, Any]:
    """Run the benchmark and return its figures: commands a second, the median of the rounds, and the ratio of each."""
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(Keeper.open())
        sides = [await _redis(keeper), await _node(keeper, stack)]
        for side in sides:
            await _asked(side, "set", 16, keys * 5, keys)
        lines, points = [f"{'command':<8}{'pipeline':>9}{'node/s':>10}{'redis/s':>10}{'ratio':>22}{'CPU us':>8}"], []
        for command in ("get", "set"):
            for deep in PIPELINES:
                taken: dict[str, list[tuple[float, float]]] = {side.name: [] for side in sides}
                for number in range(rounds):
                    for side in sides[:: -1 if number % 2 else 1]:
                        count = times if deep == 1 or side.name == "node" else 5 * times
                        taken[side.name].append(await _asked(side, command, deep, count, keys))
                ratios = [ours[0] / theirs[0] for ours, theirs in zip(taken["node"], taken["redis"], strict=True)]
                rates = {name: statistics.median(rate for rate, _ in rows) for name, rows in taken.items()}
                cpu_us = statistics.median(cpu for _, cpu in taken["node"])
                ratio = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}–{max(ratios):.3f})"
                lines.append(
                    f"{command:<8}{deep:>9}{rates['node']:>10,.0f}{rates['redis']:>10,.0f}{ratio:>22}{cpu_us:>8.1f}"
                )
                points.append({"command": command, "pipeline": deep, "ratios": ratios, "cpu_us": cpu_us, **rates})
    return {"says": "\n".join(lines), "points": points}


async def _redis(keeper: Keeper) -> Side:
    port = free_port()
    words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", keeper.data]
    child = await keeper.spawn([_program(), *map(str, words)], name="redis")
    async with RedisClient.open(f"redis://127.0.0.1:{port}", within_s=10.0) as client:
        await client("PING")
    return Side("redis", port, "", child.pid)


async def _node(keeper: Keeper, stack: AsyncExitStack) -> Side:
    node = await stack.enter_async_context(Node.start(keeper, name="beside-n1", durability="none"))
    client = await stack.enter_async_context(node.connected())
    await found([client], Topology(cluster="", epoch=1, members=(), buckets=(Bucket(n=1, r=1, w=1),)))
    return Side("node", node.address[1], node.token, node.processes()[0])


async def _asked(side: Side, command: str, deep: int, count: int, keys: int) -> tuple[float, float]:
    """Return commands a second, and the server's CPU microseconds for one.

    redis-benchmark ends at the first reply that is an error, such as that of a deadline on a machine that stood still:
    it is told on stderr, and asked again.
    """
    words = ["-p", side.port, "-t", command, "-n", count, "-P", deep, "-c", CLIENTS, "-r", keys, "-d", BYTES, "--csv"]
    told = ""
    for _ in range(ATTEMPTS):
        before = _cpu_s(side.pid)
        child = await asyncio.create_subprocess_exec(
            "redis-benchmark", *map(str, words), *(["-a", side.token] if side.token else []),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await child.communicate()
        rate = re.search(rf'^"{command}","([\d.]+)"', said.decode(), flags=re.MULTILINE | re.IGNORECASE)
        if child.returncode == 0 and rate is not None:
            return float(rate[1]), 1e6 * (_cpu_s(side.pid) - before) / count
        told = (
            f"{side.name}, {command}: redis-benchmark ended with {child.returncode}, and said: {said.decode()[-500:]}"
        )
        print(told, file=sys.stderr)
    sys.exit(told)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    main()
