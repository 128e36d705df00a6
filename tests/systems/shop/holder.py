"""A process that holds a seat, believes in its lock, is stopped before it writes, and goes on as if nothing were."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.redis import Redis
from fathom.errors import Refusal
from fathom.systems import find
from fathom.systems.shop.api import ConcertId, HoldId, OrderId, UserId
from fathom.systems.shop.stores import Stores
from fathom.systems.shop.stores.provider import Provider
from fathom.systems.shop.stores.truth import Truth


def stopped_before(seats: Any, verb: str) -> None:
    """Have this process stop when it is about to do something with its seats: another one lets it go on."""
    do = getattr(seats, verb)

    async def stops(*given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSTOP)
        return await do(*given)

    setattr(seats, verb, stops)


async def main(asked: dict[str, Any]) -> None:
    question = find("shop").decision("lock")
    truth, cache = Truth.at(asked["truth"]), Redis.at(asked["cache"])
    stores = Stores(truth, cache, Nats.at("nats://nowhere"), Objects.at("file:///"), Provider.at(""))  # pyright: ignore[reportArgumentType]
    async with truth.connected() as database, cache.connected():
        lock: Any = question.build(question.choice(asked["lock"]), stores)
        concert, lease_s, order = ConcertId(asked["concert"]), asked["lease_s"], OrderId(77)
        async with database.transaction() as tx:
            hold = await lock.hold(HoldId(7), UserId(asked["user"]), concert, ["A1"], lease_s, tx)
        print(json.dumps({"token": hold.token}), flush=True)
        stopped_before(stores.seats, {"database": "bind", "redis-fenced": "claim"}.get(asked["lock"], "overwrite"))
        sold = False
        try:
            async with database.transaction() as tx:
                await lock.bind(hold, order, lease_s, tx)
            async with database.transaction() as tx:
                sold = await lock.sell(hold, order, tx)
        except Refusal as refusal:
            print(refusal.says, file=sys.stderr)
        print(json.dumps({"sold": sold}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
