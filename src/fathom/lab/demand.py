"""What a stretch of work took: counts by operation, CPU by process, and what the whole machine did meanwhile."""

from __future__ import annotations

import dataclasses
import itertools
import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from fathom.engines.engine import EngineError
from fathom.lab.body import Body
from fathom.lab.dive import SERVICE
from fathom.lab.machine import Busy, busy, cpu_s, everybody, of_the_kernel, pressure_s
from fathom.lab.runs import NOT_THE_SYSTEM

__all__ = ["Meter", "Used", "counters_of", "own_share"]

# These counters tell what an engine holds now; all others tell how often something happened.
GAUGES = frozenset({"aof_bytes", "bytes", "connections", "keys", "memory", "messages", "objects", "streams"})
READINGS = 5  # of the counts, until they stand still
LOOKS = 3  # at the counters, to learn what a look itself costs


@dataclasses.dataclass(frozen=True)
class Used:
    """What was used between the meter's start and its stop."""

    covers_s: float
    counts: dict[str, dict[str, int]]  # operation → resource → how many
    cpu_s: dict[str, float]  # process group → CPU seconds
    engine: dict[str, dict[str, int]]  # field of Stores → the engine's own counters
    state: dict[str, float]  # "cache.used_memory": what it holds now
    busy: Busy | None
    foreign_s: float  # CPU seconds of programs that are not ours
    pressure_s: dict[str, float]
    gone: int  # processes whose last CPU nobody saw
    kernel_s: float = 0.0  # CPU seconds of the kernel's own threads: of who syncs much, they write much

    @property
    def system_s(self) -> float:
        """CPU seconds of engines and service."""
        return sum(seconds for group, seconds in self.cpu_s.items() if group not in NOT_THE_SYSTEM)

    @property
    def all_s(self) -> float:
        return sum(self.cpu_s.values())


async def counters_of(body: Body) -> dict[str, dict[str, int]]:
    """Return what each engine counts itself; one that is down has nothing, which is not zero."""
    found: dict[str, dict[str, int]] = {}
    for name, engine in body.engines.items():
        try:
            found[name] = await engine.counters()
        except EngineError:
            found[name] = {}
    return found


async def own_share(body: Body) -> dict[str, dict[str, int]]:
    """Return what one look at the counters adds to them (Redis counts our INFO): the least of a few looks."""
    looks = [await counters_of(body) for _ in range(LOOKS)]
    steps = [_apart(before, after, {})[0] for before, after in itertools.pairwise(looks)]
    return {
        field: {name: n for name in counts if (n := min(step.get(field, {}).get(name, 0) for step in steps))}
        for field, counts in steps[0].items()
    }


class _Counted(NamedTuple):
    """One reading of what was counted by us and by the engines, and how many looks at these it took."""

    counts: dict[str, dict[str, int]]
    engine: dict[str, dict[str, int]]
    looks: int


