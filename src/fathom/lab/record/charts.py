"""The record's pictures: what a mix costs, who wins, where cost flips, how a fault went, what swings an estimate."""

from __future__ import annotations

import math

from fathom.lab import figures
from fathom.lab.findings.flips import axis_of, rates_of
from fathom.lab.record.blocks import Chart
from fathom.lab.record.crossover import costs
from fathom.lab.record.facts import Facts
from fathom.lab.record.frame import LETTER, WIDE, Frame, colour, end_labels, padded, series, size
from fathom.lab.record.svg import Drawing, Linear, Log, short_time
from fathom.lab.runs import Finding, Point

__all__ = ["chart"]


def chart(facts: Facts, block: Chart, width: float) -> str:
    """Return the picture as SVG text, laid out for a page of this width."""
    draw = {"costs": costs, "duel": _duel, "flip": _flip, "trial": _trial, "tornado": _tornado}[block.kind]
    return draw(facts, block, width)


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
    low, high = padded([*values, 0.9, 1.1], 1.04)
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
    return drawing.done(size(width))


def _rival(f: Finding) -> str:
    return f"{f.approach} again" if f.detail.get("twin") else str(f.approach)


def _forest_row(facts: Facts, drawing: Drawing, f: Finding, x: Log, y: float, page: tuple[float, float, bool]) -> None:
    left, right, wide = page
    twin = f.detail.get("twin")
    kind = "twin" if twin else colour(facts, f.approach or "")
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
    drawing.mark(0 if twin else series(facts, f.approach or ""), x(f.value), y, 4.2, f"dot {kind}")


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
    low, high = padded([target, *(f.value for f in flips if f.value)], 6.0)
    height = 330.0 if width == WIDE else 310.0
    drawing = Drawing(width, height, block.says)
    longest = max(len(name) for name in sides) * LETTER + 16
    frame = Frame(58.0, 34.0, width - longest, height - 44)
    x = Log(low, high, frame.left + 4, frame.right - 4)
    ends = [w + r * h for w, h in sides.values() for r in (low, high)]
    y = Log(*padded(ends), frame.bottom, frame.top)
    what = f"CPU per {' + '.join(axis.others)} and its {axis.often}s, at {facts.at(point)}"
    drawing.text(0, 14, f"{what}, logarithmic" if width == WIDE else what, "name")
    ticks = y.ticks()
    frame.grid(drawing, y, ticks, [short_time(t) for t in ticks])
    across = x.ticks(6 if width == WIDE else 4)
    words = [f"{t:g}" if t < 10_000 else figures.si(t) for t in across]
    frame.foot(drawing, x, across, words, f"{axis.says}, logarithmic")
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
        drawing.path([(x(r), y(w + r * h)) for r in rs], f"line {colour(facts, name)}")
    for f in crossed:
        _flip_mark(drawing, f, sides, x, y, frame)
    for check in facts.of("flip check", point=point):
        for name, cost in check.detail["costs"].items():
            r = check.detail["mix"]
            if low <= r <= high and y.low <= cost <= y.high:
                drawing.mark(series(facts, name), x(r), y(cost), 4.4, f"hollow {colour(facts, name)}", check.id)
    end_labels(facts, drawing, [(n, y(w + high * h)) for n, (w, h) in sides.items()], frame, frame.right + 5)
    return drawing.done(size(width))


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
    drawing: Drawing, f: Finding, sides: dict[str, tuple[float, float]], x: Log, y: Log, frame: Frame
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
    y_low, y_high = padded(times or [0.001, 1.0], 1.2)
    counts = [w[2] + w[3] for f in lines.values() for w in f.detail["windows"]]
    top = 26.0
    for name in names:
        frame = Frame(50.0, top + 18, width - 8, top + 18 + _PANEL - 12)
        _trial_panel(
            facts, drawing, name, lines[name], x, Log(y_low, y_high, frame.bottom, frame.top), frame, max(1, *counts)
        )
        _done_to_it(facts, drawing, name, number, x, frame, named=name == names[0])
        _trial_marks(facts, drawing, name, number, lines[name], x, frame)
        drawing.text(0, top + 8, name, f"label {colour(facts, name)}")
        top += _PANEL + 26
    frame = Frame(50.0, 0, width - 8, top - 2)
    ticks = x.ticks(10 if width == WIDE else 6)
    frame.foot(drawing, x, ticks, [f"{t:g}" for t in ticks], "seconds")
    wide = "Latency, logarithmic: median, and slowest above it; bars: failed or unknown"
    narrow = "Latency (log): median, slowest; bars: failed or unknown"
    drawing.text(0, 12, wide if width == WIDE else narrow, "name" if width == WIDE else "tick")
    return drawing.done(size(width))


def _trial_panel(
    facts: Facts, drawing: Drawing, name: str, f: Finding, x: Linear, y: Log, frame: Frame, most: int
) -> None:
    detail, kind = f.detail, colour(facts, name)
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


_DID = {"kill": "killed", "restart": "back", "pause": "stopped", "resume": "goes on"}


def _done_to_it(
    facts: Facts, drawing: Drawing, name: str, number: int, x: Linear, frame: Frame, *, named: bool
) -> None:
    """A line where something was broken, and where it was mended; in the first panel also in words."""
    marks = [m for m in facts.run.faults if (m.approach, m.fault) == (name, number)]
    wiped = any(m.did == "wipe" for m in marks)
    for mark in marks:
        if mark.did in _DID and 0 <= mark.at_s <= x.high:
            drawing.line(x(mark.at_s), frame.top, x(mark.at_s), frame.bottom, "did")
            words = _DID[mark.did] + (", empty" if wiped and mark.did == "restart" else "")
            if named:
                drawing.text(x(mark.at_s) + 4, frame.bottom - 5, words, "note strong")


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
    facts: Facts, drawing: Drawing, name: str, number: int, line: Finding, x: Linear, frame: Frame
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
        drawing.line(x(f.low), top + 15, x(f.high), top + 15, f"bar {colour(facts, name)}")
        drawing.text(x(f.low) - 6, top + 19, figures.digits(f.low), "value", anchor="end")
        drawing.text(x(f.high) + 6, top + 19, figures.digits(f.high), "value")
    return drawing.done(size(width))
