"""What a target needs of an approach that was measured: cores, servers, memory, disk, traffic and money, by draw.

servers = ceil(X · D / U). D is the mean over the target's own distribution of the swept value; a write is done by every
copy of what it changes; all is multiplied by what a mix was seen to need beside the sum of its unit costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fathom.lab.dive import SERVICE
from fathom.lab.prices import Machine, Prices
from fathom.lab.runs import Target
from fathom.lab.scale.curve import BOUNDS, Mean, Spread, Unmeasured, average
from fathom.lab.scale.degrees import Array, Degrees, Shares
from fathom.lab.scale.dice import Dice, between, of_interval, scores
from fathom.lab.stats import Interval

__all__ = ["HERE", "MEMORY", "OUTSIDE_MOST", "Demands", "Refused", "Size", "largest", "size", "sized"]

OUTSIDE_MOST = 0.5  # of the CPU may belong to values that nobody measured; beyond that it would be a guess
EASE = 1e-9  # what rounding may add before a whole number is called the next
GB = 1e9
ALL, BYTES = "*", "bytes"  # beside the process groups: the CPU of all of them, and what goes between them
MEMORY = "memory of "  # before a process group: it is what is full, not its cores
LAW = "a mix, beside the sum of its unit costs"
HERE = "users whose state was held here"
PEAK = "the busiest, beside the mean"
_IN_MEMORY = ("redis", "valkey")  # engines whose state must fit into memory


class Refused(Exception):
    """What is asked lies outside of what was measured; it says how."""


@dataclass(frozen=True)
class Demands:
    """What one approach was measured to need."""

    approach: str
    swept: str
    points: tuple[float, ...]  # the swept values
    turns: tuple[float, ...]  # swept values at which it begins to work otherwise
    kinds: Mapping[str, str]  # process group → kind of process
    cpu_s: Mapping[str, tuple[Mapping[str, Interval], ...]]  # operation → per swept value, per group, of one operation
    bytes: Mapping[str, tuple[Interval, ...]]  # operation → per swept value, between service and engines
    state_bytes: Mapping[str, Interval] = field(default_factory=dict)  # process group → what it held in the dive
    law: Interval | None = None  # what a mix needed, over the sum of its unit costs


@dataclass(frozen=True)
class Size:
    """What it takes, by draw: measure → values, in every bound. `room` is how often the target a resource can bear."""

    needs: Mapping[str, Mapping[str, Array]]  # bound → measure → by draw
    room: Mapping[str, Mapping[str, Array]]  # bound of the need → resource → by draw
    outside: Array  # the share of the CPU that belongs to swept values nobody measured


def size(demands: Demands, target: Target, prices: Prices, dice: Dice) -> Size:
    """Return what the target takes; refuse where too little of it was measured."""
    _refuse(demands, target)
    found = sized(demands, target, prices, dice)
    outside = float(np.median(found.outside))
    if outside > OUTSIDE_MOST:
        raise Refused(
            f"{outside:.0%} of its CPU would belong to {demands.swept} that were not measured, most of them beyond "
            f"{max(demands.points):,.6g}: measure larger ones"
        )
    return found


def sized(demands: Demands, target: Target, prices: Prices, dice: Dice) -> Size:
    """Return the same without a look at how much of it was measured: for one who has looked, and turns one thing."""
    costs = _costs(demands, target, dice)
    sizing = _Sizing(demands, target, prices, dice)
    bounds = {b: {op: {name: mean.at(b) for name, mean in each.items()} for op, each in costs.items()} for b in BOUNDS}
    used = [group for group in demands.kinds if any(sizing.uses(each, group) for each in bounds.values())]
    needs = {bound: sizing.needs(each, used) for bound, each in bounds.items()}
    room = {bound: sizing.room(each) for bound, each in bounds.items()}
    limited = set.intersection(*(set(each) for each in room.values()))  # what may be idle breaks nothing first
    room = {bound: {name: each[name] for name in each if name in limited} for bound, each in room.items()}
    return Size(needs, room, _outside(costs, demands, target))


def largest(demands: Demands, target: Target, op: str, dice: Dice) -> Mean:
    """Return the CPU seconds of one operation at the largest value that the target has."""
    most = target.swept[op].most
    return _average(demands, op, Shares(counted=((most, 1.0),)), dice)[ALL]


# What is refused -----------------------------------------------------------------------------------------------------


def _refuse(demands: Demands, target: Target) -> None:
    if demands.swept and not target.swept:
        raise Refused(f"the target does not say how {demands.swept} are distributed, and their mean would not do")
    for op in target.per_s:
        if op not in demands.cpu_s:
            raise Refused(f"what {op} costs was not measured at every swept value")
        for groups in demands.cpu_s[op]:
            if not all(np.isfinite((i.value, i.low, i.high)).all() for i in groups.values()):
                raise Refused(f"too few slices of {op} were undisturbed for an interval of its cost")


# Costs over the distribution -----------------------------------------------------------------------------------------


def _costs(demands: Demands, target: Target, dice: Dice) -> dict[str, dict[str, Mean]]:
    """Operation → process group (also all of them, and bytes) → mean cost of one operation."""
    found: dict[str, dict[str, Mean]] = {}
    for op in target.per_s:
        degrees = target.swept.get(op)
        found[op] = _average(demands, op, degrees, dice) if degrees else _anywhere(demands, op, dice)
    return found


def _drawn(demands: Demands, op: str, dice: Dice) -> dict[str, Array]:
    """Per process group, bytes and all CPU: a row per draw, a column per swept value.

    The groups of one swept value move together: what disturbs a slice disturbs all of it.
    """
    columns: dict[str, list[Array]] = {}
    for at, groups in enumerate(demands.cpu_s[op]):
        score = scores(dice.share(f"CPU per {op}", f"{demands.approach}/{at}"))
        drawn = {group: of_interval(score, interval) for group, interval in groups.items()}
        for group, column in {**drawn, ALL: sum(drawn.values(), np.zeros(len(score)))}.items():
            columns.setdefault(group, []).append(column)
    for at, interval in enumerate(demands.bytes.get(op, ())):
        score = scores(dice.share(f"bytes per {op}", f"{demands.approach}/{at}"))
        columns.setdefault(BYTES, []).append(of_interval(score, interval))
    return {name: np.stack(each, axis=1) for name, each in columns.items()}


def _average(demands: Demands, op: str, degrees: Degrees, dice: Dice) -> dict[str, Mean]:
    drawn = _drawn(demands, op, dice)
    low, high = degrees.tail or (1.0, 1.0)
    tails = np.full(len(drawn[ALL]), low)
    if low < high:
        tails = between(dice.share(f"tail of {demands.swept}"), low, high)
    spread = Spread.of(demands.points, demands.turns, degrees, tails)
    try:
        return {name: average(spread, each) for name, each in drawn.items()}
    except Unmeasured as where:
        raise Refused(f"no {demands.swept} {where} were measured, where {demands.approach} works otherwise") from None


def _anywhere(demands: Demands, op: str, dice: Dice) -> dict[str, Mean]:
    """The cost of an operation that the distribution says nothing of: as at any of the swept values."""
    none = np.zeros(len(dice.share(f"CPU per {op}")))
    drawn = _drawn(demands, op, dice).items()
    return {n: Mean(each.min(axis=1), each.mean(axis=1), each.max(axis=1), none) for n, each in drawn}


def _outside(costs: Mapping[str, Mapping[str, Mean]], demands: Demands, target: Target) -> Array:
    """The share of all CPU, that of copies too, which belongs to swept values nobody measured."""
    whole, outside = np.zeros(1), np.zeros(1)
    for op, rate in target.per_s.items():
        for group in demands.kinds:
            if group in costs[op]:
                mean = costs[op][group]
                cpu = mean.likely * rate * (_copies(target, group) if op in target.writes else 1.0)
                whole, outside = whole + cpu, outside + cpu * mean.outside
    return outside / np.where(whole > 0, whole, 1.0)


def _copies(target: Target, group: str) -> float:
    """How many do what a write does: every copy of an engine, one service."""
    return 1.0 if group == SERVICE else float(target.copies)


def _over(top: Any, bottom: Array) -> Array:
    """How many times the bottom fits; of nothing any number does."""
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.inf)


# What that takes -----------------------------------------------------------------------------------------------------


class _Sizing:
    """Everything beside the demands, drawn once, and what it makes of them."""

    def __init__(self, demands: Demands, target: Target, prices: Prices, dice: Dice) -> None:
        self.demands, self.target, self.prices = demands, target, prices
        said = prices.assumptions
        self.utilisation, self.core, self.apart, self.crossing, self.fill = (
            between(dice.share(a.says), a.low, a.high)
            for a in (said.utilisation, said.core, said.apart, said.crossing, said.memory)
        )
        self.peak = between(dice.share(PEAK), *target.peak) if target.peak[0] < target.peak[1] else target.peak[0]
        self.law = 1.0
        if demands.law is not None:
            self.law = of_interval(scores(dice.share(LAW, demands.approach)), demands.law)
        self.held = {
            group: of_interval(scores(dice.share(f"bytes that {group} holds", demands.approach)), interval)
            for group, interval in demands.state_bytes.items()
        }
        self.here = None
        if target.here and demands.state_bytes:
            self.here = np.exp(between(dice.share(HERE), *np.log(target.here)))
        self.kept = {op: between(dice.share(f"bytes kept per {op}"), *ends) for op, ends in target.keeps.items()}

    def uses(self, costs: Mapping[str, Mapping[str, Array]], group: str) -> bool:
        """Whether a process group does anything at all, in any draw of one bound."""
        return bool(self._busy(costs, group).max() > 0)

    def needs(self, costs: Mapping[str, Mapping[str, Array]], groups: Sequence[str]) -> dict[str, Array]:
        """Return every measure by draw, costs being of one bound; of a group that is idle in this one, nothing."""
        found: dict[str, Array] = {"cores": self._zeros, "vcpus": self._zeros, "servers": self._zeros}
        usd = self._zeros
        network = self._network(costs)
        memory = self.memory()
        for group in groups:
            machine = self._machine(group)
            cores = self._busy(costs, group) / self.utilisation
            vcpus = cores / self.core
            counts = [np.ceil(vcpus / machine.vcpus - EASE), np.full_like(vcpus, _copies(self.target, group))]
            if group in memory:
                counts.append(np.ceil(memory[group] / (machine.memory_bytes * self.fill) - EASE))
            if group == SERVICE and network is not None:
                counts.append(np.ceil(network / machine.network_bytes_per_s - EASE))
            servers = np.maximum.reduce(counts)
            for measure, amount in (("cores", cores), ("vcpus", vcpus), ("servers", servers)):
                found[measure] = found[measure] + amount
                found[f"{measure}.{group}"] = amount
            usd = usd + servers * machine.usd_per_hour * self.prices.hours_per_month
        paid = self.prices.prices
        if memory:
            found["memory_bytes"] = sum(memory.values(), self._zeros)
        if self.kept and self.target.keeps_s:
            kept = sum(self.target.per_s[op] * each for op, each in self.kept.items()) / self.peak
            found["stored_bytes"] = self._zeros + kept * self.target.keeps_s * self.target.copies
            usd = usd + found["stored_bytes"] / GB * paid.disk.usd
        if network is not None:
            found["network_bytes_per_s"] = network
            month_s = self.prices.hours_per_month * 3_600
            usd = usd + network / self.peak * self.crossing * month_s / GB * paid.between_zones.usd
        found["usd_per_month"] = usd
        return found

    def room(self, costs: Mapping[str, Mapping[str, Array]]) -> dict[str, Array]:
        """Return of every limit how many times the target fits below it."""
        found: dict[str, Array] = {}
        memory = self.memory()
        for group, kind in self.demands.kinds.items():
            limit = self.prices.limits.get(kind)
            if limit is None or limit.parts is None:
                continue
            busy = self._busy(costs, group, writes_alone=limit.of == "writes", copied=False) / self.core
            if busy.max() > 0:
                found[group] = _over(limit.cores * limit.parts, busy)
            if group in memory:
                whole = self._machine(group).memory_bytes * self.fill * limit.parts * self.target.copies
                found[f"{MEMORY}{group}"] = _over(whole, memory[group])
        return found

    def memory(self) -> dict[str, Array]:
        """Return the bytes in memory, of engines that hold their state there: as many of each user as in the dive."""
        users = self.target.users
        if self.here is None or not users:
            return {}
        held = {group: each for group, each in self.held.items() if self.demands.kinds.get(group) in _IN_MEMORY}
        return {group: self._zeros + each / self.here * users * self.target.copies for group, each in held.items()}

    @property
    def _zeros(self) -> Array:
        return np.zeros(len(self.core))

    def _machine(self, group: str) -> Machine:
        return self.prices.machine_of(self.demands.kinds[group])

    def _busy(
        self,
        costs: Mapping[str, Mapping[str, Array]],
        group: str,
        *,
        writes_alone: bool = False,
        copied: bool = True,
    ) -> Array:
        """Cores of this machine that are busy when the target is busiest."""
        whole = self._zeros
        for op, rate in self.target.per_s.items():
            writes = op in self.target.writes
            if group in costs[op] and (writes or not writes_alone):
                whole = whole + rate * costs[op][group] * (_copies(self.target, group) if writes and copied else 1.0)
        return whole * self.law * self.apart

    def _network(self, costs: Mapping[str, Mapping[str, Array]]) -> Array | None:
        """Bytes per second between service and engines, and from copy to copy, when the target is busiest."""
        if not any(BYTES in each for each in costs.values()):
            return None
        whole = self._zeros
        for op, rate in self.target.per_s.items():
            times = self.target.copies if op in self.target.writes else 1
            whole = whole + rate * costs[op].get(BYTES, 0.0) * times
        return whole
