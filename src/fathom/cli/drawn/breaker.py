"""When does it open before a dependency that fails, and when before one that is well?"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from fathom.blocks.breaker import Breaker, FailureCount, FailureShare, FailuresInARow, Permit, State, Trip
from fathom.cli.drawing import Drawing, table, turned

LASTS_S, SICK_S, WELL_S = 100.0, 30.0, 60.0  # it is sick from the second until just before the third
OK_S = 0.02  # what a call takes that succeeds
STRIP = {State.CLOSED: ("─", "green"), State.HALF_OPEN: ("▒", "yellow"), State.OPEN: ("█", "red")}


class Breakers(Drawing):
    """The same calls through three breakers: one goes by the share of failures, one by their number, one by rows."""

    per_s: float = turned(100.0, "calls a second", least=1, most=1_000)
    failing: float = turned(0.6, "share of the calls that fail while it is sick", least=0, most=1)
    errors: float = turned(0.004, "share of the calls that fail while it is well", least=0, most=1)
    timeout_s: float = turned(1.0, "seconds until a call has failed", least=0.001, most=30)
    share: float = turned(0.25, "share of failures in 10 s that opens the first", least=0.001, most=1)
    failures: int = turned(5, "failures in 10 s that open the second, and in a row the third", least=1, most=1_000)
    open_s: float = turned(10.0, "seconds until it is tried again", least=0.1, most=100)
    probes: int = turned(3, "calls that have to succeed then", least=1, most=100)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        calls, now_s = list[tuple[float, bool]](), 0.0
        while (now_s := now_s + dice.expovariate(self.per_s)) < LASTS_S:
            failing = self.failing if SICK_S <= now_s < WELL_S else self.errors
            calls.append((now_s, dice.random() >= failing))
        trips: dict[str, Trip] = {
            "share": FailureShare(self.share),
            "count": FailureCount(self.failures),
            "in a row": FailuresInARow(self.failures),
        }
        return {
            "lasts_s": LASTS_S,
            "sick_s": [SICK_S, WELL_S],
            "calls": len(calls),
            "would_fail": sum(not ok for _, ok in calls),
            "breakers": {name: self._through(trip, calls) for name, trip in trips.items()},
        }

    def _through(self, trip: Trip, calls: list[tuple[float, bool]]) -> dict[str, Any]:
        breaker = Breaker(trip, open_s=self.open_s, probes=self.probes, probe_s=2 * self.timeout_s + 1)
        ending: list[tuple[float, int, Permit, bool]] = []
        states: list[tuple[float, str]] = [(0.0, State.CLOSED.value)]
        passed = failed = at_once = needless = 0

        def look(now_s: float) -> None:
            state = breaker.state(now_s).value
            if state != states[-1][1]:
                states.append((round(now_s, 3), state))

        for number, (now_s, ok) in enumerate(calls):
            while ending and ending[0][0] <= now_s:
                end_s, _, permit, good = heapq.heappop(ending)
                breaker.tell(permit, end_s, ok=good)
                look(end_s)
            permit = breaker.ask(now_s)
            look(now_s)
            if permit is None:
                at_once += 1
                needless += ok
                continue
            passed += 1
            failed += not ok
            heapq.heappush(ending, (now_s + (OK_S if ok else self.timeout_s), number, permit, ok))
        opened = [at_s for at_s, state in states if state == State.OPEN.value]
        closed = [at_s for at_s, state in states[1:] if state == State.CLOSED.value and at_s >= WELL_S]
        sick = [at_s for at_s in opened if at_s >= SICK_S]
        return {
            "states": states,
            "passed": passed,
            "failed": failed,
            "at_once": at_once,
            "needless": needless,
            "opened_while_well": sum(not SICK_S <= at_s < WELL_S + self.timeout_s for at_s in opened),
            "opens_after_s": sick[0] - SICK_S if sick and sick[0] < WELL_S else None,
            "closes_after_s": closed[0] - WELL_S if closed else None,
        }

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        wide = max(len("dependency"), *map(len, found["breakers"]))
        cells = width - wide - 2
        lines = [Text().append("state over time: ", style="bold")]
        for state, (filling, style) in STRIP.items():
            lines[0].append(f"{filling} ", style=style).append(f"{state.value}   ")
        sick = Text("dependency".ljust(wide) + "  ")
        for cell in range(cells):
            ill = SICK_S <= (cell + 0.5) / cells * LASTS_S < WELL_S
            sick.append("▼" if ill else "·", style="red" if ill else "dim")
        lines.append(sick)
        for name, each in found["breakers"].items():
            line = Text(f"{name.ljust(wide)}  ")
            for state in _cells(each["states"], cells):
                line.append(STRIP[state][0], style=STRIP[state][1])
            lines.append(line)
        foot = [" "] * (wide + 2 + cells)
        for at_s in (0, 10, 20, 30, 40, 50, 60, 70, 80, 90):
            word = f"{at_s}" if at_s else "0 s"
            start = wide + 2 + round(at_s / LASTS_S * cells)
            foot[start : start + len(word)] = word
        lines.append(Text("".join(foot).rstrip(), style="dim"))
        yield Text("\n").join(lines)
        rows = [["opens by", "passed", "failed", "at once", "needlessly", "false alarms", "opens", "closes"]]
        for name, each in found["breakers"].items():
            rows.append(
                [
                    name,
                    f"{each['passed']:,}",
                    f"{each['failed']:,}",
                    f"{each['at_once']:,}",
                    f"{each['needless']:,}",
                    f"{each['opened_while_well']:,}",
                    "–" if each["opens_after_s"] is None else f"{each['opens_after_s']:.1f} s",
                    "–" if each["closes_after_s"] is None else f"{each['closes_after_s']:.1f} s",
                ]
            )
        yield table(rows)
        yield (
            f"Of {found['calls']:,} calls {found['would_fail']:,} would have failed without one. At once: failed"
            " without being called, needlessly if they would have succeeded. A false alarm opens it while the"
            " dependency is well. It opens so long after that fell sick, and closes so long after it was well again."
        )


def _cells(states: list[tuple[float, str]], cells: int) -> Iterator[State]:
    """Yield what is shown of each stretch: half-open if it was at all, else open if it was, else closed."""
    spans = [
        (at_s, states[at + 1][0] if at + 1 < len(states) else LASTS_S, State(state))
        for at, (at_s, state) in enumerate(states)
    ]
    for cell in range(cells):
        begin, end = cell / cells * LASTS_S, (cell + 1) / cells * LASTS_S
        here = {state for since, until, state in spans if since < end and until > begin}
        yield next(state for state in (State.HALF_OPEN, State.OPEN, State.CLOSED) if state in here)
