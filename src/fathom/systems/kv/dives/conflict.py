"""Many write one key at once, half of the cluster is cut off for a while: what of all that was acknowledged is left?

Five nodes in a simulated world; one replica is enough to read and to write, so that both sides of the cut go on. Ten
clients read a key, think, and write a new value that takes the place of what they read. Every node's wall clock is off
by up to `skew_ms` either way. A value is lost that was acknowledged, that nobody wrote over who had read it, and that
is not there when all is healed. A write is outdone if it lost, though it was acknowledged, against the very value that
its writer had read. Each number is over six worlds.
"""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from fathom.blocks import dotted
from fathom.history import History, Op, Outcome
from fathom.lab.dive import Dive, sweep

from ..core.calls import Found, Get, Put
from ..core.records import Last, Siblings
from ..decisions import WEAK, Founding
from ..decisions.conflict import Conflict as Deciding
from ..simulation.judge import differing
from ._town import Answered, Session, Town, ok, refused

WORLDS, CLIENTS, KEYS, WRITES = 6, 10, 4, 25
BEGIN_S, CUT_S, JOINED_S, OVER_S, HEALED_S = 3, 5, 10, 25, 90
BETWEEN_S = 100  # the worlds of a history begin one after another
SIDES = ("n1", "n2"), ("n3", "n4", "n5")


class Conflict(Dive[Any]):
    """Three ways to tell which write stays, with clocks that agree and clocks that do not."""

    decision = Deciding
    engines = False
    skew_ms: int = sweep(0, 100, 400)
    weighs = ("wall-clock",)
    counts = "acknowledged", "lost", "outdone", "siblings_most"

    async def trial(self, approach: Deciding, turn) -> tuple[dict[str, float], History]:
        founding = approach.shape(Founding()).with_weak(r=1, w=1)
        worlds = [_World(at, f"{turn.dice.getrandbits(64)}", founding, turn.skew_ms) for at in range(WORLDS)]
        for world in worlds:
            world.passes()
        counted = {
            "acknowledged": sum(len(world.acknowledged) for world in worlds),
            "lost": sum(len(world.lost()) for world in worlds),
            "outdone": sum(world.outdone for world in worlds),
            "siblings_most": max(world.siblings_most for world in worlds),
        }
        ops = [op for world in worlds for op in world.ops]
        return counted, History(msgspec.structs.replace(op, index=index) for index, op in enumerate(ops))

    def predict(self, found):
        for skew_ms in (0, 100, 400):
            last, kept, wall = (found(name, skew_ms=skew_ms) for name in ("last-write-wins", "siblings", "wall-clock"))
            yield f"siblings lose nothing at {skew_ms} ms", kept.lost.equals(0)
            yield f"the last write takes over one in twenty with it at {skew_ms} ms", last.lost > last.acknowledged / 20
            yield (
                f"no write loses against what its writer had read, by siblings and hybrid stamps, at {skew_ms} ms",
                kept.outdone.equals(0) & last.outdone.equals(0),
            )
            yield f"to lose nothing a reader is shown three values or more, at {skew_ms} ms", kept.siblings_most >= 3
            if skew_ms:
                yield f"by the time of day many do, with clocks off by {skew_ms} ms", wall.outdone > 20
                yield f"so that more is lost at {skew_ms} ms", wall.lost > last.lost


class _World:
    """One story: who read what, wrote what over it, and what is there in the end."""

    def __init__(self, number: int, seed: str, founding: Founding, skew_ms: int) -> None:
        self._town, self._number = Town(seed, founding), number
        dice = Random(seed)
        for host in self._town.hosts.values():
            host.clock.step(dice.randint(-skew_ms, skew_ms))
        self._keys = [WEAK + f"{number}/{at}".encode() for at in range(KEYS)]
        self._over: set[bytes] = set()  # what somebody who had read it wrote over, or may have
        self._there: set[bytes] = set()
        self.acknowledged: set[bytes] = set()
        self.outdone = self.siblings_most = 0
        self.ops: list[Op] = []  # as the lab's own recorder would have kept them
        self._town.until(BEGIN_S)
        for at in range(CLIENTS):
            side = SIDES[at % 2]
            self._town.live(f"client-{at}", self._session(f"{at}", Random(f"{seed}/{at}"), side))

    def passes(self) -> None:
        town = self._town
        town.until(CUT_S)
        town.part(SIDES[0])
        town.until(JOINED_S)
        town.heal()
        town.until(OVER_S)
        while differing(town) and town.now_s < HEALED_S:
            town.until(town.now_s + 1)
        for key in self._keys:
            record = town.records(town.topology.owners_of(key).now[0]).get(key)
            values = _values(record)
            self._there.update(values)
            found = Found(values=tuple(values), version=record.stamp if isinstance(record, Last) else 0)
            self._tell("looker", "get", [key], Answered(found, town.now_s, town.now_s), final=True)

    def lost(self) -> set[bytes]:
        return self.acknowledged - self._over - self._there

    def _session(self, name: str, dice: Random, side: tuple[str, ...]) -> Session:
        for number in range(WRITES):
            yield dice.uniform(50, 700)
            key, value = dice.choice(self._keys), f"{self._number}.{name}.{number}".encode()
            read: Answered = yield dice.choice(side), Get(key=key)
            self._tell(name, "get", [key], read)
            if not ok(read.answer):
                continue
            known: Found = read.answer
            self.siblings_most = max(self.siblings_most, len(known.values))
            yield dice.uniform(1, 50)
            call = Put(key=key, value=value, context=known.context, at_least=known.version)
            wrote: Answered = yield dice.choice(side), call
            terms = {"at_least": known.version} if known.version else {}
            self._tell(name, "put", [key, value, known.context, 0, terms], wrote)
            if not refused(wrote.answer):
                self._over.update(known.values)
            if ok(wrote.answer):
                self.acknowledged.add(value)
                self.outdone += wrote.answer.version < known.version

    def _tell(self, who: str, call: str, asked: list[Any], came: Answered, *, final: bool = False) -> None:
        told, begin_s = came.answer, BETWEEN_S * self._number
        answer = {name: getattr(told, name) for name in ("values", "context", "version") if hasattr(told, name)}
        self.ops.append(
            Op(
                index=0,
                caller=f"{self._number}/{who}",
                call=call,
                asked=msgspec.to_builtins(asked),
                answer=msgspec.to_builtins(answer) if ok(told) else None,
                outcome=Outcome.OK if ok(told) else Outcome.FAILED if refused(told) else Outcome.UNKNOWN,
                start_s=begin_s + came.asked_s,
                end_s=begin_s + came.until_s,
                final=final,
            )
        )


def _values(record: Any) -> list[bytes]:
    if isinstance(record, Siblings):
        return list(dotted.Siblings.decode(record.state).values())
    return [record.value] if isinstance(record, Last) and record.value is not None else []
