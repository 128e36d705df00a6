"""The strip chart: the last two minutes of traffic, with a mark wherever something was done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from fathom.web.control import Mark, State

__all__ = ["HEIGHT", "SECONDS", "WIDTH", "Sample", "marks", "points", "top"]

SECONDS = 120.0
WIDTH, HEIGHT = 960, 200
BASE = 180  # the line of nothing
LABEL_PX = 14
LABELS = 3  # lines of labels above each other, so that neighbours can be read


class Sample(NamedTuple):
    """A look's figures: answered, failed and p99 of the operation that comes most often."""

    at_s: float
    answered: float
    failed: float
    p99_ms: float

    @classmethod
    def of(cls, state: State) -> Sample:
        busiest = max(state.flows, key=lambda flow: flow.per_s, default=None)
        return cls(
            state.at_s,
            sum(flow.per_s for flow in state.flows),
            sum(flow.failed_per_s for flow in state.flows),
            0.0 if busiest is None else busiest.p99_ms or 0.0,
        )


def top(values: Iterable[float]) -> float:
    """Return a round number that is above all of these: 1, 2 or 5 times a power of ten."""
    most, step = max([*values, 1e-9]), 1.0
    while step < most:
        step *= 10
    return next(step * part for part in (0.1, 0.2, 0.5, 1.0) if step * part >= most)


def points(samples: Sequence[Sample], field: str, most: float, now_s: float) -> str:
    """Return an SVG polyline's points: the newest at the right edge."""
    return " ".join(f"{_x(s.at_s, now_s):.1f},{BASE - (BASE - 50) * getattr(s, field) / most:.1f}" for s in samples)


def marks(all_marks: Sequence[Mark], now_s: float) -> str:
    """Return a line and a label for each mark that is still on the strip, as SVG."""
    found: list[str] = []
    shown = [mark for mark in all_marks if mark.at_s >= now_s - SECONDS]
    for number, mark in enumerate(shown):
        x = _x(mark.at_s, now_s)
        y = LABEL_PX * (1 + number % LABELS)
        anchor = "end" if x > WIDTH * 0.8 else "start"
        found.append(
            f'<g class="mark {escape(mark.kind)}"><line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 10}" y2="{BASE}"/>'
            f'<text x="{x + (4 if anchor == "start" else -4):.1f}" y="{y}" text-anchor="{anchor}">'
            f"{escape(mark.what)}</text></g>"
        )
    return "".join(found)


def _x(at_s: float, now_s: float) -> float:
    return WIDTH * (1 - (now_s - at_s) / SECONDS)
