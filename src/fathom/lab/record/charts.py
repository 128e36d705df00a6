"""The record's pictures: what a mix costs, who wins, where cost flips, how a fault went, what swings an estimate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fathom.lab import figures
from fathom.lab.findings.census import BISECTED
from fathom.lab.findings.flips import axis_of, rates_of
from fathom.lab.record.blocks import Chart
from fathom.lab.record.facts import Facts
from fathom.lab.record.svg import Drawing, Linear, Log, apart, short_time
from fathom.lab.runs import Finding, Point

__all__ = ["NARROW", "WIDE", "chart"]

WIDE, NARROW = 680.0, 350.0
LINE = 15.0  # a line of text
LETTER = 6.9  # about how wide a letter is, bold and in a wide face


def chart(facts: Facts, block: Chart, width: float) -> str:
    """Return the picture as SVG text, laid out for a page of this width."""
    draw = {"costs": _costs, "duel": _duel, "flip": _flip, "trial": _trial, "tornado": _tornado}[block.kind]
    return draw(facts, block, width)


def _series(facts: Facts, name: str) -> int:
    return facts.plan.names.index(name)


def _colour(facts: Facts, name: str) -> str:
    return f"s{_series(facts, name) % 6}"


def _padded(values: Iterable[float], by: float = 1.25) -> tuple[float, float]:
    found = [v for v in values if v > 0]
    return min(found) / by, max(found) * by


@dataclass(frozen=True)
class _Frame:
    """The part of a drawing in which things are plotted."""

    left: float
    top: float
    right: float
    bottom: float

    def grid(self, drawing: Drawing, y: Log | Linear, ticks: Sequence[float], words: Sequence[str]) -> None:
        for tick, word in zip(ticks, words, strict=True):
            drawing.line(self.left, y(tick), self.right, y(tick), "grid")
            drawing.text(self.left - 7, y(tick) + 3.5, word, "tick", anchor="end")

    def foot(self, drawing: Drawing, x: Log | Linear, ticks: Sequence[float], words: Sequence[str], name: str) -> None:
        drawing.line(self.left, self.bottom, self.right, self.bottom, "axis")
        for tick, word in zip(ticks, words, strict=True):
            drawing.line(x(tick), self.bottom, x(tick), self.bottom + 4, "axis")
            drawing.text(x(tick), self.bottom + 17, word, "tick", anchor="middle")
        drawing.text((self.left + self.right) / 2, self.bottom + 34, name, "name", anchor="middle")


# What a mix costs ----------------------------------------------------------------------------------------------------


def _costs(facts: Facts, block: Chart, width: float) -> str:
    names, points = facts.plan.names, facts.points
    between = {f.point for f in facts.of("cost", part=BISECTED)}
    every = sorted({*points, *between}) if between else points  # pyright: ignore[reportArgumentType]
    costs = {(n, p): f for n in names for p in every if (f := facts.get("cost", n, p)) and (f.value or 0) > 0}  # pyright: ignore
    height = 330.0 if width == WIDE else 300.0
    drawing = Drawing(width, height, block.says)
    longest = max(len(name) for name in names) * LETTER + 16
    frame = _Frame(58.0, 34.0, width - longest, height - 44)
    x, place = _across(points, frame)
    reach = [end for f in costs.values() for end in ((f.low, f.high) if f.low and f.high else (f.value,)) if end]
    low, high = _padded(reach)
    y = Log(low, high, frame.bottom, frame.top)
    ticks = y.ticks()
    drawing.text(0, 14, "CPU of an average operation", "name")
    frame.grid(drawing, y, ticks, [short_time(t) for t in ticks])
    axis = facts.plan.swept.name or ""
    if x is not None:
        frame.foot(drawing, x, [float(p) for p in points], [_short_point(p) for p in points], axis)
    else:
        drawing.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis")
        for p in points:
            drawing.text(place(p), frame.bottom + 17, str(p), "tick", anchor="middle")
        drawing.text((frame.left + frame.right) / 2, frame.bottom + 34, axis, "name", anchor="middle")
    ends: list[tuple[str, float]] = []
    for name in names:
        mine = [(p, costs[name, p]) for p in every if (name, p) in costs]
        kind = _colour(facts, name)
        drawing.path([(place(p), y(f.value or low)) for p, f in mine], f"line {kind}")
        for p, f in mine:
            at = place(p)
            if f.low and f.high and f.low > 0:
                drawing.line(at, y(f.low), at, y(f.high), f"whisker {kind}")
            drawing.mark(_series(facts, name), at, y(f.value or low), 3.8, f"dot {kind}", f.id)
        if mine:
            ends.append((name, y(mine[-1][1].value or low)))
    _end_labels(facts, drawing, ends, frame, place(points[-1]) + 11)
    taken = -math.inf
    mattering = [c for c in facts.of("crossing") if c.detail.get("matters")]
    for crossing in sorted(mattering, key=lambda c: c.value or 0.0):
        at = place(crossing.value or 0.0)
        taken = _ring(drawing, (at, y(crossing.detail["cost"])), crossing, axis, frame, taken)
    return drawing.done(_size(width))


def _across(points: Sequence[Point], frame: _Frame):
    """A logarithmic scale for numbers, even steps for words (or for values that a logarithm cannot take)."""
    inner = (frame.left + 14, frame.right - 6)
    if len(points) > 1 and not any(isinstance(p, str) or p <= 0 for p in points):
        x = Log(float(min(points)), float(max(points)), *inner)
        return x, lambda p: x(float(p))
    step = (inner[1] - inner[0]) / max(1, len(points) - 1)
    return None, lambda p: inner[0] + step * (list(points).index(p) if p in points else 0)


def _short_point(p: Point) -> str:
    return p if isinstance(p, str) else figures.si(p).replace(" ", "") if p >= 10_000 else figures.count(p)


def _end_labels(facts: Facts, drawing: Drawing, ends: list[tuple[str, float]], frame: _Frame, left: float) -> None:
    places = apart([place for _, place in ends], LINE, frame.top + 4, frame.bottom - 4)
    for (name, _), place in zip(ends, places, strict=True):
        drawing.text(left, place + 4, name, f"label {_colour(facts, name)}")


def _ring(
    drawing: Drawing, at: tuple[float, float], crossing: Finding, unit: str, frame: _Frame, taken: float
) -> float:
    """Mark a crossing; its words go below where the ones before it have taken the room above. Return their end."""
    x, y = at
    drawing.circle(x, y, 8.5, "ring")
    words = f"≈ {figures.count(float(f'{crossing.value or 0:.2g}'))} {unit}"
    half = len(words) * LETTER / 2
    middle = min(max(x, frame.left + half + 4), frame.right - half)
    above = middle - half > taken and y - 30 > frame.top
    drawing.text(middle, y - 16 if above else y + 25, words, "note", anchor="middle", finding=crossing.id)
    return middle + half if above else taken


# Who wins the duel ---------------------------------------------------------------------------------------------------


def _duel(facts: Facts, block: Chart, width: float) -> str:
    ratios = [f for f in facts.of("ratio") if f.value is not None and f.low and f.high]
    measures = list(dict.fromkeys((f.op, f.measure) for f in ratios))
    default = facts.plan.default
    wide = width == WIDE
    row, head = (24.0, 30.0) if wide else (38.0, 44.0)
    height = 40 + sum(head + row * sum((f.op, f.measure) == m for f in ratios) for m in measures) + 40
    drawing = Drawing(width, height, block.says)
    names = max((len(_rival(f)) for f in ratios), default=8)
    left = names * LETTER + 18 if wide else 14.0
    right = width - (206 if wide else 14)
    values = [v for f in ratios for v in (f.low, f.high, *f.detail["blocks"]) if v]
    low, high = _padded([*values, 0.9, 1.1], 1.04)
    x = Log(low, high, left, right)
    drawing.text(0, 14, f"Against {default}, at {facts.at(facts.duelled or '')}", "name")
    top = 34.0
    for op, measure in measures:
        mine = sorted(
            (f for f in ratios if (f.op, f.measure) == (op, measure)),
            key=lambda f: (not f.detail.get("twin"), facts.plan.names.index(f.approach or default)),
        )
        what = "CPU of the whole mix" if op == "mix" else f"{op} {measure}"
        drawing.text(0, top + 15, what, "strong")
        delta = mine[-1].detail["delta"]
        tall = head + row * len(mine)
        drawing.rect(x(1 / (1 + delta)), top + head - 8, x(1 + delta) - x(1 / (1 + delta)), tall - head + 6, "band")
        drawing.line(x(1.0), top + head - 8, x(1.0), top + tall - 2, "axis")
        for at, f in enumerate(mine):
            _forest_row(facts, drawing, f, x, top + head + row * at + 5, (left, right, wide))
        top += tall
    for tick in _ratio_ticks(low, high, 7 if wide else 5):
        drawing.text(x(tick), top + 14, f"{tick:g}x", "tick", anchor="middle")
    drawing.text(x(1.0) - 8, top + 30, "← less", "tick", anchor="end")
    drawing.text(x(1.0) + 8, top + 30, "more →", "tick")
    drawing.height = top + 38
    return drawing.done(_size(width))


def _rival(f: Finding) -> str:
    return f"{f.approach} again" if f.detail.get("twin") else str(f.approach)


def _forest_row(facts: Facts, drawing: Drawing, f: Finding, x: Log, y: float, page: tuple[float, float, bool]) -> None:
    left, right, wide = page
    twin = f.detail.get("twin")
    kind = "twin" if twin else _colour(facts, f.approach or "")
    assert f.value is not None and f.low is not None and f.high is not None
    words = f"{figures.value_of(f)} ({figures.spread_of(f)})"
    if not twin:
        words += f" {f.verdict if f.verdict != 'equivalent' else 'same'}"
    if wide:
        drawing.text(left - 12, y + 4, _rival(f), f"label {kind}", anchor="end")
        drawing.text(right + 12, y + 4, words, "value", finding=f.id)
    else:
        drawing.text(left, y - 8, _rival(f), f"label {kind}")
        drawing.text(right, y - 8, words, "value", anchor="end", finding=f.id)
        y += 6
    for block in f.detail["blocks"]:
        drawing.circle(x(block), y, 2.0, f"faint {kind}")
    drawing.line(x(f.low), y, x(f.high), y, f"bar {kind}")
    for end in (f.low, f.high):
        drawing.line(x(end), y - 4, x(end), y + 4, f"whisker {kind}")
    drawing.mark(0 if twin else _series(facts, f.approach or ""), x(f.value), y, 4.2, f"dot {kind}")


def _ratio_ticks(low: float, high: float, most: int) -> list[float]:
    ladders = (
        [0.9, 0.95, 1, 1.05, 1.1],
        [0.8, 0.9, 1, 1.1, 1.2],
        [0.5, 0.7, 1, 1.5, 2],
        [0.25, 0.5, 1, 2, 4],
        [0.1, 0.2, 0.5, 1, 2, 5, 10],
        [0.01, 0.1, 1, 10, 100],
        [10.0**p for p in range(-6, 7)],
    )
    for ladder in ladders:
        inside = [t for t in ladder if low <= t <= high]
        if ladder[0] <= low * 1.25 and ladder[-1] >= high / 1.25 and len(inside) <= most:
            return inside
    return [1.0]


# Where cost flips ----------------------------------------------------------------------------------------------------


def _flip(facts: Facts, block: Chart, width: float) -> str:
    plan, point = facts.plan, block.about["point"]
    axis = axis_of(plan)
    assert axis is not None
    sides = {name: s for name in plan.names if (s := _both_sides(facts, name, point)) is not None}
    flips = [f for f in facts.of("flip", point=point) if f.verdict == "flips" and f.value]
    rates = rates_of(plan)
    target = rates[axis.often] / sum(rates[op] for op in axis.others)
    low, high = _padded([target, *(f.value for f in flips if f.value)], 6.0)
    height = 330.0 if width == WIDE else 310.0
    drawing = Drawing(width, height, block.says)
    longest = max(len(name) for name in sides) * LETTER + 16
    frame = _Frame(58.0, 34.0, width - longest, height - 44)
    x = Log(low, high, frame.left + 4, frame.right - 4)
    ends = [w + r * h for w, h in sides.values() for r in (low, high)]
    y = Log(*_padded(ends), frame.bottom, frame.top)
    drawing.text(0, 14, f"CPU per {' + '.join(axis.others)} and its {axis.often}s, at {facts.at(point)}", "name")
    ticks = y.ticks()
    frame.grid(drawing, y, ticks, [short_time(t) for t in ticks])
    across = x.ticks(6 if width == WIDE else 4)
    frame.foot(drawing, x, across, [f"{t:g}" if t < 10_000 else figures.si(t) for t in across], axis.says)
    crossed = [f for f in flips if _is_cheapest(f, sides) and f.value and x.low <= f.value <= x.high]
    for f in crossed:
        left, right = x(max(f.low or x.low, x.low)), x(min(f.high or x.high, x.high))
        drawing.rect(left, frame.top, right - left, frame.bottom - frame.top, "band")
    drawing.line(x(target), frame.top, x(target), frame.bottom, "target")
    asked = f"asked for: {figures.digits(target)}"
    room = x(target) + len(asked) * LETTER + 8
    leans_left = any(x(target) < x(f.value) < room for f in flips if f.value) or room > frame.right
    drawing.text(
        x(target) + (-5 if leans_left else 5), frame.bottom - 7, asked, "note", anchor="end" if leans_left else "start"
    )
    for name, (w, h) in sides.items():
        rs = [low * (high / low) ** (i / 40) for i in range(41)]
        drawing.path([(x(r), y(w + r * h)) for r in rs], f"line {_colour(facts, name)}")
    for f in crossed:
        _flip_mark(drawing, f, sides, x, y, frame)
    for check in facts.of("flip check", point=point):
        for name, cost in check.detail["costs"].items():
            r = check.detail["mix"]
            if low <= r <= high and y.low <= cost <= y.high:
                drawing.mark(_series(facts, name), x(r), y(cost), 4.4, f"hollow {_colour(facts, name)}", check.id)
    _end_labels(facts, drawing, [(n, y(w + high * h)) for n, (w, h) in sides.items()], frame, frame.right + 5)
    return drawing.done(_size(width))


def _both_sides(facts: Facts, name: str, point: Point) -> tuple[float, float] | None:
    axis = axis_of(facts.plan)
    assert axis is not None
    write = 0.0
    for op, share in axis.others.items():
        cost = facts.get("census", name, point, f"{op}.cpu_s")
        if cost is None or cost.value is None:
            return None
        write += share * cost.value
    read = facts.get("census", name, point, f"{axis.often}.cpu_s")
    return (write, read.value) if read and read.value and write > 0 else None


def _is_cheapest(f: Finding, sides: dict[str, tuple[float, float]]) -> bool:
    """Whether no third approach is cheaper than the two that cross there."""
    if not f.value or f.approach not in sides:
        return False
    w, h = sides[f.approach]
    return min(a + f.value * b for a, b in sides.values()) > 0.97 * (w + f.value * h)


def _flip_mark(
    drawing: Drawing, f: Finding, sides: dict[str, tuple[float, float]], x: Log, y: Log, frame: _Frame
) -> None:
    """A ring where two lines cross; the band behind it is the interval."""
    assert f.value is not None
    w, h = sides[f.approach or ""]
    drawing.circle(x(f.value), y(w + f.value * h), 8.5, "ring")
    words = f"flips at {figures.value_of(f)}"
    drawing.text(min(x(f.value), frame.right - 40), frame.top - 5, words, "note", anchor="middle", finding=f.id)


# How a fault went ----------------------------------------------------------------------------------------------------

_PANEL = 74.0


def _trial(facts: Facts, block: Chart, width: float) -> str:
    number = block.about["fault"]
    names = [n for n in facts.plan.names if facts.get("trial", n, number, "timeline")]
    lines = {n: f for n in names if (f := facts.get("trial", n, number, "timeline"))}
    height = 26 + (_PANEL + 26) * len(names) + 40
    drawing = Drawing(width, height, block.says)
    lasts = max(f.detail["lasts_s"] for f in lines.values())
    x = Linear(0.0, lasts, 50.0, width - 8)
    times = [t for f in lines.values() for w in f.detail["windows"] for t in (w[4], w[5]) if t]
    y_low, y_high = _padded(times or [0.001, 1.0], 1.2)
    counts = [w[2] + w[3] for f in lines.values() for w in f.detail["windows"]]
    top = 26.0
    for name in names:
        frame = _Frame(50.0, top + 18, width - 8, top + 18 + _PANEL - 12)
        _trial_panel(
            facts, drawing, name, lines[name], x, Log(y_low, y_high, frame.bottom, frame.top), frame, max(1, *counts)
        )
        _trial_marks(facts, drawing, name, number, lines[name], x, frame)
        drawing.text(0, top + 8, name, f"label {_colour(facts, name)}")
        top += _PANEL + 26
    frame = _Frame(50.0, 0, width - 8, top - 2)
    ticks = x.ticks(10 if width == WIDE else 6)
    frame.foot(drawing, x, ticks, [f"{t:g}" for t in ticks], "seconds")
    drawing.text(
        0, 12, "Latency: median, and slowest above it; bars: failed or unknown", "name" if width == WIDE else "tick"
    )
    return drawing.done(_size(width))


def _trial_panel(
    facts: Facts, drawing: Drawing, name: str, f: Finding, x: Linear, y: Log, frame: _Frame, most: int
) -> None:
    detail, kind = f.detail, _colour(facts, name)
    left, right = x(detail["began_s"]), x(min(detail["until_s"], detail["lasts_s"]))
    drawing.rect(left, frame.top, right - left, frame.bottom - frame.top, "fault")
    ticks = y.ticks(3)
    frame.grid(drawing, y, ticks, [short_time(t) for t in ticks])
    step, windows = detail["window_s"], detail["windows"]
    for at, _, failed, unknown, _, _ in windows:
        if failed + unknown:
            tall = 4 + (frame.bottom - frame.top - 4) * (failed + unknown) / most
            drawing.rect(x(at) + 0.5, frame.bottom - tall, x(at + step) - x(at) - 1, tall, "bad")
    for stretch in _stretches([w for w in windows]):
        middle = [(x(w[0] + step / 2), y(w[4])) for w in stretch]
        worst = [(x(w[0] + step / 2), y(w[5])) for w in stretch]
        drawing.path([*middle, *reversed(worst)], f"area {kind}", closed=True)
        drawing.path(middle, f"line {kind}")
    drawing.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis")


def _stretches(windows: list) -> list[list]:
    """Windows without an answer part the line."""
    found: list[list] = [[]]
    for window in windows:
        if window[4]:
            found[-1].append(window)
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def _trial_marks(
    facts: Facts, drawing: Drawing, name: str, number: int, line: Finding, x: Linear, frame: _Frame
) -> None:
    noticed, healed = (facts.get("trial", name, number, m) for m in ("noticed_s", "healed_s"))
    places: list[tuple[float, str, Finding]] = []
    if noticed and noticed.value is not None:
        places.append((line.detail["done_s"] + noticed.value, f"noticed {figures.value_of(noticed)}", noticed))
    if healed and healed.verdict == "healed" and healed.value is not None:
        places.append((line.detail["until_s"] + healed.value, f"healed {figures.value_of(healed)}", healed))
    if healed and healed.verdict == "does not recover":
        places.append((line.detail["lasts_s"], "does not recover", healed))
    rights = -math.inf
    for at, words, f in places:
        long = len(words) * LETTER
        left = min(max(x(at) - 4, frame.left, rights + 10), frame.right - long)
        drawing.line(x(at), frame.top - 4, x(at), frame.bottom, "mark")
        drawing.text(left, frame.top - 8, words, "note", finding=f.id)
        rights = left + long
    if noticed and noticed.verdict in ("never", "can't tell"):
        words = "nobody noticed" if noticed.verdict == "never" else f"can't tell: {noticed.says}"
        left = min(x(line.detail["began_s"]), frame.right - len(words) * LETTER)
        drawing.text(left, frame.top - 8, words, "note", finding=noticed.id)


# What swings an estimate ---------------------------------------------------------------------------------------------

_BAR = 34.0


def _tornado(facts: Facts, block: Chart, width: float) -> str:
    """A bar per thing that swings the estimate, the widest first; its words above it, its ends beside it."""
    name = block.about["approach"]
    swings = [f for f in facts.of("tornado", approach=name) if f.value and f.low is not None and f.high is not None]
    drawing = Drawing(width, 40 + _BAR * len(swings), block.says)
    ends = [end for f in swings for end in (f.low, f.high) if end is not None]
    x = Linear(min(ends), max(ends), 52.0, width - 52)
    drawing.text(0, 14, f"Servers of {name} for the target, when one thing alone changes", "name")
    middle = x(swings[0].value or 0.0)
    drawing.line(middle, 28, middle, drawing.height - 6, "mark")
    for at, f in enumerate(swings):
        assert f.low is not None and f.high is not None
        top = 34.0 + _BAR * at
        half = len(f.measure or "") * LETTER / 2
        words = min(max((x(f.low) + x(f.high)) / 2, half), width - half)
        drawing.text(words, top + 6, f.measure or "", "note", anchor="middle", finding=f.id)
        drawing.line(x(f.low), top + 15, x(f.high), top + 15, f"bar {_colour(facts, name)}")
        drawing.text(x(f.low) - 6, top + 19, figures.digits(f.low), "value", anchor="end")
        drawing.text(x(f.high) + 6, top + 19, figures.digits(f.high), "value")
    return drawing.done(_size(width))


def _size(width: float) -> str:
    return "wide" if width == WIDE else "narrow"
