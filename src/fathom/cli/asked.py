"""A figure that a measurement settles: what is claimed of a time, where it was measured last, and the verdict."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

import msgspec

from fathom.blocks.quantities import quantity
from fathom.errors import FathomError
from fathom.lab.figures import duration
from fathom.lab.latency.measured import sessions
from fathom.lab.runs import every

__all__ = ["Asked", "Took", "Verdict", "last_measured"]

Verdict = Literal["holds", "wrong", "depends"]


class Asked(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A time that is claimed, and what measures it: a thing of `fathom latency`, or an operation in a dive's duel.

    `most`: it takes that long at most. `about`: it takes that long, give or take `factor`. Of a dive: `timeline
    celebrity`, an approach, and which quantile of which operation (`home.p99`).
    """

    says: str
    thing: str = ""
    dive: str = ""
    approach: str = ""
    measure: str = ""
    most: str = ""
    about: str = ""
    factor: float = 2.0
    because: str = ""

    @property
    def topic(self) -> str:
        return "latency" if self.thing else self.dive.partition(" ")[0]

    @property
    def command(self) -> str:
        return f"fathom latency --only {self.thing}" if self.thing else f"fathom dive {self.dive}"

    @property
    def claimed(self) -> str:
        return f"at most {self.most}" if self.most else f"about {self.about}, give or take {self.factor:g}x"

    def judge(self, took: Took) -> Verdict:
        """Judge by the two ends of what was measured: both within what is claimed, neither near it, or one of them."""
        at = float(quantity(self.most or self.about).value)
        low, high = (0.0, at) if self.most else (at / self.factor, at * self.factor)
        if low <= took.low_s and took.high_s <= high:
            return "holds"
        return "wrong" if took.high_s < low or took.low_s > high else "depends"


@dataclasses.dataclass(frozen=True)
class Took:
    """What was measured, in seconds: a median and where nine in ten lie, or a quantile and its interval."""

    value_s: float
    low_s: float
    high_s: float
    n: int

    def __str__(self) -> str:
        return f"{duration(self.value_s)} ({duration(self.low_s)}–{duration(self.high_s)}, n {self.n:,})"


def last_measured(asked: Asked, runs: Path) -> Took | str:
    """Return what was measured of it last below `runs`; or why there is nothing."""
    return _thing(asked, runs) if asked.thing else _duel(asked, runs)


def _thing(asked: Asked, runs: Path) -> Took | str:
    why_not = ""
    for row in (row for session in sessions(runs) for row in session.rows if row.name == asked.thing):
        if row.p50_s is not None and row.p5_s is not None and row.p95_s is not None:
            return Took(row.p50_s, row.p5_s, row.p95_s, row.n)
        why_not = why_not or row.why_not or ""
    return why_not or "nobody has measured it here"


def _duel(asked: Asked, runs: Path) -> Took | str:
    op, _, measure = asked.measure.partition(".")
    under = runs.joinpath(*asked.dive.split())
    for run in every(under) if under.is_dir() else ():
        if run.manifest.state != "complete":
            continue
        try:
            found = run.findings
        except FathomError:  # a folder that somebody cut short
            continue
        for each in found:
            mine = each.part == "duel" and each.unit == "s" and not each.void and not each.detail.get("twin")
            if (
                mine
                and (each.approach, each.op, each.measure) == (asked.approach, op, measure)
                and each.value is not None
            ):
                low = each.value if each.low is None else each.low
                return Took(each.value, low, float("inf") if each.high is None else each.high, each.n)
    return "no dive has measured it here"
