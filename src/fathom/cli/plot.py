"""Lines on a terminal over a straight axis, of what was measured over time or over a knob; upright straight or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.text import Text

from fathom.cli.canvas import LEFT, Canvas
from fathom.lab.record.svg import Linear, Log

__all__ = ["Line", "plot", "share"]


class Line(NamedTuple):
    """Points in the order in which they are joined. `marked`: each is a measurement, and shown as one."""

    name: str
    points: Sequence[tuple[float, float]]
    marked: bool = False


def share(value: float) -> str:
    """Return a share as a percentage, as exactly as it is small.

    >>> share(0.5), share(0.0082), share(0.00046), share(0.0)
    ('50 %', '0.82 %', '0.046 %', '0 %')
    """
    return f"{100 * value:.2g} %" if value < 0.0995 else f"{100 * value:.0f} %"


def plot(
    lines: Sequence[Line],
    *,
    width: int,
    height: int,
    title: str,
    x: str,
    powers: bool = False,
    form: Callable[[float], str] = "{:,g}".format,
) -> Text:
    """Return the picture. `powers`: the upright axis is logarithmic, else it begins at 0; `form` writes its ticks."""
    known = [point for line in lines for point in line.points if point[1] > 0 or not powers]
    longest = max(len(x) + 2, *(len(line.name) + 3 for line in lines))
    columns, rows = max(10, width - LEFT - longest), max(4, height - 3)
    text = Text().append(title + "\n", style="bold")
    if not known:
        return text
    first, last = min(at for at, _ in known), max(at for at, _ in known)
    top = max(value for _, value in known) or 1.0
    across = Linear(first, last if last > first else first + 1, 0, columns * 2 - 1)
    upright = (
        Log(min(value for _, value in known) / 1.3, top * 1.3, 0, rows * 4 - 1)
        if powers
        else Linear(0.0, top * 1.02, 0, rows * 4 - 1)
    )
    canvas, ends = Canvas(columns, rows), dict[str, int]()
    for number, line in enumerate(lines):
        points = [(round(across(at)), round(upright(value))) for at, value in line.points if value > 0 or not powers]
        canvas.line(points, number, marked=line.marked)
        if points:
            ends[line.name] = rows - 1 - points[-1][1] // 4
    ticks = {rows - 1 - round(upright(tick)) // 4: form(tick) for tick in upright.ticks(most=max(2, rows // 3))}
    text.append_text(canvas.framed(ticks, ends, [line.name for line in lines]))
    return text.append(_foot(across, columns, x), style="dim")


def _foot(across: Linear, columns: int, x: str) -> str:
    line = [" "] * (LEFT + columns)
    for tick in across.ticks(most=max(2, columns // 10)):
        word = f"{tick:,g}"
        start = min(max(LEFT, LEFT + round(across(tick)) // 2 - len(word) // 2), LEFT + columns - len(word))
        if not "".join(line[start - 1 : start + len(word) + 1]).strip():
            line[start : start + len(word)] = word
    return "".join(line).rstrip() + f"  {x}"
