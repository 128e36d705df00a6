"""Was everything warm when it was raced: whether it still became faster from one round of the load to the next.

The machine's own ups and downs go both ways, and what is still filling caches goes one way: who falls four rounds in a
row is cold (by chance that is one series in 24). This sees what falls by more than the rounds vary; a fall as small as
their noise it misses more often than not. How many rounds there were is the same for all; the series itself is kept,
for whoever doubts it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fathom.lab import figures
from fathom.lab.findings.book import Book, name_of
from fathom.lab.runs import DELTA, Samples, Segment

__all__ = ["Series", "note_warm", "series", "still_faster"]

FEW = 20  # samples of an operation in a round; fewer have no median to go by
ROUNDS_MIN = 4
TOO_FEW = "too few undisturbed rounds"
CPU = "cpu_s"

Series = Mapping[str, Sequence[float]]  # what was looked at → its value in each round, the first one first


def series(rounds: Sequence[Segment], samples_of: Callable[[Segment], Samples | None]) -> dict[str, list[float]]:
    """Return the medians of each operation, and the CPU of all operations together, round by round."""
    found: dict[str, list[float]] = {}
    for segment in sorted(rounds, key=lambda s: s.block):
        done = sum(segment.done.values())
        if not done:
            continue
        found.setdefault(CPU, []).append(segment.used_s() / done)
        samples = samples_of(segment)
        for op in segment.rates if samples else ():
            assert samples is not None
            took = samples.took_ns(op)
            if len(took) >= FEW:
                found.setdefault(f"{op}.p50", []).append(float(np.median(took)) / 1e9)
    return found


def still_faster(seen: Series) -> list[str]:
    """Return what became faster in every one of the last rounds, and in all by what elsewhere is a difference, too."""
    if not seen or min(map(len, seen.values())) < ROUNDS_MIN:
        return [TOO_FEW]
    last = {what: values[-ROUNDS_MIN:] for what, values in seen.items()}
    return [
        what
        for what, values in last.items()
        if all(b < a for a, b in pairwise(values)) and values[-1] < values[0] * (1 - DELTA)
    ]


def note_warm(book: Book) -> None:
    """Note of every contender, the twin too, whether it was warm when the race began."""
    ran = book.of("warm-up", valid=False)
    for name in dict.fromkeys(s.name for s in ran):
        mine = [s for s in ran if s.name == name and s.valid]
        seen = series(mine, book.run.samples)
        cold = still_faster(seen)
        fields: dict[str, Any] = {
            "says": "" if not cold else TOO_FEW if cold == [TOO_FEW] else f"{figures.listed(cold)} fell"
        }
        cpu = seen.get(CPU, [])
        if cpu and cpu[0] > 0:
            fields |= {"value": cpu[-1] / cpu[0], "low": min(cpu) / cpu[0], "high": max(cpu) / cpu[0]}
        first = next(s for s in ran if s.name == name)
        book.add(
            name_of("warm-up", name),
            part="warm-up",
            how="warm-up",
            approach=first.approach,
            point=first.point,
            measure=CPU,
            unit="x",
            n=sum(sum(s.done.values()) for s in mine),
            over=f"{len(mine)} rounds",
            verdict="can't tell" if cold else "held",
            detail={"rounds": len(mine), "lasts_s": first.lasts_s, "series": seen},
            sources=[s.id for s in mine],
            **fields,
        )
