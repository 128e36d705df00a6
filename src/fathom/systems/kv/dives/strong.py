"""What is the price of a counter that counts right, and what does it count without paying it?

Five nodes in a simulated world, all well. Some clients add one to the same counter, thirty times each, and read it in
between. By Paxos a client asks for the increment itself; by quorums it can only read, add one, and write over what it
read. A count is lost that was acknowledged and is not in the number in the end. Each number is over four worlds; the
messages are those between nodes, and what a client's step costs is all that was sent meanwhile by how many steps.
"""

from __future__ import annotations

from random import Random
from statistics import fmean
from typing import Any

from fathom.lab.dive import Dive, sweep

from ..core.calls import Call, Change, Get, Put
from ..decisions import Founding
from ..decisions.strong import Strong as Agreeing
from ._town import Answered, Session, Town, ok

WORLDS, STEPS = 4, 30
BEGIN_S, OVER_S = 3, 120
KEY = b"counter"


class Strong(Dive[Any]):
    """Two ways to keep one value, with one client and with many at once."""

    decision = Agreeing
    engines = False
    clients: int = sweep(1, 4, 16)
    counts = "acknowledged", "lost", "failed", "add_ms", "read_ms", "messages_a_step"

    async def trial(self, approach: Agreeing, turn) -> dict[str, float]:
        founding = approach.shape(Founding())
        worlds = [_World(f"{turn.dice.getrandbits(64)}", founding, turn.clients) for _ in range(WORLDS)]
        for world in worlds:
            world.passes()
        return {
            "acknowledged": sum(world.acknowledged for world in worlds),
            "lost": sum(world.acknowledged - world.number for world in worlds),
            "failed": sum(world.failed for world in worlds),
            "add_ms": fmean(ms for world in worlds for ms in world.add_ms),
            "read_ms": fmean(ms for world in worlds for ms in world.read_ms),
            "messages_a_step": fmean(world.messages / (STEPS * turn.clients) for world in worlds),
        }

    def predict(self, found):
        for clients in (1, 4, 16):
            agreed = found("caspaxos", clients=clients)
            yield f"by Paxos nothing is lost with {clients} at once", agreed.lost.equals(0)
        alone, many = found("quorum", clients=1), found("quorum", clients=16)
        yield "who is alone loses nothing by quorums either", alone.lost.equals(0)
        yield "sixteen who read, add and write lose over half of what they counted", many.lost > many.acknowledged / 2
        agreed = found("caspaxos", clients=1)
        yield "to add one by Paxos takes no longer than to read and to write", agreed.add_ms < 1.1 * alone.add_ms
        yield (
            "with sixteen at once it takes longer, since one waits for another",
            (found("caspaxos", clients=16).add_ms > agreed.add_ms),
        )


class _World:
    """Clients and their counter."""

    def __init__(self, seed: str, founding: Founding, clients: int) -> None:
        self._town = Town(seed, founding)
        self._left = clients
        self._paxos = founding.strong.semantics == "cas"
        self.acknowledged = self.failed = self.number = self.messages = 0
        self.add_ms: list[float] = []
        self.read_ms: list[float] = []
        self._town.until(BEGIN_S)
        for at in range(clients):
            self._town.live(f"client-{at}", self._client(Random(f"{seed}/{at}")))

    def passes(self) -> None:
        before = self._town.messages
        while self._left and self._town.now_s < OVER_S:
            self._town.until(self._town.now_s + 0.1)
        self.messages = self._town.messages - before
        self._town.live("looker", self._look())
        self._town.until(self._town.now_s + 2)

    def _client(self, dice: Random) -> Session:
        for _ in range(STEPS):
            yield dice.uniform(5, 25)
            node = dice.choice(list(self._town.hosts))
            read: Answered = yield node, Get(key=KEY)
            if not ok(read.answer):
                self.failed += 1
                continue
            self.read_ms.append(read.took_ms)
            call, before_ms = self._adding(read)
            added: Answered = yield node, call
            if ok(added.answer):
                self.acknowledged += 1
                self.add_ms.append(added.took_ms + before_ms)
            else:
                self.failed += 1
        self._left -= 1

    def _adding(self, read: Answered) -> tuple[Call, float]:
        """Return the call that adds one, and what had to be done for it before, in milliseconds."""
        if self._paxos:
            return Change(key=KEY, how="increment", given=(1,)), 0.0
        number = _number(read)
        return Put(key=KEY, value=b"%d" % (number + 1), at_least=read.answer.version), read.took_ms

    def _look(self) -> Session:
        read: Answered = yield "n1", Get(key=KEY, r=3) if not self._paxos else Get(key=KEY)
        self.number = _number(read)


def _number(read: Answered) -> int:
    return int(read.answer.values[0]) if read.answer.values else 0
