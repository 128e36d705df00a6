"""What an operation costs: counts that are exact or a range, and CPU from pure slices with its spread.

Counts are compared exactly, across every repetition and with what theory and the engines' own counters say. CPU per
operation is separated by slices in which only that operation arrives; what the system uses when nothing arrives is
taken off. Latencies of this part judge goals; they are never compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from fathom.engines.ledger import RESIDUAL
from fathom.lab.findings.book import Book, at, name_of
from fathom.lab.runs import IDLE, MIX, NOT_THE_SYSTEM, Plan, Point, Segment
from fathom.lab.stats import Interval, equal_or_range, quantile_interval, spread

__all__ = ["BISECTED", "COUNTED", "QUANTILES", "Cost", "census", "unit_cost", "visited"]

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
BISECTED = "bisect"  # the part of a dive in which values between the planned ones are visited
COUNTED = ("census", BISECTED)  # the parts in which one operation at a time is asked
SLICES = 3  # repetitions from which a range is taken as it is
_T75 = math.tan(math.pi * 0.375)  # Student's t of one degree of freedom is Cauchy's: 75 % lie within this
# The engine's own counter that a resource is held against; what our look at it adds was taken off when it was read.
_TOTALS = {"commands": "cmd", "messages": "stored", "statements": "statements", "objects": "objects"}


def census(book: Book) -> None:
    """Note what every operation costs, at every swept value, in every approach."""
    segments = book.of("census")
    for approach in book.plan.counted:
        for point in book.plan.swept.values:
            mine = at(segments, approach, point)
            _counts(book, mine, approach, point)
            _residual(book, mine, approach, point)
            for op in book.plan.ops:
                _cpu(book, segments, approach, point, op)
            _latencies(book, mine, approach, point)
            _state(book, mine, approach, point)
        for point in visited(book.plan, book.segments, approach):
            for op in book.plan.ops:
                _cpu(book, book.segments, approach, point, op, part=BISECTED)
    _cross_check(book, [s for s in book.segments if s.part != "trial" and s.valid])


def visited(plan: Plan, segments: Iterable[Segment], approach: str | None = None) -> list[float]:
    """Return the values between the planned ones that were counted as well, by one approach or by any."""
    ran = [s for s in segments if s.part == BISECTED and s.valid and approach in (None, s.approach)]
    return sorted({s.point for s in ran if not isinstance(s.point, str)} - set(plan.swept.values))


# Counts --------------------------------------------------------------------------------------------------------------


def _counts(book: Book, segments: list[Segment], approach: str, point: Point) -> None:
    for op in book.plan.ops:
        did = [s for s in segments if s.done.get(op)]
        for resource in _in_order({r for s in did for r in s.counts.get(op, {})}):
            per_op = [s.counts.get(op, {}).get(resource, 0) / s.done[op] for s in did]
            total, done = sum(s.counts.get(op, {}).get(resource, 0) for s in did), sum(s.done[op] for s in did)
            same, low, high = equal_or_range(per_op)
            book.add(
                name_of("census", approach, point, f"{op}.{resource}"),
                part="census",
                how="count",
                approach=approach,
                point=point,
                op=op,
                measure=resource,
                unit="bytes" if resource == "bytes" else "",
                value=per_op[0] if same else total / done,
                low=low,
                high=high,
                exact=same,
                n=done,
                over=_slices(did),
                sources=[s.id for s in did],
            )
        for resource in _in_order({r for s in did for r in s.expected.get(op, {})}):
            _closed_form(book, did, approach, point, op, resource)


def _closed_form(book: Book, did: list[Segment], approach: str, point: Point, op: str, resource: str) -> None:
    said = [s for s in did if resource in s.expected.get(op, {})]
    other = [s.id for s in said if s.expected[op][resource] != s.counts.get(op, {}).get(resource, 0)]
    counted = sum(s.counts.get(op, {}).get(resource, 0) for s in said)
    expected, done = sum(s.expected[op][resource] for s in said), sum(s.done[op] for s in said)
    book.add(
        name_of("closed-form", approach, point, f"{op}.{resource}"),
        part="census",
        how="closed form",
        approach=approach,
        point=point,
        op=op,
        measure=resource,
        value=expected / done,
        low=expected / done,
        high=expected / done,
        exact=True,
        n=done,
        over=_slices(said),
        verdict="failed" if other else "held",
        detail={"counted": counted, "expected": expected, "different": other},
        sources=[s.id for s in said],
    )


def _residual(book: Book, segments: list[Segment], approach: str, point: Point) -> None:
    """Work that no operation can be charged with, per second."""
    for resource in _in_order({r for s in segments for r, n in s.counts.get(RESIDUAL, {}).items() if n}):
        rates = [s.counts.get(RESIDUAL, {}).get(resource, 0) / s.seconds for s in segments]
        book.add(
            name_of("residual", approach, point, resource),
            part="census",
            how="residual",
            approach=approach,
            point=point,
            measure=resource,
            unit="/s",
            value=fsum(rates) / len(rates),
            low=min(rates),
            high=max(rates),
            n=sum(s.counts.get(RESIDUAL, {}).get(resource, 0) for s in segments),
            over=_slices(segments),
            sources=[s.id for s in segments],
        )


def _cross_check(book: Book, segments: list[Segment]) -> None:
    """Hold what our clients counted against what the engines counted themselves."""
    fields = {field for s in segments for field in s.engine}
    for approach in book.plan.counted:
        mine = [s for s in segments if s.approach == approach]
        for field in sorted(fields):
            for resource, total in _TOTALS.items():
                both = [s for s in mine if total in s.engine.get(field, {})]
                if not both:
                    continue
                ours = [sum(counts.get(resource, 0) for counts in s.counts.values()) for s in both]
                theirs = [s.engine[field][total] for s in both]
                differ = [s.id for s, a, b in zip(both, ours, theirs, strict=True) if a != b]
                book.add(
                    name_of("cross-check", approach, f"{field}.{resource}"),
                    part="census",
                    how="cross-check",
                    approach=approach,
                    measure=resource,
                    value=sum(theirs) - sum(ours),
                    low=min(b - a for a, b in zip(ours, theirs, strict=True)),
                    high=max(b - a for a, b in zip(ours, theirs, strict=True)),
                    exact=not differ,
                    n=sum(ours),
                    over=f"{len(both)} segments",
                    verdict="failed" if differ else "held",
                    says=field,
                    detail={"ours": sum(ours), "theirs": sum(theirs), "different": differ},
                    sources=[s.id for s in both],
                )


# CPU -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """CPU seconds of one operation, over all processes of the system and by process group."""

    total: Interval
    groups: dict[str, Interval]
    n: int
    slices: int
    segments: tuple[str, ...]

    @property
    def sure(self) -> Interval:
        """What it may be as far as its slices tell."""
        return _sure(self.total, self.slices)


def _sure(whole: Interval, slices: int) -> Interval:
    """Widen the range of two slices until it holds as surely as that of three (75 %, by Student's t); one has none."""
    if slices >= SLICES:
        return whole
    if slices < 2:
        return Interval(whole.value, 0.0, math.inf, 0.0)
    half = (whole.high - whole.low) / 2
    more = half * (_T75 * math.sqrt(2) - 1)
    return Interval(whole.value, max(0.0, whole.low - more), whole.high + more, 0.75)


def unit_cost(plan: Plan, segments: Sequence[Segment], approach: str, point: Point, op: str) -> Cost | None:
    """Return the CPU of one operation from the slices in which nothing else was asked, or None without any."""
    valid = [s for s in at(segments, approach) if s.part in COUNTED and s.valid]
    pure = [s for s in valid if s.point == point and s.done.get(op) and _pure(plan, s, op)]
    if not pure:
        return None
    groups = sorted({group for s in pure for group in s.cpu_s} - NOT_THE_SYSTEM)
    idle = {group: _idle(valid, point, [group]) for group in groups}
    idle_total = _idle(valid, point, groups)
    return Cost(
        _per_op(pure, op, groups, idle_total),
        {group: _per_op(pure, op, [group], idle[group]) for group in groups},
        sum(s.done[op] for s in pure),
        len(pure),
        tuple(s.id for s in pure) + tuple(s.id for s in _idles(valid, point)),
    )


def _pure(plan: Plan, segment: Segment, op: str) -> bool:
    """Whether nothing but this operation was asked; with one operation in the load, the mix is pure."""
    return segment.slice == op or (segment.slice == MIX and plan.ops == [op])


def _per_op(slices: list[Segment], op: str, groups: list[str], idle: Interval) -> Interval:
    def each(off: float) -> list[float]:
        return [(fsum(s.cpu_s.get(g, 0.0) for g in groups) - off * s.seconds) / s.done[op] for s in slices]

    middle = spread(each(idle.value))
    return Interval(middle.value, spread(each(idle.high)).low, spread(each(idle.low)).high, middle.level)


def _idles(segments: Iterable[Segment], point: Point) -> list[Segment]:
    quiet = [s for s in segments if s.slice == IDLE and s.seconds > 0]
    return [s for s in quiet if s.point == point] or quiet


def _idle(segments: Iterable[Segment], point: Point, groups: list[str]) -> Interval:
    """CPU seconds that these groups use per second when nothing is asked."""
    quiet = _idles(segments, point)
    if not quiet:
        return Interval(0.0, 0.0, 0.0)
    return spread([fsum(s.cpu_s.get(g, 0.0) for g in groups) / s.seconds for s in quiet])


def _cpu(book: Book, segments: list[Segment], approach: str, point: Point, op: str, *, part: str = "census") -> None:
    cost = unit_cost(book.plan, segments, approach, point, op)
    if cost is None:
        return
    slices = f"{cost.slices} slice{'s' if cost.slices > 1 else ''}"
    over = f"range of {slices}" if cost.slices < 6 else slices
    if cost.slices < SLICES:
        over = f"{slices}, 75 % by Student's t" if cost.slices == 2 else f"{slices}: no range"
    parts = {"": cost.total, **{f".{group}": interval for group, interval in cost.groups.items()}}
    for suffix, interval in parts.items():
        book.add(
            name_of("census", approach, point, f"{op}.cpu_s{suffix}"),
            part=part,
            how="cpu",
            interval=_sure(interval, cost.slices),
            approach=approach,
            point=point,
            op=op,
            measure=f"cpu_s{suffix}",
            unit="s",
            n=cost.n,
            over=over,
            detail={"slices": cost.slices, "thin": cost.slices < SLICES},
            sources=list(cost.segments),
        )


# Latencies and state -------------------------------------------------------------------------------------------------


def _latencies(book: Book, segments: list[Segment], approach: str, point: Point) -> None:
    """Quantiles over all slices of the mix (else the pure ones), for goals alone."""
    mixed = [s for s in segments if s.slice == MIX] or segments
    read = [(s, samples) for s in mixed if (samples := book.run.samples(s)) is not None]
    for op in [*book.plan.ops, *book.plan.probes]:
        took = [samples.took_ns(op) for _, samples in read]
        all_ns = np.concatenate(took) if took else np.zeros(0, dtype=np.int64)
        if not len(all_ns):
            continue
        sources = [s.id for (s, _), ns in zip(read, took, strict=True) if len(ns)]
        latency_findings(book, "census", approach, point, op, all_ns, sources, f"{len(sources)} slices pooled")


def latency_findings(
    book: Book, part: str, approach: str, point: Point, op: str, ns: np.ndarray, sources: list[str], over: str
) -> None:
    """Note the quantiles that the samples support, and the mean of those that succeeded."""
    fields = {"approach": approach, "point": point, "op": op, "unit": "s", "n": len(ns), "over": over}
    seconds = np.where(ns == np.iinfo(np.int64).max, np.inf, ns / 1e9)
    for measure, q in QUANTILES.items():
        interval = quantile_interval(seconds, q)
        if interval is not None:
            book.add(
                name_of(part, approach, point, f"{op}.{measure}"),
                part=part,
                how="quantile",
                interval=interval,
                measure=measure,
                sources=sources,
                **fields,
            )
    good = seconds[np.isfinite(seconds)]
    if len(good):
        book.add(
            name_of(part, approach, point, f"{op}.mean"),
            part=part,
            how="mean",
            value=float(good.mean()),
            low=float(good.min()),
            high=float(good.max()),
            measure="mean",
            sources=sources,
            detail={"unanswered": int(len(seconds) - len(good))},
            **{**fields, "over": f"least to greatest of {len(good)}"},
        )


def _state(book: Book, segments: list[Segment], approach: str, point: Point) -> None:
    for name in sorted({name for s in segments for name in s.state}):
        saw = [s for s in segments if name in s.state]
        values = [s.state[name] for s in saw]
        same, low, high = equal_or_range(values)
        book.add(
            name_of("state", approach, point, name),
            part="census",
            how="state",
            approach=approach,
            point=point,
            measure=name,
            unit="bytes" if name.endswith("bytes") else "",
            value=values[-1],
            low=low,
            high=high,
            exact=same,
            n=len(values),
            over=_slices(saw),
            sources=[s.id for s in saw],
        )


_ORDER = ("statements", "rows", "commands", "messages", "requests", "objects", "bytes")


def _in_order(resources: Iterable[str]) -> list[str]:
    return sorted(resources, key=lambda r: (_ORDER.index(r) if r in _ORDER else len(_ORDER), r))


def _slices(segments: Sequence[Segment]) -> str:
    return f"{len(segments)} slice{'s' if len(segments) != 1 else ''}"
