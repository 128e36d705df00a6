"""What rates make of a system whose demands were measured: how busy each resource is, and from where it queues.

The seam of the hold-out: a forecast is made for up to ten times the state and four times the rates that were measured,
then those are run, and the difference stands in the record. Beyond that it is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fathom.errors import FathomError
from fathom.lab.scale.laws import knee, residence_s, utilisation
from fathom.lab.stats import Interval

__all__ = ["RATES_MOST", "STATE_MOST", "Forecast", "forecast"]

STATE_MOST, RATES_MOST = 10.0, 4.0


@dataclass(frozen=True)
class Forecast:
    """What is said before it is measured."""

    utilisation: Mapping[str, Interval]  # resource → its busy share; above one nobody keeps up
    bottleneck: str
    knee: Interval  # by which factor these rates may grow until the bottleneck gives most throughput per residence
    most: Interval  # … and until it is full: X_max = 1 / max D
    residence_s: float  # mean time in all resources of one operation of this mix, by M/M/m


def forecast(
    demands_s: Mapping[str, Mapping[str, Interval]],
    rates: Mapping[str, float],
    cores: Mapping[str, int],
    *,
    measured: Mapping[str, float],
    state: float = 1.0,
) -> Forecast:
    """Return what these rates make of it; `demands_s` is operation → resource → seconds, `measured` the rates then."""
    _refuse(rates, measured, state)
    resources = sorted({name for each in demands_s.values() for name in each})
    busy = {name: _busy(demands_s, rates, name, cores.get(name, 1)) for name in resources}
    first = max(busy, key=lambda name: busy[name].value)
    count, full = cores.get(first, 1), busy[first]
    whole = sum(rates.values())
    mean = {name: busy[name].value * cores.get(name, 1) / whole for name in resources}
    return Forecast(
        busy,
        first,
        _over(knee(count), full),
        _over(1.0, full),
        sum(residence_s(whole, each, cores.get(name, 1)) for name, each in mean.items()),
    )


def _busy(
    demands_s: Mapping[str, Mapping[str, Interval]], rates: Mapping[str, float], resource: str, count: int
) -> Interval:
    ends = [
        utilisation(rates, {op: getattr(each[resource], end) for op, each in demands_s.items() if resource in each})
        for end in ("value", "low", "high")
    ]
    level = min(each[resource].level for each in demands_s.values() if resource in each)
    return Interval(ends[0], max(0.0, ends[1]), ends[2], level).scaled(1 / count)


def _over(top: float, busy: Interval) -> Interval:
    value, low, high = (top / end if end > 0 else math.inf for end in (busy.value, busy.high, busy.low))
    return Interval(value, low, high, busy.level)


def _refuse(rates: Mapping[str, float], measured: Mapping[str, float], state: float) -> None:
    if not 0 < state <= STATE_MOST:
        raise FathomError(
            f"nothing is foretold for {state:g} times the state that was measured",
            why=f"demands change with state (caches miss, trees grow); a forecast reaches {STATE_MOST:g} times as far",
            fix="measure with more state, or ask for less",
        )
    for op, rate in rates.items():
        known = measured.get(op, 0.0)
        if rate > RATES_MOST * known:
            raise FathomError(
                f"nothing is foretold for {rate:,.6g} {op}/s",
                why=f"it was measured at {known:,.6g}/s, and a forecast reaches {RATES_MOST:g} times as far",
                fix=f"measure {op} at a higher rate, or ask for at most {RATES_MOST * known:,.6g}/s",
            )
