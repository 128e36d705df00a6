"""Lines on a terminal: what an average operation costs, over the swept value, one line per approach; and spans of time.

All axes are logarithmic, as costs and sizes are. A line is drawn in braille dots, two by four to a character; where
two lines meet in one character, the later one gives its colour.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from rich.text import Text

from fathom.cli.canvas import COLOURS, LEFT, MARKS, Canvas
from fathom.lab.record.svg import Log, short_time

__all__ = ["COLOURS", "MARKS", "Span", "chart", "spans"]


def chart(
    costs: Mapping[str, Mapping[float, float]],
    points: Sequence[float],
    names: Sequence[str],
    *,
    width: int,
    height: int,
    swept: str,
    title: str,
    flips: Sequence[str] = (),
) -> Text:
    """Return the picture: `costs` is approach → swept value → seconds, as far as they are known.

    Where the foot has no room for all points, those that come first are named. Below it stand the `flips` that are
    known: who becomes cheaper than whom, and near which value.
    """
    known = [cost for line in costs.values() for cost in line.values() if cost > 0]
    longest = max((len(name) for name in names), default=0) + 3
    columns, rows = max(10, width - LEFT - longest), max(4, height - 3 - len(flips))
    text = Text().append(title + "\n", style="bold")
    if not known:
        return text
    wide = 1.001 if len(set(points)) == 1 else 1.0  # one value alone has no room of its own on a logarithmic axis
    x = Log(min(points) / wide, max(points) * wide, 0, columns * 2 - 1)
    y = Log(min(known) / 1.3, max(known) * 1.3, 0, rows * 4 - 1)
    canvas = Canvas(columns, rows)
    for number, name in enumerate(names):
        line = sorted((p, cost) for p, cost in costs.get(name, {}).items() if cost > 0)
        canvas.line([(round(x(p)), round(y(cost))) for p, cost in line], number)

    def row_of(cost: float) -> int:
        return rows - 1 - round(y(cost)) // 4

    ticks = {row_of(tick): short_time(tick) for tick in y.ticks(most=rows // 3)}
    ends = {name: row_of(line[max(line)]) for name, line in costs.items() if line}
    text.append_text(canvas.framed(ticks, ends, names))
    text.append(_foot(points, x, columns, swept), style="dim")
    for flip in flips:
        text.append("\n" + " " * LEFT + flip, style="bold")
    return text


def _foot(points: Sequence[float], x: Log, columns: int, swept: str) -> str:
    line = [" "] * (LEFT + columns + 2 + len(swept))
    ends = (min(points), max(points))
    for point in dict.fromkeys((*ends, *points)):  # the ends are named first, the rest where room is left
        word = f"{point:,g}" if point < 10_000 else f"{point / 1000:,g}k"
        start = min(max(LEFT, LEFT + round(x(point)) // 2 - len(word) // 2), LEFT + columns - len(word))
        if not "".join(line[start - 1 : start + len(word) + 1]).strip() or point in ends:
            line[start : start + len(word)] = word
    return "".join(line).rstrip() + f"  {swept}"


@dataclasses.dataclass(frozen=True)
class Span:
    """A row of times in seconds: where most lie, the median, and what was told of it, if anything was."""

    name: str
    low: float
    median: float
    high: float
    told: float | None = None


def spans(rows: Sequence[Span], *, width: int) -> Text:
    """Return one line a row on one axis of seconds: ━ where most lie, ● the median, ○ what was told, ◉ both."""
    known = [at for row in rows for at in (row.low, row.high, row.told) if at is not None and at > 0]
    text = Text()
    if not known:
        return text
    left = max(len(row.name) for row in rows) + 2
    columns = max(20, width - left - 1)
    x = Log(
        10.0 ** math.floor(math.log10(min(known))), 10.0 ** math.ceil(math.log10(max(known)) + 1e-9), 0, columns - 1
    )
    ticks = [tick for tick in x.ticks(most=columns // 4) if abs(math.log10(tick) - round(math.log10(tick))) < 1e-6]
    grid = {round(x(tick)) for tick in ticks}
    for row in rows:
        cells = ["┊" if column in grid else " " for column in range(columns)]
        low, high = (round(x(max(end, x.low))) for end in (row.low, row.high))
        cells[low : high + 1] = "━" * (high - low + 1)
        median, told = round(x(max(row.median, x.low))), None if row.told is None else round(x(row.told))
        if told is not None:
            cells[told] = "○"
        cells[median] = "◉" if told == median else "●"
        text.append(row.name.ljust(left)).append("".join(cells).rstrip() + "\n")
    foot = [" "] * (left + columns + 8)
    for tick in ticks:
        word = short_time(tick) if tick > 0.9e-9 else f"{tick * 1e9:g} ns"
        at = left + round(x(tick))
        if not "".join(foot[at - 1 : at + len(word)]).strip():
            foot[at : at + len(word)] = word
    return text.append("".join(foot).rstrip()).append(
        "\n" + " " * left + "● median here  ━ nine in ten  ○ told", style="dim"
    )
