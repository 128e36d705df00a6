"""Small drawings as SVG text: scales with round ticks, labels that keep out of each other's way, nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = ["Drawing", "Linear", "Log", "apart", "short_time"]


@dataclass(frozen=True)
class Log:
    """A logarithmic scale from values to places; ticks at powers of ten, and between them as far as there is room."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
            found = [s * 10.0**p for p in range(first, last + 1) for s in steps]
            found = [v for v in found if self.low * 0.999 <= v <= self.high * 1.001]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]


@dataclass(frozen=True)
class Linear:
    """A straight scale from values to places, ticks at 1, 2 or 5 times a power of ten."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int = 8) -> list[float]:
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move places (of labels) as little as needed so that neighbours are `gap` apart, between low and high."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = [min(max(places[i], low), high) for i in order]
    for _ in range(50):
        for at in range(1, len(moved)):
            short = gap - (moved[at] - moved[at - 1])
            if short > 0:
                moved[at - 1] -= short / 2
                moved[at] += short / 2
        moved = [min(max(place, low), high) for place in moved]
    result = [0.0] * len(places)
    for at, i in enumerate(order):
        result[i] = moved[at]
    return result


def short_time(seconds: float) -> str:
    """Write a time at an axis: `250 µs`, `5 ms`, `2 s`."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if seconds >= scale * 0.999:
            return f"{seconds / scale:g} {unit}"
    return "0"


@dataclass
class Drawing:
    """An SVG under construction. Colours come from the page's CSS, by class, so that it is dark when the page is."""

    width: float
    height: float
    says: str
    parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str, finding: str = "") -> None:
        self._add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"', finding)

    def path(self, points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> None:
        if points:
            d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
            self._add(f'<path d="{d}" class="{kind}"')

    def rect(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        if width > 0 and height > 0:
            self._add(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" class="{kind}"')

    def circle(self, x: float, y: float, r: float, kind: str, finding: str = "") -> None:
        self._add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" class="{kind}"', finding)

    def mark(self, shape: int, x: float, y: float, r: float, kind: str, finding: str = "") -> None:
        """A marker whose shape tells the series apart where colours do not."""
        if shape % 4 == 0:
            self.circle(x, y, r, kind, finding)
            return
        shapes = {
            1: [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            2: [(0, -1.2), (1.1, 0.8), (-1.1, 0.8)],
            3: [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
        }
        points = " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in shapes[shape % 4])
        self._add(f'<polygon points="{points}" class="{kind}"', finding)

    def text(self, x: float, y: float, words: str, kind: str = "", *, anchor: str = "start", finding: str = "") -> None:
        at = f' text-anchor="{anchor}"' if anchor != "start" else ""
        shown = f' data-finding="{escape(finding)}"' if finding else ""
        cls = f' class="{kind}"' if kind else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{at}{cls}{shown}>{escape(words, quote=False)}</text>')

    def done(self, kind: str) -> str:
        size = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        return (
            f'<svg class="{kind}" {size} role="img" aria-label="{escape(self.says)}" '
            f'xmlns="http://www.w3.org/2000/svg">' + "".join(self.parts) + "</svg>"
        )

    def _add(self, start: str, finding: str = "") -> None:
        shown = f' data-finding="{escape(finding)}"' if finding else ""
        self.parts.append(f"{start}{shown}/>")
