"""Requests that come quietly, at once, and for a while too many; and what each rate limiter lets in of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.text import Text

from fathom.blocks.fixed_window import FixedWindow
from fathom.blocks.leaky_bucket import LeakyBucket
from fathom.blocks.rates import Rate, RateLimit, most_within
from fathom.blocks.sliding_counter import SlidingCounter
from fathom.blocks.sliding_log import SlidingLog
from fathom.blocks.token_bucket import TokenBucket
from fathom.cli.bars import upright
from fathom.cli.drawing import Drawing, table, turned
from fathom.cli.plot import Line, plot

LIMITERS: dict[str, Callable[[Rate], RateLimit]] = {
    "fixed-window": FixedWindow,
    "sliding-log": SlidingLog,
    "sliding-counter": SlidingCounter,
    "token-bucket": TokenBucket,
    "leaky-bucket": LeakyBucket,
}
CELLS = 60  # the time that is shown, in so many


class Offered(Drawing):
    """The same requests to all five. `of`: the one that is drawn large."""

    of = ""
    per_s: float = turned(10.0, "requests that are let in a second, in the long run", least=0.1, most=1_000)
    burst: int = turned(50, "requests that may come at once", least=1, most=10_000)
    load: float = turned(2.0, "how many times the rate is offered while there is too much", least=0.1, most=20)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        rate = Rate(self.per_s, self.burst)
        window_s = rate.window_s
        arrivals_s = self._arrivals(dice, window_s)
        lasts_s = 6 * window_s
        found = {name: _asked(limiter(rate), arrivals_s, window_s, lasts_s) for name, limiter in LIMITERS.items()}
        return {
            "window_s": window_s,
            "lasts_s": lasts_s,
            "offered": len(arrivals_s),
            "offered_by_cell": _by_cell(arrivals_s, lasts_s),
            "limiters": found,
        }

    def _arrivals(self, dice: random.Random, window_s: float) -> list[float]:
        """Half the rate; a burst before and after a boundary of windows; too many for two windows; half the rate."""
        found = [window_s * (2 + (number / self.burst - 1) / 50) for number in range(2 * self.burst)]
        for begin, end, share in ((0, 3, 0.5), (3, 5, self.load), (5, 6, 0.5)):
            now_s = begin * window_s
            while (now_s := now_s + dice.expovariate(self.per_s * share)) < end * window_s:
                found.append(now_s)
        return sorted(found)

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        cell_s = found["lasts_s"] / CELLS

        def line(name: str, counts: list[int]) -> Line:
            return Line(name, [((at + 0.5) * cell_s, count / cell_s) for at, count in enumerate(counts)])

        if self.of:
            mine = found["limiters"][self.of]
            lines = [line("offered", found["offered_by_cell"]), line("let in", mine["let_in_by_cell"])]
            if mine["wait_s_max"]:
                lines.append(line("goes on", mine["goes_on_by_cell"]))
            yield plot(
                lines,
                width=width,
                height=16,
                title=f"requests a second: {self.per_s:g} are the rate, {self.burst} may come at once",
                x="s",
            )
        else:
            yield self._small(found, cell_s)
        window = f"in {found['window_s']:g} s"
        rows = [["", "let in", "refused", f"most {window}", f"in {found['window_s'] / 10:g} s", "waits up to", "kept"]]
        for name, each in found["limiters"].items():
            rows.append(
                [
                    f"{name} ←" if name == self.of else name,
                    f"{each['let_in']:,}",
                    f"{found['offered'] - each['let_in']:,}",
                    f"{each['most_in_window']:,}",
                    f"{each['most_in_tenth']:,}",
                    f"{each['wait_s_max']:.3g} s" if each["wait_s_max"] else "–",
                    f"{each['kept']:,}",
                ]
            )
        yield table(rows)
        window_s = found["window_s"]
        yield (
            f"Of {found['offered']:,}, those that are refused go away. A window is {window_s:g} s: one burst ends the"
            f" second, another begins the third, at {2 * window_s:g} s. From {3 * window_s:g} to {5 * window_s:g} s"
            f" {self.load:g} times the rate is offered. Kept: the most numbers that had to be kept of this caller."
        )

    def _small(self, found: Mapping[str, Any], cell_s: float) -> Text:
        """Return all five below each other. What is far above the rate looks alike, so that the rate is seen."""
        most = 8 / 3 * self.per_s * cell_s
        rows = [("offered", found["offered_by_cell"], "dim")]
        rows += [(name, each["let_in_by_cell"], "cyan") for name, each in found["limiters"].items()]
        rows.append(("… goes on", found["limiters"]["leaky-bucket"]["goes_on_by_cell"], "magenta"))
        wide = max(len(name) for name, _, _ in rows)
        lines = [
            Text(f"{name.ljust(wide)}  ").append(upright(counts, most=most), style) for name, counts, style in rows
        ]
        title = f"let in of the same requests over {found['lasts_s']:g} s; the rate is as high as ▃"
        return Text("\n").join([Text(title, style="bold"), *lines])


def _asked(limit: RateLimit, arrivals_s: list[float], window_s: float, lasts_s: float) -> dict[str, Any]:
    let_in, goes_on, kept = list[float](), list[float](), 0
    for now_s in arrivals_s:
        taken = limit.take(now_s)
        kept = max(kept, limit.kept)
        if taken.ok:
            let_in.append(now_s)
            goes_on.append(now_s + taken.wait_s)
    return {
        "let_in": len(let_in),
        "most_in_window": most_within(let_in, window_s),
        "most_in_tenth": most_within(let_in, window_s / 10),
        "wait_s_max": max((after - now for now, after in zip(let_in, goes_on, strict=True)), default=0.0),
        "kept": kept,
        "let_in_by_cell": _by_cell(let_in, lasts_s),
        "goes_on_by_cell": _by_cell(goes_on, lasts_s),
    }


def _by_cell(times_s: list[float], lasts_s: float) -> list[int]:
    found = [0] * CELLS
    for at_s in times_s:
        cell = int(at_s / lasts_s * CELLS)
        if cell < CELLS:
            found[cell] += 1
    return found
