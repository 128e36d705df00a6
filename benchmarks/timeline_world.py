"""A timeline whose readers' homes are full, on engines of its own: what the benchmarks of reads stand on."""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fathom.design import Choice, System
from fathom.engines.engine import Engine
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.timeline.api import Page, UserId
from fathom.web.choices import Choices

__all__ = ["Size", "World", "choices_of", "median_interval", "opened", "parser", "ratio_line", "serving", "stores_at"]


@dataclass(frozen=True)
class Size:
    """How much there is to read."""

    readers: int = 100
    authors: int = 500
    follows: int = 50
    posts: int = 5_000
    seed: int = 7


KINDS = {"truth": Postgres, "cache": Redis, "queue": Nats, "files": Objects}
SMALL = Size(readers=3, authors=30, follows=10, posts=300)


@dataclass
class World:
    """The engines, and who lives there."""

    keeper: Keeper
    system: System
    engines: dict[str, Engine]
    readers: list[UserId]
    tokens: list[str]

    @property
    def urls(self) -> dict[str, str]:
        return {field: engine.where for field, engine in self.engines.items()}


@asynccontextmanager
async def opened(size: Size, cores: set[int], *, tokens: bool = False) -> AsyncIterator[World]:
    """Start the engines on these cores and fill them: readers, authors, who follows whom, posts."""
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper, name="truth", cores=cores) as truth,
        Redis.start(keeper, name="cache", cores=cores) as cache,
        Nats.start(keeper, name="queue", cores=cores) as queue,
        Objects.start(keeper, name="files") as files,
    ):
        engines: dict[str, Engine] = {"truth": truth, "cache": cache, "queue": queue, "files": files}
        world = World(keeper, find("timeline"), engines, [], [])
        await _fill(world, size, tokens)
        yield world


async def _fill(world: World, size: Size, tokens: bool) -> None:
    dice = random.Random(size.seed)
    async with stores_at(world.system, world.urls) as stores:
        await stores.migrate()
        authors = await stores.accounts.bulk([f"author{n}" for n in range(size.authors)])
        readers = await stores.accounts.bulk([f"reader{n}" for n in range(size.readers)])
        await stores.graph.bulk(
            [(reader, author) for reader in readers for author in dice.sample(authors, size.follows)]
        )
        now_ms = time.time_ns() // 1_000_000
        words = ["a", "post", "usually", "says", "in", "about", "hundred", "characters", "what", "somebody", "thinks"]
        await stores.posts.bulk(
            [(dice.choice(authors), " ".join(dice.choices(words, k=18))) for _ in range(size.posts)],
            from_ms=now_ms - 86_400_000,
            until_ms=now_ms - 60_000,
        )
        world.readers = readers
        if tokens:
            world.tokens = [await stores.accounts.token(reader, now_ms) for reader in readers]


@asynccontextmanager
async def stores_at(system: System, urls: dict[str, str]) -> AsyncIterator[Any]:
    """Yield the timeline's stores on running engines."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as connected:
        engines = {
            "truth": Postgres.at(urls["truth"]),
            "cache": Redis.at(urls["cache"]),
            "queue": Nats.at(urls["queue"]),
            "files": Objects.at(urls["files"]),
        }
        for engine in engines.values():
            await connected.enter_async_context(engine.connected())
        assert system.stores is not None
        yield system.stores(**engines)


def choices_of(system: System, stores: Any, approach: str) -> Choices:
    return Choices(system, stores, {"fanout": Choice(approach)})


@asynccontextmanager
async def serving(world: World, approach: str) -> AsyncIterator[tuple[Any, Any]]:
    """Yield the service and its stores, in this process, with every reader's home as it is when it is often read."""
    async with stores_at(world.system, world.urls) as stores:
        await stores.migrate()
        async with world.system.service.open(stores, choices_of(world.system, stores, approach)) as service:
            for _ in range(2):  # the first read has the feed made, the second one has the posts copied
                for reader in world.readers:
                    await service.home(reader, Page())
                await service.settled()
            yield service, stores


def parser(says: str, **defaults: float) -> argparse.ArgumentParser:
    """Return what every benchmark understands."""
    it = argparse.ArgumentParser(description=says)
    it.add_argument("--small", action="store_true", help="a moment's run that only shows that all of it works")
    it.add_argument("--rounds", type=int, default=int(defaults.get("rounds", 15)), help="how often all is measured")
    if "seconds" in defaults:
        it.add_argument("--seconds", type=float, default=defaults["seconds"], help="of each segment")
    it.add_argument("--json", action="store_true", help="print the figures as JSON too")
    return it


def ratio_line(what: str, ratios: Sequence[float], goal: float) -> str:
    """Return a ratio with the interval that holds its median with 95 %, beside what was asked for."""
    middle, (low, high) = statistics.median(ratios), median_interval(ratios)
    said = "held" if low >= goal else "failed" if high < goal else "can't tell"
    return f"{what}: {middle:.2f}x ({low:.2f} to {high:.2f}, n = {len(ratios)} pairs), asked {goal:g}x: {said}"


def median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the narrowest pair of order statistics around the median that misses it in at most 5 % of runs.

    Of fewer than six values no pair does: then it is the whole range.

    >>> median_interval([1, 2, 3, 4, 5, 6, 7, 8, 9])
    (2, 8)
    """
    ordered, n = sorted(values), len(values)
    rank, missed = 0, 2 * 0.5**n
    while missed <= 0.05:
        rank += 1
        missed += 2 * math.comb(n, rank) * 0.5**n
    rank = max(0, rank - 1)
    return ordered[rank], ordered[n - 1 - rank]
