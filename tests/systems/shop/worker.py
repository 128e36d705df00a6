"""A worker in a process of its own that takes a job, says so, and never ends it: somebody has to kill it."""

from __future__ import annotations

import asyncio
import json
import sys

from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.shop.stores import Stores
from fathom.systems.shop.stores.provider import Provider
from fathom.systems.shop.stores.truth import Truth


async def main(asked: dict[str, str]) -> None:
    question = find("shop").decision("broker")
    stores = Stores(
        Truth.at(asked["truth"]),  # pyright: ignore[reportArgumentType]
        Redis.at(asked["cache"]),
        Nats.at(asked["queue"]),
        Objects.at(asked["files"]),
        Provider.at(""),
    )
    async with stores.truth.connected(), stores.cache.connected(), stores.queue.connected():
        broker = question.build(question.choice(asked["broker"]), stores)
        await broker.begin()  # pyright: ignore[reportAttributeAccessIssue]
        (taken,) = await broker.take("quick", 1, float(asked["lease_s"]), 15.0)  # pyright: ignore[reportAttributeAccessIssue]
        print(json.dumps({"job": taken.job, "tries": taken.tries}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
