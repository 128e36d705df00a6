"""What becomes of calls to a quick dependency while another one, beside it, has become slow?"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from fathom.blocks.bulkhead import Bulkhead, Entry
from fathom.cli.drawing import Drawing, table, turned
from fathom.cli.plot import Line, plot

LASTS_S, SLOW_S, WELL_S = 60.0, 15.0, 40.0  # one of the two is slow from the second until just before the third
CELLS = 60


class Pools(Drawing):
    """The same calls to two dependencies, through one pool, and through two that are half as large."""

    places: int = turned(20, "calls under way at once; half of them where each has its own", least=2, most=1_000)
    queue: int = turned(20, "calls that wait; half of them where each has its own", least=0, most=10_000)
    wait_s: float = turned(1.0, "seconds that one waits before it is given up", least=0.01, most=60)
    per_s: float = turned(100.0, "calls a second, half of them to each", least=1, most=1_000)
    takes_ms: float = turned(20.0, "milliseconds that a call takes", least=1, most=1_000)
    slow_s: float = turned(5.0, "seconds that it takes to the slow one while that is slow", least=0.01, most=60)

    def measure(self, dice: random.Random) -> dict[str, Any]:
        calls, now_s = list[tuple[float, str, float]](), 0.0
        while (now_s := now_s + dice.expovariate(self.per_s)) < LASTS_S:
            kind = dice.choice(("quick", "slow"))
            slow = kind == "slow" and SLOW_S <= now_s < WELL_S
            calls.append((now_s, kind, self.slow_s if slow else dice.expovariate(1_000 / self.takes_ms)))

        def pool(share: int) -> Bulkhead:
            return Bulkhead(max(1, self.places // share), queue_max=self.queue // share, wait_s_max=self.wait_s)

        shared = pool(1)
        return {
            "lasts_s": LASTS_S,
            "slow_s": [SLOW_S, WELL_S],
            "quick_calls": sum(kind == "quick" for _, kind, _ in calls),
            "pools": {
                "one pool": _called(calls, {"quick": shared, "slow": shared}),
                "a pool each": _called(calls, {"quick": pool(2), "slow": pool(2)}),
            },
        }

    def draw(self, found: Mapping[str, Any], width: int) -> Iterator[Text | str]:
        cell_s = LASTS_S / CELLS
        yield plot(
            [
                Line(name, [((at + 0.5) * cell_s, count / cell_s) for at, count in enumerate(each["quick_by_cell"])])
                for name, each in found["pools"].items()
            ],
            width=width,
            height=15,
            title=f"quick calls answered a second; the other one is slow from {SLOW_S:g} to {WELL_S:g} s",
            x="s",
        )
        rows = [["quick calls", "answered", "refused", "gave up", "longest wait", "slow answered"]]
        for name, each in found["pools"].items():
            quick, slow = each["quick"], each["slow"]
            rows.append(
                [
                    name,
                    f"{quick['answered']:,} of {found['quick_calls']:,}",
                    f"{quick['refused']:,}",
                    f"{quick['gave_up']:,}",
                    f"{quick['wait_s_max']:.2f} s",
                    f"{slow['answered']:,}",
                ]
            )
        yield table(rows)


def _called(calls: list[tuple[float, str, float]], pools: Mapping[str, Bulkhead]) -> dict[str, Any]:
    told: dict[str, dict[str, Any]] = {
        kind: {"answered": 0, "refused": 0, "gave_up": 0, "wait_s_max": 0.0} for kind in ("quick", "slow")
    }
    by_cell = [0] * CELLS
    ending: list[tuple[float, int]] = []

    def begin(number: int, now_s: float) -> None:
        came_s, kind, takes_s = calls[number]
        told[kind]["wait_s_max"] = max(told[kind]["wait_s_max"], now_s - came_s)
        heapq.heappush(ending, (now_s + takes_s, number))

    def end_until(now_s: float) -> None:
        while ending and ending[0][0] <= now_s:
            end_s, number = heapq.heappop(ending)
            kind = calls[number][1]
            told[kind]["answered"] += 1
            if kind == "quick" and end_s < LASTS_S:
                by_cell[int(end_s / LASTS_S * CELLS)] += 1
            for following in pools[kind].leave(number, end_s):
                begin(int(str(following)), end_s)

    for number, (now_s, kind, _) in enumerate(calls):
        end_until(now_s)
        entry = pools[kind].enter(number, now_s)
        told[kind]["refused"] += entry is Entry.REFUSED
        if entry is Entry.IN:
            begin(number, now_s)
    end_until(float("inf"))
    for pool in {id(pool): pool for pool in pools.values()}.values():
        for late in pool.overdue(float("inf")):
            told[calls[int(str(late))][1]]["gave_up"] += 1
    return {**told, "quick_by_cell": by_cell}
