"""What does a core do for a device to which nothing happens, that polls, waits for answers, or has a websocket open?

A service in a process of its own, on engines of its own, and a hundred devices, four of each person, that listen over
real connections on loopback, by the client's own code. Counted is the CPU of the service's process for one device and
an hour; beside it, what the process takes in an hour when nobody listens. A poll is every five seconds, a long poll
waits for 25, and all that happens now and then does so a whole number of times in 150.

    .venv/bin/python -m benchmarks.drive_listening
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

from benchmarks.timeline_world import parser
from fathom.design import Choice
from fathom.engines.keeper import Keeper
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.drive.client.place import Place
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.client.stay import Patience, listen
from fathom.web.listen import Listen
from fathom.web.served import Served

DEVICES, OF_ONE, WARM_S, HOUR_S = 100, 4, 4.0, 3_600.0


def main() -> None:
    asked = parser(__doc__ or "", rounds=3, seconds=150.0).parse_args()
    devices, seconds, rounds = (3, 1.0, 1) if asked.small else (DEVICES, asked.seconds, asked.rounds)
    names = ["push"] if asked.small else ["nobody", "poll", "long-poll", "push"]
    told = asyncio.run(compare(names, devices, seconds, rounds))
    print(json.dumps(told) if asked.json else "\n".join(f"{name:10} {cpu}" for name, cpu in told.items()))


async def compare(names: list[str], devices: int, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds for a device and an hour, of each round, in turns."""
    told: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, found in told.items():
            found.append(round(await _spent(name, devices, seconds), 3))
    return told


async def _spent(name: str, devices: int, seconds: float) -> float:
    async with AsyncExitStack() as stack:
        keeper = await stack.enter_async_context(Keeper.open())
        engines = {
            "truth": await stack.enter_async_context(Postgres.start(keeper)),
            "files": await stack.enter_async_context(Objects.start(keeper, name="files")),
            "cache": await stack.enter_async_context(Redis.start(keeper, sync="no")),
        }
        where = {field: engine.where for field, engine in engines.items()}
        choices = {} if name == "nobody" else {"notify": Choice(name)}
        served = await stack.enter_async_context(
            Served.start(keeper, find("drive"), engines=where, choices=choices, door=Listen())
        )
        assert served.door is not None
        lives: list[asyncio.Task[None]] = []
        async with Rest(served.door) as rest:
            people = [await _joins(rest, n) for n in range(0 if name == "nobody" else -(-devices // OF_ONE))]
        for user, token in [each for each in people for _ in range(OF_ONE)][:devices]:
            drive = await stack.enter_async_context(Rest(served.door, token))
            (space,) = await drive.spaces(user)
            place: Any = Place(drive, user, space.id)
            known: Any = SimpleNamespace(about=SimpleNamespace(epoch=space.epoch, seq=space.head))
            watch: Any = SimpleNamespace(hint=lambda: None)
            lives.append(asyncio.create_task(listen(place, known, watch, Patience())))
        await asyncio.sleep(min(WARM_S, seconds))
        before, began_s = _cpu_s(served.pid), time.monotonic()
        await asyncio.sleep(seconds)
        spent = (_cpu_s(served.pid) - before) / (time.monotonic() - began_s)
        for life in lives:
            life.cancel()
        await asyncio.gather(*lives, return_exceptions=True)
    return spent * HOUR_S / (devices if name != "nobody" else 1)


async def _joins(rest: Rest, n: int) -> tuple[Any, str]:
    user = await rest.join(f"person{n}", "only for this")
    return user.id, await rest.login(f"person{n}", "only for this")


def _cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)


if __name__ == "__main__":
    main()
