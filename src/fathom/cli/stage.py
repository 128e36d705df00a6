"""A dive while it runs: what it says, line by line, and on a terminal a picture below, of what it has found so far.

The picture is drawn between two measurements, when something was written down, and never by a clock of its own: a
thread that draws beside a load generator would be measured with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from fathom.cli import voice

if TYPE_CHECKING:
    from fathom.lab.plan import Plan
    from fathom.lab.runs import Segment

__all__ = ["Stage", "stage"]

ROWS, COLUMNS_MAX, SMALL = 16, 100, (24, 60)  # of the picture; a terminal with fewer rows or columns gets none


class Stage(Protocol):
    """Where a dive is told as it goes."""

    def note(self, line: str) -> None: ...
    def seen(self, segment: Segment) -> None: ...


class _Lines:
    """Lines alone: for files, pipes, and terminals that can do no more."""

    def note(self, line: str) -> None:
        voice.note(line)

    def seen(self, segment: Segment) -> None:
        """Nothing is drawn here."""


class _Picture:
    """Lines above, and below them what an average operation costs in each approach, as far as it is known."""

    def __init__(self, plan: Plan, update: Callable[[object], None], say: Callable[[str], None]) -> None:
        self._plan, self._update, self._say = plan.raw(), update, say
        self._segments: list[Segment] = []
        self._costs: dict[str, dict[float, float]] = {}
        self._update(self.drawn())  # the question stands there from the beginning

    def note(self, line: str) -> None:
        self._say(voice.timed(line))

    def seen(self, segment: Segment) -> None:
        """Draw anew when the cost of one more approach at one more value is known."""
        from fathom.lab.findings import cost_at
        from fathom.lab.findings.census import COUNTED

        point = segment.point
        self._segments.append(segment)
        if segment.part not in COUNTED or isinstance(point, str):
            return
        cost = cost_at(self._plan, self._segments, segment.approach, point)
        if cost is not None:
            self._costs.setdefault(segment.approach, {})[point] = cost.total.value
            self._update(self.drawn())

    def drawn(self) -> object:
        from fathom.cli.chart import chart
        from fathom.lab import figures
        from fathom.lab.findings.crossings import changes

        plan = self._plan
        flips = sorted(changes(plan, self._segments), key=lambda crossing: crossing.at)
        visited = sorted({p for line in self._costs.values() for p in line})
        points = dict.fromkeys((*plan.swept.values, *visited))
        return chart(
            self._costs,
            list(points),  # pyright: ignore[reportArgumentType]
            plan.names,
            width=min(COLUMNS_MAX, voice.terminal()[1]),
            height=ROWS,
            swept=plan.swept.name,
            title=f"{plan.question}\nCPU of an average operation ({figures.listed(plan.ops)}), logarithmic",
            flips=[
                f"flips near {figures.count(float(f'{each.at:.2g}'))} {plan.swept.name}: {each.below} → {each.above}"
                for each in flips
            ],
        )


@contextmanager
def stage(plan: Plan) -> Iterator[Stage]:
    """Show a dive: with a picture where a person's terminal has room for one."""
    if not _drawable(plan):
        yield _Lines()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    with Live(console=console, auto_refresh=False) as live:
        yield _Picture(
            plan,
            lambda picture: live.update(picture, refresh=True),  # pyright: ignore[reportArgumentType]
            lambda line: live.console.print(line, markup=False, soft_wrap=True),
        )


def _drawable(plan: Plan) -> bool:
    rows, columns = voice.terminal()
    values = [point for point in plan.points if isinstance(point, (int, float)) and point > 0]
    dumb = os.environ.get("TERM", "dumb") == "dumb"
    return (
        sys.stderr.isatty()
        and not dumb
        and rows >= SMALL[0]
        and columns >= SMALL[1]
        and len(values) == len(plan.points) > 1
    )
