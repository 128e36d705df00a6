"""What the record's pictures share: how wide they are, the part in which things are plotted, colours, end labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fathom.lab.record.facts import Facts
from fathom.lab.record.svg import Drawing, Linear, Log, apart

__all__ = ["LETTER", "LINE", "NARROW", "WIDE", "Frame", "colour", "end_labels", "padded", "series", "size"]

WIDE, NARROW = 680.0, 350.0
LINE = 15.0  # a line of text
LETTER = 6.9  # about how wide a letter is, bold and in a wide face


@dataclass(frozen=True)
class Frame:
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


def size(width: float) -> str:
    return "wide" if width == WIDE else "narrow"


def series(facts: Facts, name: str) -> int:
    return facts.plan.names.index(name)


def colour(facts: Facts, name: str) -> str:
    return f"s{series(facts, name) % 6}"


def padded(values: Iterable[float], by: float = 1.25) -> tuple[float, float]:
    found = [v for v in values if v > 0]
    return min(found) / by, max(found) * by


def end_labels(facts: Facts, drawing: Drawing, ends: list[tuple[str, float]], frame: Frame, left: float) -> None:
    """Name each line where it ends, as near to its end as the others let it."""
    places = apart([place for _, place in ends], LINE, frame.top + 4, frame.bottom - 4)
    for (name, _), place in zip(ends, places, strict=True):
        drawing.text(left, place + 4, name, f"label {colour(facts, name)}")
