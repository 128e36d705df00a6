"""A schedule of faults as data: drawn from a seed within bounds, printed, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeAlias

import msgspec

__all__ = ["KINDS", "Bounds", "Fault", "Kind", "Schedule", "draw", "printed", "read"]


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What goes wrong, with whom, from when and for how long (milliseconds of the world's time).

    A fault brings its own end with it, so that any part of a schedule is a schedule. `size` is what `KINDS` says.
    """

    at_ms: int
    what: str
    whom: tuple[str, ...]
    for_ms: int = 0
    size: int = 0


Schedule: TypeAlias = list[Fault]


class Kind(msgspec.Struct, frozen=True):
    """One kind of fault: how many nodes it names, what its size is, and how often it comes beside the others."""

    says: str
    whom: int = 1
    size: tuple[int, int] = (0, 0)
    weight: int = 4
    down: bool = False  # the node does not answer meanwhile
    hurt: bool = False  # it loses what it had stored durably
    lasts: bool = True


NONE, ALL, HALF = 0, -1, -2  # how many nodes: none, all or some, some up to half

KINDS: dict[str, Kind] = {
    "crash": Kind("the process dies, and what was not synced is lost", down=True, weight=8),
    "blackout": Kind(
        "syncs stop, and so many milliseconds later all the named lose power", whom=ALL, size=(0, 200), weight=6
    ),
    "wipe": Kind("the process dies, and its disk comes back empty", down=True, hurt=True, weight=2),
    "pause": Kind("the process stands still, and catches up", down=True),
    "starve": Kind("each event waits for the CPU: milliseconds on average", size=(1, 40)),
    "cut": Kind("from the first to the second nothing arrives", whom=2, weight=6),
    "split": Kind("nothing passes between the named and the others, both ways", whom=HALF, weight=6),
    "clog": Kind("from the first to the second everything arrives late, at once", whom=2),
    "slow": Kind("from the first to the second everything takes so many times as long", whom=2, size=(5, 200)),
    "storm": Kind("percent of all messages lost, and as many doubled", whom=NONE, size=(1, 20)),
    "stall": Kind("syncs take so many milliseconds longer", size=(20, 2_000)),
    "full": Kind("the disk has so many bytes left", size=(0, 2_000), weight=2),
    "rot": Kind(
        "a stored value is no longer what was written: the one so many thousandths into its family",
        hurt=True,
        size=(0, 999),
        lasts=False,
    ),
    "step": Kind("the wall clock steps by milliseconds", size=(-5_000, 5_000), lasts=False),
    "drift": Kind("the clocks run fast by so many millionths", size=(-500, 500)),
}


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What may go wrong at most, as the system says that it withstands it (or only a little more)."""

    nodes: tuple[str, ...]
    until_ms: int  # every fault begins and ends within
    count: tuple[int, int] = (2, 12)
    lasts_ms: tuple[int, int] = (20, 3_000)
    down: int = 1  # so many nodes may be dead or paused at once; a blackout is beyond it
    hurt: int = 1  # so many nodes may have lost durable data (wiped, rotten) and not be whole again
    repair_ms: int = 5_000  # for the draw a hurt node is whole again so long after the fault; `Faults.may` can look
    rot: tuple[str, ...] = ()  # families whose values may rot
    without: tuple[str, ...] = ()  # kinds that are left out
    sizes: dict[str, tuple[int, int]] = {}  # other sizes than those of KINDS


def draw(seed: int | str, bounds: Bounds) -> Schedule:
    """Draw a schedule, in order of time. What a bound forbids is drawn again, and in the end left out."""
    dice = Random(f"{seed}/faults")
    left_out = {*bounds.without, *(() if bounds.rot else ("rot",))}
    kinds = [kind for kind in KINDS if kind not in left_out]
    if len(bounds.nodes) < 2:
        kinds = [kind for kind in kinds if KINDS[kind].whom not in (HALF, 2)]
    weights = [KINDS[kind].weight for kind in kinds]
    schedule: Schedule = []
    wanted = dice.randint(*bounds.count)
    for _ in range(4 * wanted):
        if len(schedule) == wanted or not kinds:
            break
        fault = _one(dice, dice.choices(kinds, weights)[0], bounds)
        if _within(bounds, [*schedule, fault]):
            schedule.append(fault)
    return sorted(schedule, key=lambda fault: fault.at_ms)


def _one(dice: Random, what: str, bounds: Bounds) -> Fault:
    kind = KINDS[what]
    nodes = len(bounds.nodes)
    some = dice.choice((nodes, dice.randint(1, nodes))) if kind.whom == ALL else kind.whom
    if kind.whom == HALF:
        some = dice.randint(1, max(1, nodes // 2))
    whom = tuple(dice.sample(bounds.nodes, some))
    if what == "rot":
        whom = (*whom, dice.choice(bounds.rot))
    for_ms = min(dice.randint(*bounds.lasts_ms), bounds.until_ms) if kind.lasts else 0
    size = dice.randint(*bounds.sizes.get(what, kind.size))
    return Fault(dice.randint(0, bounds.until_ms - for_ms), what, whom, for_ms, size)


def _within(bounds: Bounds, schedule: Schedule) -> bool:
    """Whether at no moment more nodes are down, or hurt and not yet whole, than the bounds allow."""
    down = [(f.at_ms, f.at_ms + f.for_ms, f.whom[0]) for f in schedule if KINDS[f.what].down]
    repair_ms = bounds.repair_ms
    hurt = [(f.at_ms, f.at_ms + f.for_ms + repair_ms, f.whom[0]) for f in schedule if KINDS[f.what].hurt]
    return _at_once(down) <= bounds.down and _at_once(hurt) <= bounds.hurt


def _at_once(spans: list[tuple[int, int, str]]) -> int:
    """Return how many different nodes there are in a moment, at most: it is so when some span begins."""
    return max((len({who for begin, end, who in spans if begin <= at <= end}) for at, _, _ in spans), default=0)


def printed(schedule: Sequence[Fault]) -> str:
    """Return a schedule as JSON, a line for each fault."""
    lines = [msgspec.json.encode(fault).decode() for fault in schedule]
    return "[" + ",\n ".join(lines) + "]"


def read(text: str | bytes) -> Schedule:
    """Return the schedule that was printed. Raises `msgspec.ValidationError`, which says where it is none."""
    return msgspec.json.decode(text, type=Schedule)
