"""How many rows are green, grey and declined, guide by guide and heading by heading, and the bars that show it."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from fathom.cli import voice
from fathom.cli.rows import Report, Row

__all__ = ["Guide", "Heading", "Tally", "guides", "shown_by"]

CELLS = 12
_BAR = {"green": "█", "declined": "▒", "grey": "░"}
_COLOURS = {"green": "green", "declined": "yellow", "grey": "grey"}


@dataclasses.dataclass(frozen=True)
class Tally:
    """How many rows are in which state."""

    green: int
    grey: int
    declined: int

    @classmethod
    def of(cls, found: Iterable[Row], report: Report) -> Tally:
        counts = Counter(report.state(row) for row in found)
        return cls(counts["green"], counts["grey"], counts["declined"])

    @property
    def all(self) -> int:
        return self.green + self.grey + self.declined

    def bar(self, cells: int = CELLS) -> str:
        """Return a bar of so many cells; one green row shows, and one that is not green shows too."""
        green = _cells(self.green, self.all, cells)
        declined = min(_cells(self.declined, self.all, cells), cells - green)
        parts = {"green": green, "declined": declined, "grey": cells - green - declined}
        return "".join(voice.paint(_BAR[state] * n, _COLOURS[state]) for state, n in parts.items() if n)

    def as_json(self) -> dict[str, int]:
        return dataclasses.asdict(self)


def _cells(part: int, whole: int, cells: int) -> int:
    if not part or not whole:
        return 0
    return max(1, min(round(cells * part / whole), cells - (part < whole)))


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading of a guide, with the rows that stand under it."""

    title: str
    rows: Sequence[Row]

    def as_json(self, report: Report) -> dict[str, Any]:
        tally = Tally.of(self.rows, report).as_json()
        return {"heading": self.title, **tally, "rows": [row.id for row in self.rows]}


@dataclasses.dataclass(frozen=True)
class Guide:
    """A guide with its headings. A row that several headings have stands under the one that says it first."""

    title: str
    headings: Sequence[Heading]

    @property
    def rows(self) -> list[Row]:
        return [row for heading in self.headings for row in heading.rows]

    def as_json(self, report: Report) -> dict[str, Any]:
        tally = Tally.of(self.rows, report).as_json()
        return {"guide": self.title, **tally, "headings": [each.as_json(report) for each in self.headings]}


def guides(found: Iterable[Row]) -> list[Guide]:
    """Return the rows by guide and heading: guides by their titles, headings by name, `Topic 2` before `Topic 10`."""
    grouped: dict[str, dict[str, list[Row]]] = {}
    for row in found:
        grouped.setdefault(row.guide, {}).setdefault(row.heading, []).append(row)
    return [
        Guide(title, [Heading(name, rows) for name, rows in sorted(headings.items(), key=lambda it: _natural(it[0]))])
        for title, headings in sorted(grouped.items())
    ]


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part.lower()) for part in re.split(r"(\d+)", text) if part]


def shown_by(row: Row, report: Report) -> list[tuple[str, str]]:
    """Return the tests that show a row as (how they ended, which): a function once, however often it was run.

    >>> from fathom.cli.rows import Test
    >>> row = Row("X-1", "X", "", "", ("G › H",), "")
    >>> shown_by(row, Report("", "", {"X-1": (Test("t::a[1]", "passed"), Test("t::a[2]", "passed"))}))
    [('passed ×2', 't::a')]
    """
    functions: dict[str, Counter[str]] = {}
    for test in report.tests.get(row.id, ()):
        functions.setdefault(test.function, Counter())[test.outcome] += 1
    return [(", ".join(_times(*each) for each in ended.items()), name) for name, ended in functions.items()]


def _times(outcome: str, times: int) -> str:
    return outcome if times == 1 else f"{outcome} ×{times}"
