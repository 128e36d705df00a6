"""Was it true what was foretold: of more data and higher rates, said before they were run.

What is foretold is how busy the system's processes will be, by the line through its mix at two low rates. Of ten times
the data the same is said: that is the assumption which is put to the test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import fsum
from typing import Any

from fathom.lab.findings.book import Book, at, name_of
from fathom.lab.runs import NOT_THE_SYSTEM, Forecast, Plan, Point, Segment
from fathom.lab.scale.forecast import Line, refuse
from fathom.lab.stats import Interval

__all__ = ["ALL", "HELD_OUT", "OFF", "foretell", "label", "note_hold_out"]

HELD_OUT = "hold-out"
ALL = "all"  # of the system's processes, together
OFF = 0.2  # further from what was foretold, and outside its interval, was not foretold
SHARE = 0.1  # a group that was to use less of the whole than this is not judged by itself


def foretell(
    plan: Plan, segments: Sequence[Segment], approach: str, point: Point, *, times: float, faster: float
) -> Forecast | None:
    """Return what is to be expected of `times` the data and `faster` rates than the highest that it is made from.

    None without three segments at two rates to make it from, or where the line through them falls to nothing.
    """
    refuse(faster=faster, times=times)
    base = [s for s in at(segments, approach, point) if s.part == HELD_OUT and s.fits and s.valid]
    groups = sorted({group for s in base for group in s.cpu_s} - NOT_THE_SYSTEM)
    lines = {g: Line.through([(s.faster, _busy(s, g)) for s in base]) for g in (ALL, *groups)}
    told = {group: line.at(faster) for group, line in lines.items() if line is not None and math.isfinite(line.noise)}
    busy = {group: interval for group, interval in told.items() if interval.value > 0}
    if ALL not in busy:
        return None
    whole = busy[ALL].value
    usual = max(base, key=lambda s: s.faster)
    return Forecast(
        approach=approach,
        point=point,
        times=times,
        faster=faster,
        rates={op: rate / usual.faster * faster for op, rate in usual.rates.items()},
        busy={g: (i.value, i.low, i.high) for g, i in busy.items() if i.value >= SHARE * whole},
        sources=[s.id for s in base],
    )


def label(times: float, faster: float) -> str:
    """Name a cell of the hold-out."""
    return f"{times:g}x data, {faster:g}x rates"


def note_hold_out(book: Book) -> None:
    """Hold what was run against what had been written down before, for every approach and every cell."""
    for told in book.run.forecasts:
        ran = [
            s
            for s in at(book.of(HELD_OUT), told.approach, told.point)
            if not s.fits and (s.times, s.faster) == (told.times, told.faster)
        ]
        for group, ends in told.busy.items():
            if ran:
                _note(book, told, group, Interval(*ends), ran)


def _busy(segment: Segment, group: str) -> float:
    """Return how many cores a group of the system's processes kept busy, or all of them."""
    return segment.used_s("" if group == ALL else group) / segment.lasts_s


def _note(book: Book, told: Forecast, group: str, foretold: Interval, ran: list[Segment]) -> None:
    busy = [_busy(s, group) for s in ran]
    mean = fsum(busy) / len(busy)
    mid, low, high = (each / foretold.value for each in (mean, min(busy), max(busy)))
    detail: dict[str, Any] = {
        "told": [foretold.value, foretold.low, foretold.high],
        "measured": busy,
        "off": mid - 1,
        "times": told.times,
        "faster": told.faster,
        "rates": told.rates,
    }
    book.add(
        name_of(HELD_OUT, told.approach, label(told.times, told.faster), group),
        part=HELD_OUT,
        how=HELD_OUT,
        approach=told.approach,
        point=told.point,
        measure=group,
        unit="x",
        value=mid,
        low=low,
        high=high,
        n=sum(sum(s.done.values()) for s in ran),
        over=f"{len(ran)} segments",
        verdict="held" if abs(mid - 1) <= OFF or foretold.meets(mean, mean) else "failed",
        detail=detail,
        sources=[s.id for s in ran],
    )
