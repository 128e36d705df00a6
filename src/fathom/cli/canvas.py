"""A canvas of braille dots, two by four to a character, on which lines are drawn and named at their ends.

Where two lines meet in one character, the later one gives its colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from rich.text import Text

__all__ = ["COLOURS", "LEFT", "MARKS", "Canvas"]

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
MARKS = "●▲■◆▼★"
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille character, by row and column
LEFT = 9  # characters for the ticks of the upright axis


class Canvas:
    """Characters of dots, each with the number of the line that was drawn there last, and marks above them."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._dots: dict[tuple[int, int], int] = {}
        self._owner: dict[tuple[int, int], int] = {}
        self._marks: dict[tuple[int, int], int] = {}

    def line(self, points: Sequence[tuple[int, int]], number: int, *, marked: bool = True) -> None:
        """Draw from point to point, given in dots from the lower left, and mark each."""
        for (x, y), (next_x, next_y) in pairwise(points):
            steps = max(abs(next_x - x), abs(next_y - y), 1)
            for step in range(steps + 1):
                self._dot(round(x + (next_x - x) * step / steps), round(y + (next_y - y) * step / steps), number)
        for x, y in points if marked else ():
            self._marks[self._cell(x, y)] = number

    def _cell(self, x: int, y: int) -> tuple[int, int]:
        return self.rows - 1 - y // 4, x // 2

    def _dot(self, x: int, y: int, number: int) -> None:
        cell = self._cell(x, y)
        self._dots[cell] = self._dots.get(cell, 0) | DOTS[3 - y % 4][x % 2]
        self._owner[cell] = number

    def row(self, row: int) -> Text:
        """Return one row of characters, the uppermost first."""
        text = Text()
        for column in range(self.columns):
            cell = row, column
            if cell in self._marks:
                number = self._marks[cell]
                text.append(MARKS[number % len(MARKS)], style=COLOURS[number % len(COLOURS)])
            elif cell in self._dots:
                text.append(chr(0x2800 + self._dots[cell]), style=COLOURS[self._owner[cell] % len(COLOURS)])
            else:
                text.append(" ")
        return text

    def framed(self, ticks: Mapping[int, str], ends: Mapping[str, int], names: Sequence[str]) -> Text:
        """Return all rows on their two axes.

        `ticks` are the words beside the upright one, by row; `ends` says in which row each of the `names`, one a
        number, ends.
        """
        text, named = Text(), _labels(ends, self.rows)
        for row in range(self.rows):
            text.append(f"{ticks.get(row, ''):>{LEFT - 2}} ", style="dim")
            text.append("┤" if row in ticks else "│", style="dim")
            text.append_text(self.row(row))
            if row in named:
                number = names.index(named[row])
                text.append(f" {MARKS[number % len(MARKS)]} {named[row]}", style=COLOURS[number % len(COLOURS)])
            text.append("\n")
        return text.append(" " * (LEFT - 1) + "└" + "─" * self.columns + "\n", style="dim")


def _labels(wanted: Mapping[str, int], rows: int) -> dict[int, str]:
    """Return row → name: each as near to where its line ends as the others let it."""
    found: dict[int, str] = {}
    for name, row in sorted(wanted.items(), key=lambda item: item[1]):
        free = [r for r in range(rows) if r not in found]
        if free:
            found[min(free, key=lambda r: (abs(r - row), r))] = name
    return found
