"""Faults as data: a schedule drawn from a seed within bounds, printed, read again, and let loose on a world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any, TypeAlias

import msgspec

from fathom.sim.host import Host
from fathom.sim.network import Network
from fathom.sim.world import MS, World

__all__ = ["KINDS", "Bounds", "Fault", "Faults", "Schedule", "draw", "printed", "read"]


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
End: TypeAlias = Callable[[], object] | None
Begin: TypeAlias = Callable[[Fault], End]


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


class Faults:
    """Lets a schedule loose on the hosts of a world.

    Faults overlap: what two of them do to the same thing ends with the later. `may` is asked when a fault begins and
    can still forbid it by what it sees (say, that another node is not whole again); `more` are kinds of the system's
    own: what begins it, and returns what ends it.
    """

    def __init__(
        self,
        world: World,
        network: Network,
        hosts: Mapping[str, Host],
        *,
        may: Callable[[Fault], bool] = lambda fault: True,
        more: Mapping[str, Begin] | None = None,
    ) -> None:
        self._world = world
        self._network = network
        self._hosts = hosts
        self._weather = network.weather
        self._drifts = {name: host.clock.drift_ppm for name, host in hosts.items()}
        self._may = may
        self._kinds: dict[str, Begin] = {kind: getattr(self, f"_{kind}") for kind in KINDS} | dict(more or {})
        self._held: dict[tuple[str, ...], int] = {}
        self._ends: dict[int, Callable[[], object]] = {}  # of the faults that are going on, by their number
        self._over = False

    def loose(self, schedule: Sequence[Fault]) -> None:
        """Put a schedule down in the world, from now on. Raises ValueError for a kind that there is not."""
        for fault in schedule:
            if fault.what not in self._kinds:
                raise ValueError(f"there is no fault {fault.what!r}; there are {', '.join(self._kinds)}")
        for number, fault in enumerate(schedule, len(self._ends)):
            self._world.at(fault.at_ms * MS, self._begin, number, fault)

    def heal(self) -> None:
        """End everything that is going on, and let nothing more begin: the world is well, save for lost data and
        clocks that are off."""
        self._over = True
        for number in list(self._ends):
            self._end(number)
        self._network.heal_all()

    def _begin(self, number: int, fault: Fault) -> None:
        if self._over or not self._may(fault):
            return
        self._world.trace.note(self._world.now_ns, "fault", fault.what, fault)
        self._world.reached(f"fault: {fault.what}")
        end = self._kinds[fault.what](fault)
        if end is not None:
            self._ends[number] = end
            self._world.at(fault.for_ms * MS, self._end, number)

    def _end(self, number: int) -> None:
        end = self._ends.pop(number, None)
        if end is not None:
            end()

    def _hold(
        self, thing: tuple[str, ...], on: Callable[[], object], off: Callable[[], object]
    ) -> Callable[[], object]:
        """Turn something on, and return what turns it off again once nobody else holds it."""
        self._held[thing] = self._held.get(thing, 0) + 1
        on()

        def let_go() -> None:
            self._held[thing] -= 1
            if not self._held[thing]:
                off()

        return let_go

    # Kinds --------------------------------------------------------------------------------------------------------

    def _crash(self, fault: Fault) -> End:
        host = self._hosts[fault.whom[0]]
        return self._hold(("down", host.name), host.crash, host.start)

    def _wipe(self, fault: Fault) -> End:
        host = self._hosts[fault.whom[0]]
        return self._hold(("down", host.name), host.wipe, host.start)

    def _blackout(self, fault: Fault) -> End:
        hosts = [self._hosts[name] for name in fault.whom]
        ends = [self._stalls(host, fault.for_ms) for host in hosts]

        def dark() -> None:
            if ends:  # not over yet
                ends.extend([self._hold(("down", host.name), host.crash, host.start) for host in hosts])

        def over() -> None:
            while ends:
                ends.pop(0)()

        self._world.at(min(fault.size, fault.for_ms // 2) * MS, dark)
        return over

    def _pause(self, fault: Fault) -> End:
        host = self._hosts[fault.whom[0]]
        return self._hold(("paused", host.name), host.pause, host.resume)

    def _starve(self, fault: Fault) -> End:
        process = self._hosts[fault.whom[0]].process
        return self._hold(("cpu", process.name), partial(process.starve, fault.size * MS), partial(process.starve, 0))

    def _cut(self, fault: Fault) -> End:
        return self._cuts([fault.whom[:2]])

    def _split(self, fault: Fault) -> End:
        others = [name for name in self._hosts if name not in fault.whom]
        pairs = [(one, other) for one in fault.whom for other in others]
        return self._cuts([*pairs, *((other, one) for one, other in pairs)])

    def _cuts(self, links: Sequence[tuple[str, ...]]) -> End:
        ends = [
            self._hold(("cut", *link), partial(self._network.cut, *link), partial(self._network.heal, *link))
            for link in links
        ]
        return lambda: [end() for end in ends]

    def _clog(self, fault: Fault) -> End:
        link = fault.whom[:2]
        return self._hold(("clog", *link), partial(self._network.clog, *link), partial(self._network.unclog, *link))

    def _slow(self, fault: Fault) -> End:
        slow = partial(self._network.slow, *fault.whom[:2])
        return self._hold(("slow", *fault.whom), partial(slow, fault.size), partial(slow, 1))

    def _storm(self, fault: Fault) -> End:
        share = fault.size / 100
        weather = msgspec.structs.replace(self._weather, lost=share, doubled=share)
        return self._hold(("storm",), partial(self._blow, weather), partial(self._blow, self._weather))

    def _blow(self, weather: Any) -> None:
        self._network.weather = weather

    def _stall(self, fault: Fault) -> End:
        return self._stalls(self._hosts[fault.whom[0]], fault.size)

    def _stalls(self, host: Host, for_ms: int) -> Callable[[], object]:
        return self._hold(("stall", host.name), partial(host.disk.stall, for_ms * MS), partial(host.disk.stall, 0))

    def _full(self, fault: Fault) -> End:
        disk, name = self._hosts[fault.whom[0]].disk, fault.whom[0]
        return self._hold(("full", name), partial(disk.fill, fault.size), disk.empty)

    def _rot(self, fault: Fault) -> End:
        disk, (_, family) = self._hosts[fault.whom[0]].disk, fault.whom
        if keys := disk.keys(family):
            disk.corrupt(family, keys[len(keys) * fault.size // 1_000])

    def _step(self, fault: Fault) -> End:
        self._hosts[fault.whom[0]].clock.step(fault.size)

    def _drift(self, fault: Fault) -> End:
        clock, name = self._hosts[fault.whom[0]].clock, fault.whom[0]
        return self._hold(("drift", name), partial(clock.drift, fault.size), partial(clock.drift, self._drifts[name]))
