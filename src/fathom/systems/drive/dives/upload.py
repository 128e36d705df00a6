"""A gigabyte is brought over a network that takes its time: what is gained by giving several packs at once?

A service with a door and engines of its own, each in its process, and a client that gives 32 packs of 2 MiB through
a link as slow as a network is: twice as many as are ever under way. Each is proven and on the disk before it is
answered. One after the other and so many at once take turns, with other bytes each time, and what is told is how long
one took beside the other just before or after it: the middle of three turns, the least and the most. What one takes
beside itself is how much of that is chance. Absolute times are the machine's, and are not told.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from fathom.blocks.packs import digest_of, pack
from fathom.design import System
from fathom.engines.keeper import Keeper
from fathom.engines.link import Link
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.lab.dive import Dive, sweep
from fathom.lab.machine import cpu_s
from fathom.web.listen import Listen
from fathom.web.served import Served

from ..api import PACKS_MAX, ROOT, Chunk, Digest, Make, Manifest, UserId
from ..client.place import several
from ..client.rest import Rest
from ..decisions.upload import Upload
from ..decisions.upload.one import One
from ..model import CUTTING

MIB = 1 << 20
PACKS, CHUNKS, CHUNK_BYTES = 32, 2, MIB  # packs of a file, chunks of a pack
TURNS = 3


class Uploading(Dive[Any]):
    """One, four and sixteen packs under way."""

    decision = Upload
    engines = False  # it has its own, and a door before them
    trial_s = 14.0
    rtt_ms: int = sweep(0, 100)
    counts = "beside_one", "beside_one_least", "beside_one_most", "requests_a_gb", "cpu_beside_one"

    async def trial(self, approach: Upload, turn) -> dict[str, float]:
        async with AsyncExitStack() as stack:
            shore = await Shore.opens(stack, turn.rtt_ms / 1_000, turn.dice)
            await shore.brings(1)  # connections, statements and files are made for the first time
            took, spent = [], []
            for n in range(TURNS):
                both = [One().packs(), approach.packs()]
                order = both if n % 2 == 0 else both[::-1]
                found = {}
                for at, at_once in enumerate(order):
                    found[at if n % 2 == 0 else 1 - at] = await shore.brings(at_once)
                took.append(found[1][0] / found[0][0])
                spent.append(found[1][1] / found[0][1])
        took, spent = sorted(took), sorted(spent)
        return {
            "beside_one": took[TURNS // 2],
            "beside_one_least": took[0],
            "beside_one_most": took[-1],
            "requests_a_gb": shore.requests / shore.brought * (1 << 30),
            "cpu_beside_one": spent[TURNS // 2],
        }

    def predict(self, found):
        near, far = found("four", rtt_ms=0), found("four", rtt_ms=100)
        yield "without any delay four at once gain and lose little", (near.beside_one > 0.67) & (near.beside_one < 1.5)
        yield "and take at most two thirds of the time over 100 ms", far.beside_one < 0.67
        most = found("sixteen", rtt_ms=100)
        yield "sixteen gain less than a third on four", most.beside_one > 0.67 * far.beside_one
        yield "nobody asks more often for it", most.requests_a_gb.equals(found("one", rtt_ms=100).requests_a_gb)


class Shore:
    """A client at the end of a link, and what lies at the other."""

    def __init__(self, rest: Rest, token: str, served: Served, dice: Random) -> None:
        self._rest, self._token, self._served, self._dice = rest, token, served, dice
        self.requests = self.brought = 0.0
        self._user = UserId(0)

    @classmethod
    async def opens(cls, stack: AsyncExitStack, rtt_s: float, dice: Random) -> Shore:
        keeper = await stack.enter_async_context(Keeper.open())
        engines = {
            "truth": await stack.enter_async_context(Postgres.start(keeper)),
            "files": await stack.enter_async_context(Objects.start(keeper, name="files")),
            "cache": await stack.enter_async_context(Redis.start(keeper, sync="no")),
        }
        where = {name: engine.where for name, engine in engines.items()}
        system = System.at(Path(__file__).parents[1], __name__.rpartition(".dives")[0])
        served = await stack.enter_async_context(Served.start(keeper, system, engines=where, door=Listen()))
        assert served.door is not None
        link = await stack.enter_async_context(Link.between(keeper, served.door))
        await link.set(latency_s=rtt_s / 2)
        async with Rest(served.door) as rest:
            await rest.join("ann", "only for this dive")
            token = await rest.login("ann", "only for this dive")
        rest = await stack.enter_async_context(Rest(link.where, token, connections=PACKS_MAX + 2))
        return cls(rest, token, served, dice)

    async def brings(self, at_once: int) -> tuple[float, float]:
        """Bring a file that is not there; return how long that took, and the CPU of client and service, in seconds."""
        rest = self._rest
        chunks = [[self._dice.randbytes(CHUNK_BYTES) for _ in range(CHUNKS)] for _ in range(PACKS)]
        known = [[Chunk(Digest(digest_of(data).hex()), len(data)) for data in each] for each in chunks]
        packs = [pack(each) for each in chunks]
        user = self._user = self._user or await rest.whoami(self._token)
        (space,) = await rest.spaces(user)
        asked = await self._asked()
        began_s, spent_s = time.monotonic(), self._cpu_s()
        session = await rest.begin(user, space.id, [chunk for each in known for chunk in each])

        async def give(body: bytes) -> None:
            await rest.give(user, session.id, body)

        await several(at_once, [partial(give, body) for body in packs])
        manifest = Manifest(cutting=CUTTING, chunks=[chunk for each in known for chunk in each])
        name = f"file {self.brought}"
        (outcome,) = await rest.commit(user, space.id, [Make(parent=ROOT, name=name, manifest=manifest)], session.id)
        assert not outcome.code, outcome
        took = time.monotonic() - began_s, self._cpu_s() - spent_s
        self.requests += await self._asked() - asked
        self.brought += PACKS * CHUNKS * CHUNK_BYTES
        return took

    async def _asked(self) -> float:
        """Return how many requests the door has answered, by its own count."""
        lines = (await self._served.metrics()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("http_requests_total{"))

    def _cpu_s(self) -> float:
        return time.process_time() + (cpu_s(self._served.pid) or 0.0)
