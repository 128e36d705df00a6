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
LABELS = 3  # lines of labels above each other, so that neighbours can be read; the list below the strip has all
LETTER_PX, GAP_PX = 6.5, 4


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
    """Return a line for each mark that is still on the strip, and a label for those that have room, as SVG."""
    found: list[str] = []
    free_px = [float(WIDTH + GAP_PX)] * LABELS  # where each line of labels is taken from: the newest come first
    for mark in sorted((mark for mark in all_marks if mark.at_s >= now_s - SECONDS), key=lambda mark: -mark.at_s):
        x, wide = _x(mark.at_s, now_s), LETTER_PX * len(mark.what) + 2 * GAP_PX
        left = x - wide if x > WIDTH * 0.8 else x
        line = next((n for n, free in enumerate(free_px) if left + wide <= free), None)
        label = ""
        if line is not None:
            free_px[line] = left
            at = f'x="{left + GAP_PX:.1f}" y="{LABEL_PX * (1 + line)}" textLength="{wide - 2 * GAP_PX:.0f}"'
            label = f"<text {at}>{escape(mark.what)}</text>"
        y = LABEL_PX * (LABELS if line is None else 1 + line) - 10
        found.append(
            f'<g class="mark {escape(mark.kind)}"><line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{BASE}"/>{label}</g>'
        )
    return "".join(reversed(found))


def _x(at_s: float, now_s: float) -> float:
    return WIDTH * (1 - (now_s - at_s) / SECONDS)
