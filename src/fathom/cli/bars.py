"""Bars on a terminal: lying ones below each other, parts of one length in several fillings, and small upright ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

__all__ = ["Bar", "Part", "bars", "parted", "upright"]

EIGHTHS = " ▏▎▍▌▋▊▉"
UPRIGHT = " ▁▂▃▄▅▆▇█"


class Bar(NamedTuple):
    """How long, between its name and what is said of it."""

    name: str
    value: float
    says: str
    style: str = "cyan"


class Part(NamedTuple):
    """A part of a bar: how much of it, filled with what."""

    value: float
    filling: str
    style: str


def bars(rows: Sequence[Bar], *, width: int, most: float | None = None) -> Text:
    """Return bars below each other, as long as their values beside the `most`."""
    names, said = max(len(row.name) for row in rows), max(len(row.says) for row in rows)
    cells = max(8, width - names - said - 4)
    most = max(row.value for row in rows) if most is None else most
    lines: list[Text] = []
    for row in rows:
        eighths = round(8 * cells * min(1.0, row.value / most)) if most else 0
        filled = "█" * (eighths // 8) + EIGHTHS[eighths % 8] * (eighths % 8 > 0)
        line = Text(f"{row.name.ljust(names)}  ").append(filled.ljust(cells), style=row.style)
        lines.append(line.append(f"  {row.says.rjust(said)}"))
    return Text("\n").join(lines)


def parted(parts: Sequence[Part], cells: int, *, most: float | None = None) -> Text:
    """Return one bar of parts, `cells` long where they make up the `most`; what there is of any shows."""
    whole = sum(part.value for part in parts)
    most, text, told, before = whole if most is None else most, Text(), 0.0, 0
    for at, part in enumerate(parts):
        told += part.value
        end = round(cells * told / most) if most else 0
        end = min(end, cells - sum(later.value > 0 for later in parts[at + 1 :]))  # each of them has its own cell
        end = max(end, before + (part.value > 0 and before < cells))
        text.append(part.filling * (end - before), style=part.style)
        before = max(end, before)
    return text.append(" " * max(0, cells - before))


def upright(values: Sequence[float], *, most: float | None = None) -> str:
    """Return one character a value, as high as it is beside the `most`; what is above 0 shows.

    >>> upright([0, 0.1, 4, 8], most=8)
    ' ▁▄█'
    """
    most = max(values, default=0.0) if most is None else most
    heights = [min(8, max(value > 0, round(8 * value / most))) if most else 0 for value in values]
    return "".join(UPRIGHT[height] for height in heights)
