"""Which approach is faster when all is calm: paired log-ratios of whole blocks against the default, and its own twin.

A winner needs both: a family-wise p of at most 5 % (max-T over all rivals and measures) and an interval beyond delta.
Where the twin of the default differs from the default, the measure compares nothing and is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import fsum
from typing import Any

import numpy as np

from fathom.lab.findings.book import Book, name_of
from fathom.lab.findings.census import QUANTILES
from fathom.lab.findings.offered import rates_of_segments
from fathom.lab.runs import IDLE, MIX, Finding, Point, Segment
from fathom.lab.stats import (
    BLOCKS_MIN,
    Interval,
    Verdict,
    blocks_needed,
    flagged,
    judge,
    margin,
    max_t,
    quantile,
    quantile_bounds,
    quantile_interval,
    samples_needed,
    sign_flip_interval,
    spread,
)

__all__ = ["duel", "measures_of"]

MIX_ALIKE = 0.02  # a segment offers whole requests: 5.07 posts are 5, of which nobody could tell the difference
NOISY = 0.25  # a margin beyond which "the same" would say nothing
Measured = tuple[str, str]  # ("home", "p99"); ("mix", "cpu_s") is everything that a segment used


def measures_of(book: Book) -> list[Measured]:
    """Return what the plan declared for the duel: latencies that it watches or has goals for, and CPU."""
    declared = [*book.plan.watch, *((aim.op, aim.measure) for aim in book.plan.goals)]
    latencies = [(op, m) for op, m in declared if m in QUANTILES or m == "mean"]
    return [*dict.fromkeys(latencies), (MIX, "cpu_s")]


@dataclass
class _Block:
    """What one name (an approach, or the default's twin) did in one block."""

    segments: list[Segment] = field(default_factory=list)
    values: dict[Measured, float] = field(default_factory=dict)
    n: dict[str, int] = field(default_factory=dict)
    took: dict[str, np.ndarray] = field(default_factory=dict)  # seconds, of operations whose quantile a block lacks
    good: dict[str, tuple[float, int, float, float]] = field(default_factory=dict)  # sum, count, least, greatest


@dataclass(frozen=True)
class _Race:
    """The duel as it was run; `blocks` are those in which every name ran validly."""

    point: Point
    delta_floor: float
    names: list[str]
    blocks: list[int]
    table: dict[tuple[int, str], _Block]

    def column(self, name: str) -> list[_Block]:
        return [self.table[block, name] for block in self.blocks]


def duel(book: Book) -> None:
    """Note the quantiles of every approach, the twin's distance from itself, and every ratio to the default."""
    plan = book.plan
    ran = book.of("duel", valid=False)
    if plan.duel is None or not ran:
        return
    measures = measures_of(book)
    table = _read(book, measures)
    names = [plan.default, f"{plan.default}'", *(name for name in plan.names if name != plan.default)]
    names = [name for name in names if name in {who for _, who in table}]
    blocks = [b for b in sorted({block for block, _ in table}) if all((b, name) in table for name in names)]
    # where it ran: the census may have found the planned point too dear
    race = _Race(ran[0].point, plan.duel.delta_floor, names, blocks, table)
    for name in names:
        for measured in measures:
            _value(book, race, name, measured)
        _means(book, race, name)
    _ratios(book, race, measures)


def _read(book: Book, measures: list[Measured]) -> dict[tuple[int, str], _Block]:
    """Read one segment's samples at a time; of a block that was done again, the last valid one counts."""
    chosen: dict[tuple[int, str, str], Segment] = {}
    for segment in book.of("duel"):
        if segment.slice != IDLE:
            chosen[segment.block, segment.name, segment.slice] = segment
    table: dict[tuple[int, str], _Block] = {}
    took: dict[tuple[int, str], dict[str, list[np.ndarray]]] = {}
    for (number, name, _), segment in sorted(chosen.items()):
        table.setdefault((number, name), _Block()).segments.append(segment)
        samples = book.run.samples(segment)
        for op in samples.ops if samples else ():
            assert samples is not None
            took.setdefault((number, name), {}).setdefault(op, []).append(samples.took_ns(op))
    for key, block in table.items():
        for op, columns in took.get(key, {}).items():
            ns = np.concatenate(columns)
            block.n[op] = len(ns)
            seconds = np.where(ns == np.iinfo(np.int64).max, np.inf, ns / 1e9)
            good = seconds[np.isfinite(seconds)]
            if len(good):
                block.good[op] = float(good.sum()), len(good), float(good.min()), float(good.max())
            for measured in measures:
                if measured[0] == op:
                    value = _of(seconds, measured[1])
                    if value is None:
                        block.took[op] = seconds
                    elif math.isfinite(value):
                        block.values[measured] = value
        done = sum(n for s in block.segments for n in s.done.values())
        used = fsum(s.used_s() for s in block.segments)
        if done and used > 0:
            block.values[MIX, "cpu_s"] = used / done
            block.n[MIX] = done
    return table


def _of(seconds: np.ndarray, measure: str) -> float | None:
    return float(seconds.mean()) if measure == "mean" else quantile(seconds, QUANTILES[measure])


def _value(book: Book, race: _Race, name: str, measured: Measured) -> None:
    """Note what one name took: the median over the blocks, and the blocks that hold it."""
    op, measure = measured
    mine = race.column(name)
    values = [block.values[measured] for block in mine if measured in block.values]
    over = f"{len(values)} blocks"
    id, how = f"{op}.{measure}", "cpu" if measure == "cpu_s" else "mean" if measure == "mean" else "quantile"
    detail: dict[str, Any] = {"twin": name.endswith("'"), "blocks": values}
    if values and len(values) == len(mine):
        interval = spread(values)
    else:  # too few a block; all blocks together may support it, for a goal and never for a comparison
        pooled = [block.took[op] for block in mine if op in block.took]
        together = np.concatenate(pooled) if pooled else np.zeros(0)
        if measure not in QUANTILES or not len(together):
            return  # the ratio says why
        over, detail["blocks"] = f"{len(mine)} blocks pooled", []
        interval = quantile_interval(together, QUANTILES[measure])
        if interval is None:  # its ends are still true: they tell a goal from what is far from it
            interval = quantile_bounds(together, QUANTILES[measure])
            id, how = f"{id}-bounds", "bounds"
    book.add(
        name_of("duel", name, race.point, id),
        part="duel",
        how=how,
        interval=interval,
        approach=name.rstrip("'"),
        point=race.point,
        op=op,
        measure=measure,
        unit="s",
        n=sum(block.n.get(op, 0) for block in mine),
        over=over,
        detail=detail,
        sources=[s.id for block in mine for s in block.segments],
    )


def _means(book: Book, race: _Race, name: str) -> None:
    """Note the mean of all that was answered: compared by nobody, but no request can change and leave it as it was."""
    mine = race.column(name)
    for op in sorted({op for block in mine for op in block.good}):
        parts = [block.good[op] for block in mine if op in block.good]
        n = sum(block.n.get(op, 0) for block in mine)
        answered = sum(count for _, count, _, _ in parts)
        book.add(
            name_of("duel", name, race.point, f"{op}.mean-of-all"),
            part="duel",
            how="mean",
            value=fsum(total for total, *_ in parts) / answered,
            low=min(least for _, _, least, _ in parts),
            high=max(greatest for *_, greatest in parts),
            approach=name.rstrip("'"),
            point=race.point,
            op=op,
            measure="mean",
            unit="s",
            n=n,
            over=f"least to greatest of {answered:,}, {len(mine)} blocks pooled",
            detail={"twin": name.endswith("'"), "unanswered": n - answered},
            sources=[s.id for block in mine for s in block.segments],
        )


def _ratios(book: Book, race: _Race, measures: list[Measured]) -> None:
    default, twin = book.plan.default, f"{book.plan.default}'"
    usable = [
        m for m in measures if race.blocks and all(m in b.values for name in race.names for b in race.column(name))
    ]
    logs = {
        (name, m): np.log(
            [a.values[m] / b.values[m] for a, b in zip(race.column(name), race.column(default), strict=True)]
        )
        for name in race.names
        if name != default
        for m in usable
    }
    mix, stretched = _mix(book, race)
    aside = {(MIX, "cpu_s")} if stretched else set()  # of another mix than the load's: it compares nothing
    rivals = [key for key in logs if key[0] != twin and key[1] not in aside]
    several = bool(rivals) and len(race.blocks) > 1
    adjusted = max_t(np.stack([logs[key] for key in rivals], axis=1)) if several else np.ones(len(rivals))
    drifting: set[Measured] = set()
    for m in usable:
        if (twin, m) in logs:
            alone = float(max_t(logs[twin, m][:, None])[0])
            found = _compare(book, race, twin, m, _Logs(logs[twin, m], logs[twin, m], alone))
            if found.verdict in (Verdict.BETTER, Verdict.WORSE):
                drifting.add(m)
    for (name, m), p in zip(rivals, adjusted, strict=True):
        beside = logs.get((twin, m), np.zeros(0))
        _compare(book, race, name, m, _Logs(logs[name, m], beside, float(p)), m in drifting)
    for name, m in logs:
        if m in aside and name != twin:
            found = _compare(book, race, name, m, _Logs(logs[name, m], logs.get((twin, m), np.zeros(0)), 1.0))
            found.verdict, found.says = str(Verdict.CANT_TELL), f"the duel ran at {mix}, and its load has {stretched}"
    for finding in book.all:
        if finding.part == "duel" and finding.op == MIX:
            finding.detail["mix"] = mix
    for m in measures:
        for name in race.names:
            if m not in usable and name not in (default, twin):
                _unsupported(book, race, name, m)


@dataclass(frozen=True)
class _Logs:
    """The blocks' log-ratios of one name to the default, those of the default's twin, and the adjusted p."""

    own: np.ndarray
    twin: np.ndarray
    p: float


def _compare(book: Book, race: _Race, name: str, measured: Measured, logs: _Logs, drifting: bool = False) -> Finding:
    """Note one ratio to the default, on the scale on which it is told: 1.3 is 30 % more."""
    op, measure = measured
    default = book.plan.default
    interval = sign_flip_interval(logs.own)
    delta = margin(logs.twin, race.delta_floor)
    verdict = judge(interval, logs.p, delta)
    why = ""
    if drifting:
        verdict, why = Verdict.CANT_TELL, "the twin of the default differs from the default itself"
    elif verdict is Verdict.EQUIVALENT and delta > math.log1p(NOISY):
        verdict = Verdict.CANT_TELL
        why = (
            f"the default's own twin asks for a margin of {math.expm1(delta):.0%}: too noisy to call anything the same"
        )
    elif interval is None:
        why = f"{len(race.blocks)} blocks; an interval takes {BLOCKS_MIN}"
    unclear = verdict is Verdict.CANT_TELL and (not why or interval is None)
    needs = blocks_needed(interval, len(race.blocks), delta) if unclear else None
    both = [*race.column(name), *race.column(default)]
    number: dict[str, Any] = {"value": math.exp(float(logs.own.mean()))}
    if interval is not None:
        number = {"interval": _as_ratio(interval)}
    return book.add(
        name_of("duel", f"{name}~{default}", race.point, f"{op}.{measure}"),
        part="duel",
        how="ratio",
        **number,
        approach=name.rstrip("'"),
        versus=default,
        point=race.point,
        op=op,
        measure=measure,
        unit="x",
        n=sum(block.n.get(op, 0) for block in both),
        over=f"{len(race.blocks)} blocks",
        verdict=str(verdict),
        says=why,
        detail={
            "twin": name.endswith("'"),
            "p": logs.p,
            "delta": math.expm1(delta),
            "blocks": [math.exp(float(x)) for x in logs.own],
            "flagged": [race.blocks[at] for at in flagged(logs.own)],
            "needs": needs,
        },
        sources=[s.id for block in both for s in block.segments],
    )


def _mix(book: Book, race: _Race) -> tuple[str, str]:
    """Say which mix was raced; and which one the load has, where it is another: a rare operation may be stretched.

    What the excess cost cannot be taken off: the census' unit costs have spreads that the blocks do not show, and of a
    stretched operation that is dear they are most of what would be left.
    """
    ran = rates_of_segments(book.plan, (s for block in race.table.values() for s in block.segments))
    declared = book.plan.load.rates
    if len(declared) < 2 or not ran:
        return "", ""
    often = max(declared, key=lambda op: declared[op])
    axis = f"{often} per {' + '.join(op for op in declared if op != often)}"

    def share(rates: Mapping[str, float]) -> float:
        return rates.get(often, 0.0) / max(fsum(rate for op, rate in rates.items() if op != often), 1e-9)

    def alike(rates: Mapping[str, float]) -> bool:
        whole, other = fsum(rates.values()), fsum(declared.values())
        return all(abs(rates.get(op, 0.0) / whole * other / rate - 1) <= MIX_ALIKE for op, rate in declared.items())

    mine = {op: (low + high) / 2 for op, (low, high) in ran.items()}
    said = f"{share(mine):.3g} {axis}"
    return said, "" if alike(mine) else f"{share(declared):.3g}"


def _as_ratio(interval: Interval) -> Interval:
    return Interval(math.exp(interval.value), math.exp(interval.low), math.exp(interval.high), interval.level)


def _unsupported(book: Book, race: _Race, name: str, measured: Measured) -> None:
    op, measure = measured
    book.add(
        name_of("duel", f"{name}~{book.plan.default}", race.point, f"{op}.{measure}"),
        part="duel",
        how="ratio",
        approach=name,
        versus=book.plan.default,
        point=race.point,
        op=op,
        measure=measure,
        unit="x",
        over=f"{len(race.blocks)} blocks",
        verdict=str(Verdict.CANT_TELL),
        says="; ".join(_why_not(race, name, measured)),
        sources=[s.id for block in race.column(name) for s in block.segments],
    )


def _why_not(race: _Race, name: str, measured: Measured) -> Iterator[str]:
    op, measure = measured
    if not race.blocks:
        yield "no block in which all of them ran validly"
        return
    least = min(block.n.get(op, 0) for block in race.column(name))
    if measure in QUANTILES and least < samples_needed(QUANTILES[measure]):
        yield f"{measure} takes {samples_needed(QUANTILES[measure]):,} samples a block; the smallest has {least:,}"
    else:
        yield "it was not measured in every block"
