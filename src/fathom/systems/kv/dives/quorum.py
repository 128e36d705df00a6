"""How many replicas must say yes: what fails when nodes are dead, and what do readers miss that was acknowledged?

Five nodes in three racks, in a simulated world. Six clients come by again and again, whether or not they were answered
before: they write a key of their own, read at once by way of another node what they wrote, and then something older.
After two seconds some nodes die; fifteen seconds later they come back with all they had, and the clients go on for ten
more. A read is stale if it shows less than its own client had been told is kept. Each number is over two worlds; what
had no answer in time counts as failed.
"""

from __future__ import annotations

import dataclasses
from random import Random
from statistics import fmean
from typing import Any

from fathom.lab.dive import Dive, sweep

from ..core.calls import Get, Put
from ..decisions import WEAK, Founding
from ..decisions.quorum import Quorum as Counting
from ._town import Answered, Session, Town, ok

WORLDS, CLIENTS, KEYS = 2, 6, 50
BEGIN_S, DIE_S, BACK_S, OVER_S = 3, 5, 20, 30
MORTAL, LIVING = ("n5", "n4"), ("n1", "n2", "n3")


class Quorum(Dive[Any]):
    """Four ways to count, with nobody dead, with one node, and with two."""

    decision = Counting
    engines = False
    trial_s = 6.0
    dead: int = sweep(0, 1, 2)
    counts = "asked", "writes_failed", "reads_failed", "stale", "write_ms", "read_ms"

    async def trial(self, approach: Counting, turn) -> dict[str, float]:
        founding = approach.shape(Founding().with_weak(semantics="lww"))
        tally = _Tally()
        for _ in range(WORLDS):
            _passes(f"{turn.dice.getrandbits(64)}", founding, turn.dead, tally)
        return {
            "asked": tally.writes + tally.reads,
            "writes_failed": tally.writes_failed / tally.writes,
            "reads_failed": tally.reads_failed / tally.reads,
            "stale": tally.stale / tally.reads,
            "write_ms": fmean(tally.write_ms),
            "read_ms": fmean(tally.read_ms),
        }

    def predict(self, found):
        for dead in (0, 1, 2):
            majority, every = found("majority", dead=dead), found("write-all", dead=dead)
            yield (
                f"where reads and writes must meet nothing is stale, with {dead} dead",
                majority.stale.equals(0) & every.stale.equals(0),
            )
            yield f"one and one shows readers what is old, with {dead} dead", found("one-and-one", dead=dead).stale > 0
        one = {name: found(name, dead=1) for name in ("majority", "write-all")}
        yield (
            "with one node dead a majority fails in less than one of a hundred writes",
            (one["majority"].writes_failed < 0.01),
        )
        yield "and writing to all in more than one of five", one["write-all"].writes_failed > 0.2
        strict, loose = found("majority", dead=2), found("sloppy", dead=2)
        yield "with two dead a majority fails in more than one of twenty writes", strict.writes_failed > 0.05
        yield "stand-ins save four in five of these", loose.writes_failed < strict.writes_failed / 5
        yield "and then what is read and what was written need not meet, though R + W > N", loose.stale > 0
        yield (
            "to write to all takes longer than to one",
            (found("write-all", dead=0).write_ms > found("one-and-one", dead=0).write_ms),
        )


@dataclasses.dataclass
class _Tally:
    """What was asked and what came, over some worlds."""

    writes: int = 0
    reads: int = 0
    writes_failed: int = 0
    reads_failed: int = 0
    stale: int = 0
    write_ms: list[float] = dataclasses.field(default_factory=list)
    read_ms: list[float] = dataclasses.field(default_factory=list)


def _passes(seed: str, founding: Founding, dead: int, tally: _Tally) -> None:
    town = Town(seed, founding)
    town.until(BEGIN_S)
    for at in range(CLIENTS):
        town.live(f"client-{at}", _Client(town, at, Random(f"{seed}/{at}"), tally).comes_by())
    town.until(DIE_S)
    for name in MORTAL[:dead]:
        town.hosts[name].crash()
    town.until(BACK_S)
    town.heal()
    town.until(OVER_S + 2)


class _Client:
    """Writes one of its keys after the other, so that no two of its writes of a key are under way at once."""

    def __init__(self, town: Town, at: int, dice: Random, tally: _Tally) -> None:
        self._town, self._dice, self._tally = town, dice, tally
        self._keys = [WEAK + f"{at}/{number}".encode() for number in range(KEYS)]
        self._known: dict[bytes, int] = {}  # key → the version that this client was told is kept

    def comes_by(self) -> Session:
        while self._town.now_s < OVER_S:
            for key in self._keys:
                yield self._dice.uniform(10, 80)
                self._town.live(key.decode(), self._asks(key))

    def _asks(self, key: bytes) -> Session:
        tally, first, second, third = self._tally, *self._dice.sample(self._there, 3)
        wrote: Answered = yield first, Put(key=key, value=b"%d" % tally.writes)
        tally.writes += 1
        if ok(wrote.answer):
            self._known[key] = wrote.answer.version
            tally.write_ms.append(wrote.took_ms)
        else:
            tally.writes_failed += 1
        for node, again in ((second, key), (third, self._dice.choice(self._keys))):
            if again in self._known:
                known = self._known[again]
                read: Answered = yield node, Get(key=again)
                tally.reads += 1
                if ok(read.answer):
                    tally.stale += read.answer.version < known
                    tally.read_ms.append(read.took_ms)
                else:
                    tally.reads_failed += 1

    @property
    def _there(self) -> list[str]:
        """Return whom a client asks: nobody of whom it has heard that it is dead, or has just come back."""
        away = DIE_S - 0.1 < self._town.now_s < BACK_S + 1
        return [*LIVING, *(() if away else MORTAL)]
