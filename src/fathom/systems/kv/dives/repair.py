"""A replica was cut off while others wrote: how soon has it everything, with or without the one who kept hints for it?

Five nodes in a simulated world. One of them is cut off for ten seconds, meanwhile 300 keys are written, all by way of
one other node: so that one keeps all hints. When the cut is healed, readers read three keys in ten again and again. In
the second story the keeper of the hints dies just before that. A copy is stale if it is not what the newest of the
living owners has. Each number is the mean over four worlds.
"""

from __future__ import annotations

from random import Random
from statistics import fmean
from typing import Any

from fathom.lab.dive import Dive, sweep

from ..core.calls import Get, Put
from ..core.records import Last
from ..decisions import WEAK, Founding
from ..decisions.repair import Repair as Mending
from ._town import Session, Town

WORLDS, KEYS, READ = 4, 300, 90  # of the keys so many are read
BEGIN_S, CUT_S, FOR_S, LOOK_S, STEP_S = 4, 6, 12, 60, 0.25
KEEPER, AWAY, READERS = "n1", "n5", ("n2", "n3", "n4")


class Repair(Dive[Any]):
    """Each of three ways alone, and all together."""

    decision = Mending
    engines = False
    trial_s = 5.0
    keeper: str = sweep("lives", "dies")
    counts = "stale", "stale_after_2_s", "stale_after_10_s", "stale_after_60_s", "equal_after_s"

    async def trial(self, approach: Mending, turn) -> dict[str, float]:
        founding = approach.shape(Founding()).with_weak(semantics="lww")
        seeds = [f"{turn.dice.getrandbits(64)}" for _ in range(WORLDS)]
        told = [_missed(Town(seed, founding), Random(seed), turn.keeper == "dies") for seed in seeds]
        return {name: fmean(one[name] for one in told) for name in told[0]}

    def predict(self, found):
        lives, dies = ({name: found(name, keeper=keeper) for name in ANSWERS} for keeper in ("lives", "dies"))
        yield "with hints all is there within ten seconds, if their keeper lives", lives["hints"].equal_after_s < 10
        yield (
            "and if it dies nothing is mended by them",
            dies["hints"].stale_after_60_s.equals(dies["hints"].stale),
        )
        for keeper, those in (("lives", lives), ("dies", dies)):
            read, digests, together = those["read-repair"], those["merkle"], those["all"]
            yield (
                f"read repair leaves over half as it was, when the keeper {keeper}",
                read.stale_after_60_s > read.stale / 2,
            )
            yield f"digests find all within half a minute, when the keeper {keeper}", digests.equal_after_s < 30
            yield (
                f"all together have mended it within ten seconds, when the keeper {keeper}",
                together.equal_after_s < 10,
            )


ANSWERS = "hints", "read-repair", "merkle", "all"


def _missed(town: Town, dice: Random, dies: bool) -> dict[str, float]:
    keys = [WEAK + b"%d" % at for at in range(KEYS)]
    town.until(BEGIN_S)
    town.live("first", _written(keys, b"old"))
    town.until(CUT_S)
    town.part((AWAY,))
    town.live("second", _written(keys, b"new"))
    town.until(CUT_S + FOR_S)
    if dies:
        town.hosts[KEEPER].crash()
    town.network.heal_all()
    healed_s = town.now_s
    told = {"stale": float(_stale(town, keys))}
    for reader in READERS:
        town.live(f"at {reader}", _read(reader, keys[:READ], Random(dice.random()), healed_s + LOOK_S, town))
    looks = {f"stale_after_{after_s}_s": after_s for after_s in (2, 10, LOOK_S)}
    told |= dict.fromkeys(looks, 0.0)
    stale = told["stale"]
    while stale and town.now_s < healed_s + LOOK_S:
        town.until(town.now_s + STEP_S)
        stale = float(_stale(town, keys))
        told |= {name: stale for name, after_s in looks.items() if abs(town.now_s - healed_s - after_s) < STEP_S / 2}
    return told | {"equal_after_s": town.now_s - healed_s}


def _written(keys: list[bytes], value: bytes) -> Session:
    for key in keys:
        yield KEEPER, Put(key=key, value=value)


def _read(node: str, keys: list[bytes], dice: Random, until_s: float, town: Town) -> Session:
    while town.now_s < until_s:
        yield 60
        yield node, Get(key=dice.choice(keys))


def _stale(town: Town, keys: list[bytes]) -> int:
    """Return how many copies are not what the newest of the living owners has."""
    records = {name: town.records(name) for name in town.nodes}
    stale = 0
    for key in keys:
        owners = [name for name in town.topology.owners_of(key).now if name in records]
        stamps = [record.stamp if isinstance(record := records[name].get(key), Last) else 0 for name in owners]
        stale += sum(stamp < max(stamps) for stamp in stamps)
    return stale
