"""What does the service itself cost: `service.home()` in process, beside the raw client asking Redis the same.

One process, one loop, as many callers as keep it busy; both take turns on the same Redis with the same commands. What
the service adds is knowing what they mean: whether the feed is whole, where it ends, whose posts are not to be shown,
what a post is.

    .venv/bin/python -m benchmarks.service_home
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.timeline_world import SMALL, Size, opened, parser, ratio_line, serving
from fathom.engines.redis import Redis
from fathom.lab.machine import Placement
from fathom.systems.timeline.api import Page

CALLERS = 32
APPROACH = "hybrid"  # the default; nobody here is famous enough to be pulled
GOAL = 0.5
POSTS = 20


def main() -> None:
    import uvloop

    asked = parser(__doc__ or "", seconds=1.0).parse_args()
    found = uvloop.run(compare(small=asked.small, rounds=asked.rounds, seconds=asked.seconds))
    print(found["says"])
    if asked.json:
        print(json.dumps(found))


async def compare(*, small: bool = False, rounds: int = 15, seconds: float = 1.0) -> dict[str, Any]:
    """Run the benchmark and return its figures."""
    if small:
        rounds, seconds = 1, 0.05
    place = Placement.here()
    async with (
        opened(SMALL if small else Size(), set(place.system)) as world,
        serving(world, APPROACH) as (service, _),
        Redis.at(world.urls["cache"]).connected() as client,
    ):
        feeds = {int(key.rpartition(b":")[2]): key for key in await client("KEYS", "feed:*")}
        post = (await client("KEYS", "post:*"))[0].rpartition(b":")[0] + b":"
        keys = [feeds[reader] for reader in world.readers]

        async def raw(at: int) -> None:
            got = await client("ZREVRANGEBYSCORE", keys[at % len(keys)], "inf", "-inf", "LIMIT", 0, POSTS + 8)
            await client("MGET", *[post + id for id in got[1 : POSTS + 1]])

        async def home(at: int) -> None:
            await service.home(world.readers[at % len(keys)], Page())

        assert len((await service.home(world.readers[0], Page())).posts) == POSTS
        cache = world.engines["cache"]
        rates: dict[str, list[float]] = {"service": [], "raw": []}
        commands: dict[str, float] = {}
        with place.pinned():
            for turn in range(rounds):
                order = [("service", home), ("raw", raw)]
                for name, one in order if turn % 2 == 0 else order[::-1]:
                    await closed_loop(one, seconds / 5)
                    counted = await cache.counters()
                    done, took_s = await closed_loop(one, seconds)
                    since = await cache.counters()
                    names = ("cmd.zrevrangebyscore", "cmd.mget")
                    commands[name] = sum(since.get(it, 0) - counted.get(it, 0) for it in names) / done
                    rates[name].append(done / took_s)
    ratios = [ours / raw for ours, raw in zip(rates["service"], rates["raw"], strict=True)]
    lines = [ratio_line("service.home() / raw client", ratios, GOAL)]
    for name in ("service", "raw"):
        middle = statistics.median(rates[name])
        lines.append(
            f"  {name}: {middle:.0f}/s ({min(rates[name]):.0f} to {max(rates[name]):.0f}), {1e6 / middle:.1f} us each;"
            f" Redis commands per read {commands[name]:.2f}"
        )
    lines.append(
        f"  placement: service on core {sorted(place.generator)}, engines on {sorted(place.system)};"
        f" {CALLERS} callers, closed loop, {rounds} x {seconds:g} s each, interleaved"
    )
    return {"says": "\n".join(lines), "ratios": ratios, "rates": rates, "commands": commands}


async def closed_loop(one: Callable[[int], Awaitable[None]], seconds: float) -> tuple[int, float]:
    """Call for so long with all callers; return how many calls ended, and in what time."""
    done = 0
    began = time.perf_counter()
    until = began + seconds

    async def caller(first: int) -> None:
        nonlocal done
        at = first
        while time.perf_counter() < until:
            await one(at)
            at += CALLERS
            done += 1

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return done, time.perf_counter() - began


if __name__ == "__main__":
    main()
