"""Lets a schedule of faults loose on the hosts of a world, and ends what it began."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import msgspec

from fathom.sim.host import Host
from fathom.sim.network import Network
from fathom.sim.schedule import KINDS, Fault
from fathom.sim.world import MS, World

__all__ = ["Begin", "End", "Faults"]

End: TypeAlias = Callable[[], object] | None
Begin: TypeAlias = Callable[[Fault], End]


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
        self._numbered = 0  # faults, so that their ends can be told apart
        self._over = False

    def loose(self, schedule: Sequence[Fault]) -> None:
        """Put a schedule down in the world, from now on. Raises ValueError for a kind that there is not."""
        for fault in schedule:
            if fault.what not in self._kinds:
                raise ValueError(f"there is no fault {fault.what!r}; there are {', '.join(self._kinds)}")
        for fault in schedule:
            self._numbered += 1
            self._world.at(fault.at_ms * MS, self._begin, self._numbered, fault)

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
