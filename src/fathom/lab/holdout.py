"""Is it true what is foretold: ten times the data and four times the rates are foretold, then run.

The rates are such that four times as many leave the cores room, so that nobody has to foretell a queue. What is
foretold is written down, in the run's folder, before the first of its requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fathom.lab.bench import Bench
from fathom.lab.body import Bodies, Contender
from fathom.lab.capacity import full_at
from fathom.lab.findings.holdout import ALL, HELD_OUT, foretell, label
from fathom.lab.plan import HOLD_OUT_S, HOLD_OUTS, hold_out_s
from fathom.lab.runs import MIX
from fathom.lab.scale.forecast import RATES_MOST, STATE_MOST

__all__ = ["FULL", "hold_out", "rates_of"]

FULL = 0.6  # of the cores, at the highest of the rates
BASE = (0.5, 1.0)  # of the rates that are then exceeded: two, so that there is a line
FEW = 4  # of each operation, in a segment at the higher of them …
RARE = 2.0  # … if that is not more than so many times its share


def rates_of(load: Mapping[str, float], capacity: float) -> dict[str, float]:
    """Return the rates that a forecast is made from: four times as many would fill most of what there is.

    `capacity` is the multiple of the load at which the cores are full. A segment has an even number of each operation,
    so that what is run is what was foretold. Nothing where a rare operation would then be far more than its share.
    """
    share = min(1.0, FULL * capacity / RATES_MOST)
    rates = {op: max(FEW, 2 * round(rate * share * HOLD_OUT_S / 2)) / HOLD_OUT_S for op, rate in load.items()}
    return rates if all(rate <= RARE * share * load[op] for op, rate in rates.items()) else {}


async def hold_out(bench: Bench, bodies: Bodies, contenders: Mapping[str, Contender], point: Any) -> None:
    """Foretell and run, for each approach: more requests on the data that is there, then both on ten times as much."""
    for name, contender in contenders.items():
        if bench.left_s() < hold_out_s(bench.plan.dive):
            bench.tell("no time is left to hold a forecast against more data and higher rates")
            return
        assert bench.plan.load is not None
        rates = rates_of(bench.plan.load.rates, full_at(bench, name, point))
        if not rates:
            bench.tell(f"nothing is foretold of {name}: an operation is too rare to be asked in short segments")
            continue
        for faster in BASE:
            await _run(bench, contender, point, rates, times=1.0, faster=faster, fits=True)
        if not _foretell(bench, name, point):
            bench.tell(f"nothing could be foretold of {name}: no segment that it would be made from stands")
            continue
        await _run(bench, contender, point, rates, times=1.0, faster=RATES_MOST)
        if bench.plan.dive.grows():
            with bench.aside(f"{name} was not run on {STATE_MOST:g} times its data"):
                await _on_more(bench, bodies, name, point, rates)
        bench.tell(_said(bench, name))


async def _on_more(bench: Bench, bodies: Bodies, name: str, point: Any, rates: dict[str, float]) -> None:
    async with bench.brought_up(bodies, name, f"{name}-{STATE_MOST:g}x", times=int(STATE_MOST)) as large:
        await large.body.pause()
        for faster in (1.0, RATES_MOST):
            await _run(bench, large, point, rates, times=STATE_MOST, faster=faster)


def _foretell(bench: Bench, name: str, point: Any) -> bool:
    """Write down what is to be expected, before any of it is run."""
    cells = [(1.0, RATES_MOST), *([(STATE_MOST, 1.0), (STATE_MOST, RATES_MOST)] if bench.plan.dive.grows() else [])]
    for times, faster in cells:
        told = foretell(bench.raw, bench.segments, name, point, times=times, faster=faster)
        if told is None:
            return False
        bench.run.forecast(told)
        value, low, high = told.busy[ALL]
        bench.tell(f"foretold: {name} at {label(times, faster)} keeps {value:.2f} ({low:.2f} to {high:.2f}) cores busy")
    return True


async def _run(
    bench: Bench,
    contender: Contender,
    point: Any,
    base: Mapping[str, float],
    *,
    times: float,
    faster: float,
    fits: bool = False,
) -> None:
    rates = {op: rate * faster for op, rate in base.items()}
    for number in range(HOLD_OUTS):
        for again in range(2):  # a disturbed one is done again once
            async with bench.turn(contender):
                segment = await bench.measured(
                    contender,
                    HELD_OUT,
                    MIX,
                    point,
                    rates,
                    HOLD_OUT_S,
                    f"hold-out/{times:g}/{faster:g}/{number}",
                    times=times,
                    faster=faster,
                    fits=fits,
                )
            bench.write(segment)
            if segment.valid or again or bench.spare_s() < HOLD_OUT_S:
                break


def _said(bench: Bench, name: str) -> str:
    ran = [s for s in bench.segments if s.part == HELD_OUT and s.approach == name and s.valid]
    last = {label(s.times, s.faster): s.used_s() / s.lasts_s for s in ran if not s.fits}
    return f"measured: {name} " + ", ".join(f"{busy:.2f} cores at {cell}" for cell, busy in last.items())