class Meter:
    """Reads the ledgers and clocks of one body around a stretch of work.

    The order keeps the reading out of what is read: counts first and clocks last before, the other way round after.
    """

    def __init__(
        self, body: Body, helpers: Iterable[int] = (), own: Mapping[str, Mapping[str, int]] | None = None
    ) -> None:
        self._body, self._helpers, self._own = body, tuple(helpers), own or {}

    async def start(self) -> None:
        self._first = await self._counted()
        self._pressure, self._busy, self._everybody = pressure_s(), busy(), everybody()
        self._cpu = self._clocks()
        self._at = time.perf_counter()

    async def stop(self) -> Used:
        covers = time.perf_counter() - self._at
        clocks, after, everyone = self._clocks(), busy(), everybody()
        pressure = pressure_s()
        last = await self._counted()
        looks = {field: {name: n * last.looks for name, n in own.items()} for field, own in self._own.items()}
        flows, state = _apart(self._first.engine, last.engine, looks)
        spent, gone = _spent(self._cpu, clocks)
        foreign_s, kernel_s = self._others(everyone, clocks)
        if gone:
            state["processes.gone"] = float(gone)  # nobody saw what they used at last
        return Used(
            covers_s=covers,
            counts=_grown(self._first.counts, last.counts),
            cpu_s=spent,
            engine=flows,
            state=state,
            busy=after.since(self._busy) if after and self._busy else None,
            foreign_s=foreign_s,
            kernel_s=kernel_s,
            pressure_s={name: seconds - self._pressure.get(name, 0.0) for name, seconds in pressure.items()},
            gone=gone,
        )

    def _clocks(self) -> dict[str, dict[int, float]]:
        """CPU seconds so far: process group → process → seconds."""
        body = self._body
        groups = {name: engine.processes() for name, engine in body.engines.items()}
        groups[SERVICE] = tuple(body.service.processes())
        groups["runner"] = self._helpers
        clocks = {
            name: {pid: seconds for pid in pids if (seconds := cpu_s(pid)) is not None} for name, pids in groups.items()
        }
        clocks["generator"] = {os.getpid(): time.process_time()}
        return clocks

    def _others(self, everyone: Mapping[int, float], clocks: Mapping[str, Mapping[int, float]]) -> tuple[float, float]:
        """Return the CPU seconds of all who are not ours: of programs, and of the kernel's own threads."""
        ours = {pid for group in (*clocks.values(), *self._cpu.values()) for pid in group}
        programs_s = kernel_s = 0.0
        for pid, seconds in everyone.items():
            if pid not in ours and (spent := seconds - self._everybody.get(pid, 0.0)) > 0:
                if of_the_kernel(pid):
                    kernel_s += spent
                else:
                    programs_s += spent
        return programs_s, kernel_s

    async def _counted(self) -> _Counted:
        """Read our counts and the engines' own, of the same moment.

        A service is never quite still: what it did of itself between the two readings would be in one of them only. So
        they are read again until our own count stands still around the engines'.
        """
        counts = await self._body.ledger()
        for looks in itertools.count(1):
            before, engine, counts = counts, await counters_of(self._body), await self._body.ledger()
            if counts == before or looks == READINGS:
                return _Counted(counts, engine, looks)
        raise AssertionError


def _spent(before: Mapping[str, Mapping[int, float]], after: Mapping[str, Mapping[int, float]]):
    """CPU by group; a process born meanwhile counts from nothing, of one that ended nobody saw the last."""
    spent: dict[str, float] = {}
    gone = 0
    for group, clocks in after.items():
        known = before.get(group, {})
        spent[group] = sum(seconds - known.get(pid, 0.0) for pid, seconds in clocks.items())
        gone += len(known.keys() - clocks.keys())
    return {group: round(seconds, 9) for group, seconds in spent.items() if after[group] or before.get(group)}, gone


def _grown(
    before: Mapping[str, Mapping[str, int]], after: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    grown: dict[str, dict[str, int]] = {}
    for name, counts in after.items():
        known = before.get(name, {})
        more = {key: _more(known.get(key, 0), n) for key, n in counts.items() if n != known.get(key, 0)}
        if more:
            grown[name] = more
    return grown


def _more(before: int, after: int) -> int:
    """A counter that stands lower than before was begun anew by a restart."""
    return after - before if after >= before else after


def _apart(
    before: Mapping[str, Mapping[str, int]],
    after: Mapping[str, Mapping[str, int]],
    own: Mapping[str, Mapping[str, int]],
) -> tuple[dict[str, dict[str, int]], dict[str, float]]:
    """Tell what an engine did since, our own looking taken off, from what it holds now."""
    flows: dict[str, dict[str, int]] = {}
    state: dict[str, float] = {}
    for field, counters in after.items():
        known, ours = before.get(field, {}), own.get(field, {})
        for name, n in counters.items():
            if name in GAUGES:
                state[f"{field}.{name}"] = float(n)
            else:  # a counter that was not there before appears when it first counts
                flows.setdefault(field, {})[name] = _more(known.get(name, 0), n) - ours.get(name, 0)
    return flows, state
