"""What the target would need, by approach: servers, memory, disk, traffic, money, what dominates, what breaks first.

All from the run folder: unit costs and counts from its segments, target, book of prices and seed from its plan. What
cannot be said is refused in words, under the approach that it was asked of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fathom.lab.dive import SERVICE
from fathom.lab.findings.book import Book, at, name_of
from fathom.lab.findings.census import Cost, unit_cost
from fathom.lab.findings.mixes import OF_RANGE, mixes, of_range
from fathom.lab.runs import Point, Scale, Target
from fathom.lab.scale.curve import BOUNDS
from fathom.lab.scale.degrees import Array
from fathom.lab.scale.dice import LEVEL, Held, Thrown, ranged
from fathom.lab.scale.size import MEMORY, Demands, Refused, Size, largest, size, sized
from fathom.lab.stats import Interval

__all__ = ["TIMES", "note_scale"]

TIMES = (1, 2, 10)  # of the target: what breaks there
FAR = 1_000  # times the target: what lies beyond breaks of something else
LAW_OFF = 0.2  # a mix that needs more than this beside the sum of its unit costs was not foretold by them
DOMINANT = 0.02  # a swing below this share is not worth a line


def note_scale(book: Book) -> None:
    """Note what the target of this dive would need, where it has one, and how well the costs add up to a mix."""
    target, scale = book.plan.target, book.plan.scale
    if target is None or scale is None or not target.per_s:
        return
    notes = [_Notes(book, approach) for approach in book.plan.names]
    servers: dict[str, Array] = {}
    for note in notes:
        if not any(note.costs.values()):
            continue  # it was not measured, which other findings say
        note.law()
        demands, dice = note.demands(), Thrown(scale.seed, scale.draws)
        try:
            found = size(demands, target, scale.prices, dice)
        except Refused as why:
            note.refused(str(why))
            continue
        servers[note.approach] = found.needs["likely"]["servers"]
        note.needs(found)
        note.outside(found)
        note.largest(demands, target, dice)
        note.room(demands, found, scale)
        note.swings(demands, target, scale, list(dice.labels))
    _beside(notes, servers)


# By approach ---------------------------------------------------------------------------------------------------------


class _Notes:
    """One approach: its unit costs, the mixes that ran, and what is noted of it."""

    def __init__(self, book: Book, approach: str) -> None:
        self.book, self.approach, self.plan = book, approach, book.plan
        self.costs = {
            (op, point): unit_cost(self.plan, book.segments, approach, point, op)
            for op in self.plan.ops
            for point in self.plan.swept.values
        }
        self.mixes = {
            point: mixes(self.plan, book.segments, approach, point, {op: self.costs[op, point] for op in self.plan.ops})
            for point in self.plan.swept.values
        }
        below = {id for cost in self.costs.values() if cost for id in cost.segments}
        self.sources = sorted(below | {s.id for held in self.mixes.values() for s, _ in held})

    def add(self, kind: str, name: str, interval: Interval, **fields: Any) -> None:
        """Note something that was drawn."""
        scale = self.plan.scale
        assert scale is not None
        self.book.add(
            name_of(kind, self.approach, name),
            part="scale",
            interval=interval,
            approach=self.approach,
            n=scale.draws,
            sources=self.sources,
            **{"how": "scale", "over": f"nine of ten draws, seed {scale.seed}", "measure": name, **fields},
        )

    # ── what was measured ─────────────────────────────────────────────────────────────────────────────────────────

    def demands(self) -> Demands:
        """Return what this approach was measured to need."""
        plan, target = self.plan, self.plan.target
        points = [p for p in plan.swept.values if not isinstance(p, str)]
        turn = plan.option(self.approach).knobs.get(target.turns_at) if target and target.turns_at else None
        cpu: dict[str, tuple[Mapping[str, Interval], ...]] = {}
        for op in plan.ops:
            costs = [self.costs[op, p] for p in points]
            if costs and all(costs):
                cpu[op] = tuple(_groups(cost) for cost in costs if cost)
        groups = sorted({group for each in cpu.values() for point in each for group in point})
        return Demands(
            approach=self.approach,
            swept=plan.swept.name,
            points=tuple(float(p) for p in points),
            turns=(float(turn),) if isinstance(turn, (int, float)) else (),
            kinds={group: self._kind(group) for group in groups},
            cpu_s=cpu,
            bytes={op: found for op in plan.ops if (found := self._bytes(points, op))},
            state_bytes={group: found for group in groups if (found := self._state(group))},
            law=self._law(),
        )

    def _kind(self, group: str) -> str:
        return SERVICE if group == SERVICE else self.book.run.machine.engines.get(group, "other").split()[0].lower()

    def _bytes(self, points: Sequence[Point], op: str) -> tuple[Interval, ...]:
        found = [self.book.get(name_of("census", self.approach, p, f"{op}.bytes")) for p in points]
        ends = [(f.value, f.low, f.high) for f in found if f]
        whole = [Interval(v, low, high, OF_RANGE) for v, low, high in ends if None not in (v, low, high)]  # pyright: ignore[reportArgumentType]
        return tuple(whole) if len(whole) == len(found) else ()

    def _state(self, group: str) -> Interval | None:
        name = f"{group}.bytes"
        values = [s.state[name] for s in at(self.book.of("census"), self.approach) if name in s.state]
        if not values or not max(values):
            return None
        return Interval(float(np.median(values)), min(values), max(values), OF_RANGE)

    # ── the utilisation law, where it can be checked ──────────────────────────────────────────────────────────────

    def law(self) -> None:
        """Hold the CPU of every mix that ran against the sum of its unit costs: the hold-out in the small."""
        for point, held in self.mixes.items():
            if not held:
                continue
            off = of_range([ratio for _, ratio in held])
            if len(held) < 2:
                off = Interval(off.value, -math.inf, math.inf, 0.0)  # of one segment there is no range
            self.book.add(
                name_of("utilisation", self.approach, point),
                part="scale",
                how="utilisation",
                interval=off,
                approach=self.approach,
                point=point,
                measure="cpu_s",
                unit="x",
                n=sum(sum(s.done.values()) for s, _ in held),
                over=f"the range of {len(held)} segments of the mix",
                verdict="can't tell" if len(held) < 2 else "held" if abs(off.value - 1) <= LAW_OFF else "failed",
                detail={"limit": LAW_OFF},
                sources=[s.id for s, _ in held],
            )

    def _law(self) -> Interval | None:
        ratios = [ratio for held in self.mixes.values() for _, ratio in held]
        return of_range(ratios) if ratios else None

    # ── what the target needs ─────────────────────────────────────────────────────────────────────────────────────

    def refused(self, why: str) -> None:
        """Note in words why nothing is estimated."""
        id = name_of("scale", self.approach, "refused")
        fields = {"approach": self.approach, "verdict": "refused", "says": why, "sources": self.sources}
        self.book.add(id, part="scale", how="refused", **fields)

    def needs(self, found: Size) -> None:
        """Note every amount."""
        for measure in found.needs["likely"]:
            interval = ranged(*(found.needs[bound][measure] for bound in BOUNDS))
            how = "servers" if measure.startswith("servers") else "scale"
            self.add("scale", measure, interval, how=how, unit="bytes" if "bytes" in measure else "")

    def outside(self, found: Size) -> None:
        """Note the share of the CPU that belongs to swept values nobody measured."""
        if self.plan.swept.name:
            percent = 100 * found.outside
            self.add("scale", "outside_percent", ranged(percent, percent, percent))

    def largest(self, demands: Demands, target: Target, dice: Thrown) -> None:
        """Note what one operation costs at the target's largest value: staying as it was, or growing in proportion."""
        for op, degrees in target.swept.items():
            mean = largest(demands, target, op, dice)
            fields = {"op": op, "unit": "s", "detail": {"at": degrees.most}, "how": "largest"}
            self.add("scale", f"largest {op}", ranged(mean.least, mean.likely, mean.most), **fields)

    def room(self, demands: Demands, found: Size, scale: Scale) -> None:
        """Note how many times the target fits below each limit; the least of these breaks first."""
        rooms = {
            r: ranged(found.room["most"][r], mid, found.room["least"][r]) for r, mid in found.room["likely"].items()
        }
        near = {resource: room for resource, room in rooms.items() if room.value <= FAR}
        for place, (resource, room) in enumerate(sorted(near.items(), key=lambda item: item[1].value)):
            group = resource.removeprefix(MEMORY)
            limit = scale.prices.limits[demands.kinds[group]]
            says = limit.says if group == resource else f"{limit.says}; each in the memory of one machine"
            times = {str(m): "holds" if room.low >= m else "breaks" if room.high < m else "may break" for m in TIMES}
            fields = {"how": "room", "unit": "x", "says": says, "verdict": None if place else "first"}
            self.add("room", resource, room, detail={"at": times, "source": limit.source}, **fields)

    def swings(self, demands: Demands, target: Target, scale: Scale, labels: Sequence[str]) -> None:
        """Note how far the servers swing when one thing alone goes from its low to its high end."""

        dice = Held(labels)
        drawn = {bound: each["servers"] for bound, each in sized(demands, target, scale.prices, dice).needs.items()}
        middle = float(drawn["likely"][0])
        swings = {label: dice.ends(label, drawn["likely"]) for label in labels}
        if demands.swept:
            swings[f"{demands.swept} that nobody measured"] = float(drawn["least"][0]), float(drawn["most"][0])
        for label, ends in sorted(swings.items(), key=lambda item: -abs(item[1][1] - item[1][0])):
            if abs(ends[1] - ends[0]) > DOMINANT * middle:
                interval = Interval(middle, min(ends), max(ends), LEVEL)
                over = "it alone from its 5 % to its 95 % end"
                self.add("tornado", label, interval, how="tornado", over=over, detail={"ends": list(ends)})


def _groups(cost: Cost) -> dict[str, Interval]:
    """The cost of each process group, as sure as its slices make it."""
    return {g: Cost(each, {}, cost.n, cost.slices, cost.segments).sure for g, each in cost.groups.items()}


def _beside(notes: Sequence[_Notes], servers: Mapping[str, Array]) -> None:
    """Hold every approach against the one that needs fewest servers, draw by draw: what all share cancels."""
    least = min(servers, key=lambda name: float(np.median(servers[name])), default="")
    for note in notes:
        if note.approach in servers and note.approach != least:
            ratio = servers[note.approach] / servers[least]
            interval = ranged(ratio, ratio, ratio)
            verdict = "more" if interval.low > 1 else "can't tell"
            note.add("scale-ratio", least, interval, how="scale ratio", unit="x", versus=least, verdict=verdict)
