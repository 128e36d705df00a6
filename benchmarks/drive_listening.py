"""What does a core do for a device to which nothing happens, that polls, waits for answers, or has a websocket open?

A service in a process of its own, on engines of its own, and a hundred devices, four of each person, that listen over
real connections on loopback, by the client's own code. Counted is the CPU of the service's process for one device and
an hour; beside it, what the process takes in an hour when nobody listens. A poll is every five seconds, a long poll
waits for 25, a websocket is pinged every 15 and who listens on it looked up every 30: all of them a whole number of
times in 150 seconds. The collector's round of every 60 is in all figures, and in that of nobody. Then something is
changed for each person, and every device has to hear of it.

    .venv/bin/python -m benchmarks.drive_listening
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.timeline_world import parser
from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.lab.machine import cpu_s
from fathom.systems import find
from fathom.systems.drive.api import ROOT, Drive, Make
from fathom.systems.drive.client.place import Place
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.client.stay import Patience, listen
from fathom.web.listen import Listen
from fathom.web.served import Served

DEVICES, OF_ONE, WARM_S, HOUR_S, HEARD_S = 100, 4, 4.0, 3_600.0, 30.0
NAMES = "nobody", "poll", "long-poll", "push"


def main() -> None:
    asked = parser(__doc__ or "", rounds=3, seconds=150.0).parse_args()
    devices, seconds, rounds = (3, 0.2, 1) if asked.small else (DEVICES, asked.seconds, asked.rounds)
    patience = Patience(poll_s=0.25) if asked.small else Patience()
    told = asyncio.run(compare(devices, seconds, rounds, patience))
    print(json.dumps(told) if asked.json else "\n".join(f"{name:10} {cpu}" for name, cpu in told.items()))


async def compare(devices: int, seconds: float, rounds: int, patience: Patience) -> dict[str, list[float]]:
    """Return the CPU seconds for a device and an hour, of each round, in turns."""
    told: dict[str, list[float]] = {name: [] for name in NAMES}
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper) as truth,
        Objects.start(keeper, name="files") as files,
        Redis.start(keeper, sync="no") as cache,
    ):
        where = {"truth": truth.where, "files": files.where, "cache": cache.where}
        for number in range(rounds):
            for name, found in told.items():
                choices = {} if name == "nobody" else {"notify": Choice(name)}
                async with Served.start(keeper, find("drive"), engines=where, choices=choices, door=Listen()) as served:
                    people = [f"{name}-{number}-{n}" for n in range(0 if name == "nobody" else -(-devices // OF_ONE))]
                    spent = await _spent(served, people, devices, seconds, patience)
                    found.append(round(spent * HOUR_S / (devices if people else 1), 3))
    return told


async def _spent(served: Served, people: list[str], devices: int, seconds: float, patience: Patience) -> float:
    """Return the share of a core that a service takes for devices to which nothing happens."""
    assert served.door is not None
    async with AsyncExitStack() as stack:
        lives: list[asyncio.Task[None]] = []
        heard: list[asyncio.Event] = []
        places: list[Place] = []
        async with Rest(served.door) as rest:
            joined = [await _joins(rest, name) for name in people]
        for user, token in [each for each in joined for _ in range(OF_ONE)][:devices]:
            drive = await stack.enter_async_context(Rest(served.door, token))
            (space,) = await drive.spaces(user)
            places.append(Place(cast(Drive, drive), user, space.id))
            heard.append(asyncio.Event())
            known: Any = SimpleNamespace(about=SimpleNamespace(epoch=space.epoch, seq=space.head))
            watch: Any = SimpleNamespace(hint=lambda moved, heard=heard[-1]: heard.set())
            lives.append(asyncio.create_task(listen(places[-1], known, watch, patience)))
        await asyncio.sleep(min(WARM_S, seconds))
        before, began_s = cpu_s(served.pid), time.monotonic()
        await asyncio.sleep(seconds)
        after, took_s = cpu_s(served.pid), time.monotonic() - began_s
        assert before is not None and after is not None
        # A device that gave up, or never got through, costs little: what is counted is worth nothing if one did.
        assert not any(life.done() for life in lives) and not any(each.is_set() for each in heard)
        for place in places[::OF_ONE]:
            await place.drive.commit(place.user, place.space, [Make(parent=ROOT, name="something new")])
        async with asyncio.timeout(HEARD_S):
            await asyncio.gather(*(each.wait() for each in heard))
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
    return (after - before) / took_s


async def _joins(rest: Rest, name: str) -> tuple[Any, str]:
    user = await rest.join(name, "only for this")
    return user.id, await rest.login(name, "only for this")


if __name__ == "__main__":
    main()
