"""How long does one wait for a window, and how much of it is missing when it is told?"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from rich.text import Text

from fathom.blocks.windows import Pane, Session, Shape, Sliding, Span, Tumbling, Watermark, Windows
from fathom.cli.bars import Part, parted
from fathom.cli.drawing import Drawing, table, turned
from fathom.cli.plot import share

Panes = dict[Span, dict[str, Any]]

LASTS_MS, BUSY_MS, QUIET_MS = 60_000, 8_000, 6_000
LAGS_S = (0.0, 1.0, 2.0, 5.0, 10.0)
ROWS = 16


class EventTime(Drawing):
    """Events that come late, by the windows that they happened in, and the same for other lags of the watermark."""

    words: ClassVar[Mapping[str, Sequence[str]]] = {"shape": ("tumbling", "sliding", "session")}

    shape: str = turned("tumbling", "tumbling, sliding or session")
    size_s: float = turned(10.0, "seconds that a tumbling or sliding window has", least=0.1, most=60)
    every_s: float = turned(5.0, "seconds after which the next sliding window begins", least=0.1, most=60)
    gap_s: float = turned(3.0, "seconds without an event that end a session", least=0.1, most=60)
    lag_s: float = turned(2.0, "seconds that the watermark stays behind the latest event", least=0, most=60)
    lateness_s: float = turned(5.0, "seconds for which a window is kept after that", least=0, most=600)
    per_s: float = turned(20.0, "events a second, while there are any", least=0.1, most=500)
    delay_s: float = turned(0.8, "seconds that most events are underway, on average", least=0, most=30)
    stragglers: float = turned(0.05, "share of the events that take ten times as long", least=0, most=1)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        shape = self._shape()
        heard = sorted((at_ms + self._delay_ms(dice), at_ms) for at_ms in self._happened(dice))
        spans = _whole(shape, [at_ms for _, at_ms in heard])
        counts, panes = self._heard(shape, heard, self.lag_s)
        return {
            "events": len(heard),
            "windows": len(spans),
            **counts,
            "told": _told(panes, heard),
            "by_lag": [self._heard(shape, heard, lag_s)[0] for lag_s in sorted({*LAGS_S, self.lag_s})],
        }

    def _shape(self) -> Shape:
        size_ms = round(1_000 * self.size_s)
        if self.shape == "sliding":
            return Sliding(size_ms, every_ms=round(1_000 * self.every_s))
        return Session(round(1_000 * self.gap_s)) if self.shape == "session" else Tumbling(size_ms)

    def _happened(self, dice: random.Random) -> Iterator[int]:
        at_ms = 0.0
        while (at_ms := at_ms + dice.expovariate(self.per_s / 1_000)) < LASTS_MS:
            if at_ms % (BUSY_MS + QUIET_MS) < BUSY_MS:
                yield int(at_ms)

    def _delay_ms(self, dice: random.Random) -> int:
        times = 10 if dice.random() < self.stragglers else 1
        return int(dice.expovariate(1.0) * 1_000 * self.delay_s * times)

    def _heard(self, shape: Shape, heard: list[tuple[int, int]], lag_s: float) -> tuple[dict[str, Any], Panes]:
        """Return what is counted, and each window as it was told last, with how often it was told."""
        windows = Windows(shape, lateness_ms=round(1_000 * self.lateness_s))
        watermark = Watermark(round(1_000 * lag_s))
        found: Panes = {}
        held = 0

        def read(panes: list[Pane], now_ms: int) -> None:
            for pane in panes:
                was = [found.pop(span) for span in pane.replaces]
                found[pane.span] = {
                    "first": sum(each["first"] for each in was) if was else pane.events,
                    "events": pane.events,
                    "told": 1 + sum(each["told"] for each in was),
                    "waited_ms": min([each["waited_ms"] for each in was], default=now_ms - pane.span.end_ms),
                }

        now_ms = 0
        for now_ms, at_ms in heard:
            read(windows.add("", at_ms), now_ms)
            held = max(held, windows.held)
            read(windows.advance(watermark.seen(at_ms)), now_ms)
        read(windows.close(), now_ms)
        waits = [each["waited_ms"] for each in found.values() if each["waited_ms"] > 0]
        waited_s = sum(waits) / len(waits) / 1_000 if waits else 0.0
        return {"lag_s": lag_s, **windows.counts._asdict(), "waited_s": waited_s, "held": held}, found

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        told = found["told"]
        names = [f"{each['start_s']:.4g}–{each['end_s']:.4g} s" for each in told]
        said = [
            f"{each['first']:>4,} {each['events'] - each['first']:>4,} {each['missing']:>4,}  told {each['told']:>2}x"
            for each in told
        ]
        wide = max(map(len, names), default=0)
        cells = max(10, width - wide - max(map(len, said), default=0) - 4)
        most = max((each["events"] + each["missing"] for each in told), default=1)
        head = (
            Text().append("events by window:  ", style="bold").append("█", "green").append(" when it was first told   ")
        )
        head.append("▒", "yellow").append(" after that   ").append("░", "red").append(" too late for it")
        lines = [head]
        for at, each in enumerate(told[:ROWS]):
            parts = (
                Part(each["first"], "█", "green"),
                Part(each["events"] - each["first"], "▒", "yellow"),
                Part(each["missing"], "░", "red"),
            )
            line = Text(f"{names[at].rjust(wide)}  ").append_text(parted(parts, cells, most=most))
            lines.append(line.append(f"  {said[at]}"))
        if len(told) > ROWS:
            lines.append(Text(f"… and {len(told) - ROWS} more", style="dim"))
        yield Text("\n").join(lines)
        rows = [["the watermark's lag", "on time", "late", "dropped", "dropped of all", "told after", "held"]]
        for each in found["by_lag"]:
            rows.append(
                [
                    f"{each['lag_s']:g} s" + (" ←" if each["lag_s"] == self.lag_s else ""),
                    f"{each['on_time']:,}",
                    f"{each['late']:,}",
                    f"{each['dropped']:,}",
                    share(each["dropped"] / found["events"]) if found["events"] else "–",
                    f"{each['waited_s']:.1f} s",
                    f"{each['held']:,}",
                ]
            )
        yield table(rows)
        yield (
            "The longer the watermark lags, the less is late, and the longer one waits: told after is from a window's"
            " end to when it is first told, on average. Late is what still corrects a window, within"
            f" {self.lateness_s:g} s."
            " Held: the most windows at once. Events come for 8 s, then there are none for 6."
        )


def _told(panes: Panes, heard: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Return the windows in order, each with how many of its events are missing."""
    return [
        {
            "start_s": span.start_ms / 1_000,
            "end_s": span.end_ms / 1_000,
            "missing": sum(span.start_ms <= at_ms < span.end_ms for _, at_ms in heard) - each["events"],
            **each,
        }
        for span, each in sorted(panes.items())
    ]


def _whole(shape: Shape, times_ms: list[int]) -> set[Span]:
    """Return the windows of all events, as if none had been late."""
    windows = Windows(shape)
    for at_ms in sorted(times_ms):
        windows.add("", at_ms)
    return {pane.span for pane in windows.close()}
