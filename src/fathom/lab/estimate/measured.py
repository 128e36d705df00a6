"""What a sheet may take from the newest run of its system: demands, bytes, rates, each with its interval and command.

A cell asks `home.cpu_s` (CPU seconds of one), `home.cpu_s.cache` (of one process group), `home.bytes`, `home.commands`,
`home.p99`, `cache.bytes` (what an engine held), `home.capacity` (how many per second the measured machine bore). Of a
swept value it is the lowest one, unless one is said: `post.cpu_s@3000`. It is that of the default approach.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fathom.errors import FathomError
from fathom.lab.runs import Finding, Run, every
from fathom.lab.stats import Interval

__all__ = ["Found", "Measurements"]

_LEVEL = 0.9


@dataclass(frozen=True)
class Found:
    """One measured amount: `value`, `low` and `high` in base units, and where it comes from."""

    interval: Interval
    unit: str
    run: Path
    command: str
    over: str


class Measurements:
    """All runs of one system below a folder, the newest first."""

    def __init__(self, under: Path) -> None:
        self.under = under
        self._find = cache(self._look)

    def get(self, what: str) -> Found | None:
        """Return what was measured last of this, or None where no run has it."""
        return self._find(what)

    def _look(self, what: str) -> Found | None:
        if not self.under.is_dir():
            return None
        name, _, point = what.partition("@")
        for run in every(self.under):
            if run.manifest.state != "complete":
                continue
            try:
                found = _of_run(run, name, point)
            except FathomError:  # a folder that somebody cut short
                continue
            if found is not None:
                return found
        return None


def _of_run(run: Run, name: str, point: str) -> Found | None:
    operation, _, measure = name.partition(".")
    if measure == "capacity":
        return _capacity(run, operation)
    for kind in ("census", "state"):
        mine = [f for f in _valid(run) if f.id.startswith(f"{kind}/{run.plan.default}/")]
        mine = [f for f in mine if f.id.rpartition("/")[2] == name and (not point or str(f.point) == point)]
        if mine:
            first = min(mine, key=lambda f: f.point if isinstance(f.point, float | int) else 0.0)
            return _found(run, first, 1.0, {"s": "s", "bytes": "B"}.get(first.unit, "1"))
    return None


def _valid(run: Run) -> list[Finding]:
    """Return the findings that have a number which stands: an approach that broke a law has none."""
    return [f for f in run.findings if f.value is not None and not f.void]


def _capacity(run: Run, operation: str) -> Found | None:
    """How many of an operation a second, beside all others of the load, the machine of the run could bear."""
    rate = run.plan.load.rates.get(operation)
    mine = [f for f in _valid(run) if f.id == f"capacity/{run.plan.default}"]
    return _found(run, mine[0], rate, "1/s") if mine and rate else None


def _found(run: Run, finding: Finding, times: float, unit: str) -> Found:
    assert finding.value is not None
    low = finding.value if finding.low is None else finding.low
    high = finding.value if finding.high is None else finding.high
    level = float(finding.detail.get("level", _LEVEL))
    interval = Interval(finding.value * times, low * times, high * times, level)
    return Found(interval, unit, run.folder, run.plan.command, finding.over)
