"""The picture at the head of a record: what an operation costs over the swept value, and where the cheapest changes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fathom.lab import figures
from fathom.lab.findings.census import BISECTED
from fathom.lab.record.blocks import Chart
from fathom.lab.record.facts import Facts, candidates, mix_words
from fathom.lab.record.frame import LETTER, LINE, WIDE, Frame, colour, end_labels, padded, series, size
from fathom.lab.record.svg import Drawing, Log, short_time
from fathom.lab.runs import Finding, Point

__all__ = ["costs"]

ROOM = 2.1  # below the cheapest line: there stand the values at which it changes
STRIP = 6.0  # the strip that says who is cheapest where


def costs(facts: Facts, block: Chart, width: float) -> str:
    """Draw a line for each approach with its name at the end, and above them who is cheapest from where to where."""
    found = _costs(facts)
    points = sorted({*facts.points, *(p for _, p in found)}, key=_order(facts))
    wide = width == WIDE
    height = 390.0 if wide else 350.0
    drawing = Drawing(width, height, block.says)
    longest = max(len(name) for name in facts.plan.names) * LETTER + 18
    frame = Frame(58.0, 64.0, width - longest, height - 46)
    x, place = _across(points, frame)
    reach = [end for f in found.values() for end in ((f.low, f.high) if f.low and f.high else (f.value,)) if end]
    low, high = padded(reach)
    y = Log(low * 1.25 / ROOM, high, frame.bottom, frame.top)
    named = "CPU of an average operation, logarithmic"
    drawing.text(0, 14, f"{named}; {mix_words(facts.plan)}" if wide else named, "name")
    ticks = y.ticks()
    frame.grid(drawing, y, ticks, [short_time(t) for t in ticks])
    _foot(facts, drawing, frame, x, place)
    crossed = _crossed(facts) if x is not None else []
    _strip(facts, drawing, frame, place, crossed)
    for at in crossed:
        drawing.line(place(at.value or 0), frame.top - 8, place(at.value or 0), frame.bottom - 34, "mark")
    ends: list[tuple[str, float]] = []
    for name in facts.plan.names:
        mine = [(p, f) for p in points if (f := found.get((name, p)))]
        _line(facts, drawing, name, [(place(p), f) for p, f in mine], y)
        if mine:
            ends.append((name, y(mine[-1][1].value or low)))
    end_labels(facts, drawing, ends, frame, place(points[-1]) + 11)
    _rings(facts, drawing, frame, place, y, crossed)
    return drawing.done(size(width))


def _costs(facts: Facts) -> dict[tuple[str, Point], Finding]:
    """What an average operation costs, by approach and value: the planned ones, and those that were visited between."""
    between = {f.point for f in facts.of("cost", part=BISECTED) if f.point is not None}
    return {
        (name, point): found
        for name in facts.plan.names
        for point in [*facts.points, *between]
        if (found := facts.get("cost", name, point)) and (found.value or 0) > 0
    }


def _order(facts: Facts) -> Callable[[Point], float]:
    """Numbers by their size; words as the dive names them."""
    planned = list(facts.points)
    return lambda p: float(planned.index(p)) if isinstance(p, str) else float(p)


def _across(points: Sequence[Point], frame: Frame) -> tuple[Log | None, Callable[[Point], float]]:
    """A logarithmic scale for numbers, even steps for words (or for values that a logarithm cannot take)."""
    inner = (frame.left + 14, frame.right - 6)
    numbers = [float(p) for p in points if not isinstance(p, str) and p > 0]
    if len(points) == len(numbers) > 1:
        x = Log(min(numbers), max(numbers), *inner)
        return x, lambda p: x(float(p))
    step = (inner[1] - inner[0]) / max(1, len(points) - 1)
    return None, lambda p: inner[0] + step * (list(points).index(p) if p in points else 0)


def _foot(facts: Facts, drawing: Drawing, frame: Frame, x: Log | None, place: Callable[[Point], float]) -> None:
    axis = facts.plan.swept.name or ""
    if x is not None:
        numbers = [float(p) for p in facts.points]
        frame.foot(drawing, x, numbers, [_short(p) for p in facts.points], f"{axis}, logarithmic")
        return
    drawing.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis")
    for p in facts.points:
        drawing.text(place(p), frame.bottom + 17, str(p), "tick", anchor="middle")
    drawing.text((frame.left + frame.right) / 2, frame.bottom + 34, axis, "name", anchor="middle")


def _short(p: Point) -> str:
    return p if isinstance(p, str) else figures.si(p).replace(" ", "") if p >= 10_000 else figures.count(p)


def _line(facts: Facts, drawing: Drawing, name: str, mine: Sequence[tuple[float, Finding]], y: Log) -> None:
    kind = colour(facts, name)
    drawing.path([(at, y(f.value or y.low)) for at, f in mine], f"line {kind}")
    for at, f in mine:
        if f.low and f.high and f.low > 0:
            drawing.line(at, y(f.low), at, y(f.high), f"whisker {kind}")
        drawing.mark(series(facts, name), at, y(f.value or y.low), 3.8, f"dot {kind}", f.id)


# Who is cheapest where -----------------------------------------------------------------------------------------------


class _Best(NamedTuple):
    """Who may be taken somewhere: nobody, one, or several; `sure` of the one, and of whether they also cost `least`."""

    names: tuple[str, ...]
    sure: bool
    least: bool = True  # whether nobody who is out is cheaper still
    else_: str = "can't tell"  # where there is no room for several names

    @classmethod
    def of(cls, decision: Finding) -> _Best:
        """Return who a decision says is best at its value."""
        names = tuple(sorted(candidates(decision)))
        else_ = "the same" if decision.verdict == "equivalent" else "can't tell"
        return cls(names, decision.verdict == "takes", not decision.detail.get("out"), else_)

    def words(self) -> Iterator[str]:
        """Say it, from the longest to the shortest."""
        names = " or ".join(self.names)
        if self.sure or len(self.names) > 1:
            yield f"{names} cheapest" if self.least else f"take {names}"
            yield names
        if not self.sure:
            yield self.else_


@dataclass(frozen=True)
class _Stretch:
    """From where to where on the page these are the best."""

    left: float
    right: float
    best: _Best


def _crossed(facts: Facts) -> list[Finding]:
    """The values at which the cheapest of all changes, from the left."""
    return sorted(
        (c for c in facts.of("crossing", void=False) if c.detail.get("matters")), key=lambda c: c.value or 0.0
    )


def _stretches(facts: Facts, frame: Frame, place: Callable[[Point], float], crossed: list[Finding]) -> list[_Stretch]:
    """Cut the width at every crossing, and half-way between neighbours where others are the best."""
    edges = [frame.left, *(place(c.value or 0.0) for c in crossed), frame.right]
    decided = [(place(d.point), _Best.of(d)) for d in facts.of("decision") if d.point is not None]
    found: list[_Stretch] = []
    for number, (left, right) in enumerate(itertools.pairwise(edges)):
        inside = [(at, best) for at, best in decided if left <= at <= right]
        if not inside:
            names = [str(crossed[number - 1].versus)] if number else []
            names += [str(crossed[number].approach)] if number < len(crossed) else []
            names = tuple(dict.fromkeys(names))
            inside = [((left + right) / 2, _Best(names, len(names) == 1))]
        begins = left
        for (at, best), after in itertools.zip_longest(inside, inside[1:]):
            if after is not None and after[1] == best:
                continue
            ends = right if after is None else (at + after[0]) / 2
            found.append(_Stretch(begins, ends, best))
            begins = ends
    return found


def _strip(
    facts: Facts, drawing: Drawing, frame: Frame, place: Callable[[Point], float], crossed: list[Finding]
) -> None:
    """A strip above the lines: coloured where one is taken, pale where that is not sure, with the names above."""
    top = frame.top - 16
    for each in _stretches(facts, frame, place, crossed):
        if not each.best.names:
            continue
        kind = colour(facts, each.best.names[0]) if each.best.sure else "twin"
        drawing.rect(each.left, top, each.right - each.left, STRIP, f"strip {kind}")
        room = (each.right - each.left) / LETTER
        words = next((text for text in each.best.words() if len(text) <= room), "")
        drawing.text((each.left + each.right) / 2, top - 6, words, f"label {kind}", anchor="middle")
    for at in crossed:
        left, right = place(at.low or at.value or 0), place(at.high or at.value or 0)
        drawing.rect(left, top, right - left, STRIP, "unsure")


def _rings(
    facts: Facts, drawing: Drawing, frame: Frame, place: Callable[[Point], float], y: Log, crossed: list[Finding]
) -> None:
    """A ring where the cheapest changes, and at the foot the value at which it does, and between which that lies."""
    taken, floor = frame.left, frame.bottom - 22
    for c in crossed:
        x = place(c.value or 0.0)
        drawing.circle(x, y(c.detail["cost"]), 8.5, "ring")
        words = f"≈ {figures.count(float(f'{c.value or 0:.2g}'))}"
        words += f" {facts.plan.swept.name}" if drawing.width == WIDE else ""  # the axis says of what
        ends = f"{figures.count(c.low or 0)} to {figures.count(c.high or 0)}"
        half = max(len(words) * LETTER, len(ends) * LETTER * 0.85) / 2
        middle = min(max(x, frame.left + half + 4), frame.right - half)
        floor = frame.bottom - 22 if middle - half > taken else floor - 2 * LINE
        drawing.text(middle, floor, words, "note strong", anchor="middle", finding=c.id)
        drawing.text(middle, floor + 13, ends, "note soft", anchor="middle")
        taken = middle + half + 6
