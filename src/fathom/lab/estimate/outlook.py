"""How sure a sheet is, which assumption moves its answer most, and what breaks first when it grows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fathom.blocks.quantities import Unit, alike
from fathom.lab.estimate.case import Case, Limit
from fathom.lab.estimate.formula import FormulaError
from fathom.lab.estimate.sheet import Measured, Sheet, solve
from fathom.lab.scale.degrees import Array
from fathom.lab.scale.dice import HIGH, LOW, Thrown, ranged
from fathom.lab.stats import Interval

__all__ = ["DRAWS", "TIMES", "Breaks", "Outlook", "Swing", "outlook"]

DRAWS = 10_000
TIMES = (1, 2, 10)  # what breaks at so many times of what grows
FAR = 1_000.0  # times: what breaks later breaks of something else
STEPS = 2_401  # of the search for where something breaks, even on a logarithm: each 0.6 % more than the last
TENTH = 0.1  # by how much a value is turned that is said without a range
_NUDGE = 0.01  # to either side, for the answer's slope: less would meet single steps of what is rounded up to servers


@dataclass(frozen=True)
class Swing:
    """What the answer becomes when one assumption alone goes from its low to its high end."""

    name: str
    low: float  # the answer at the assumption's low end, base units
    high: float
    how: str  # "5 % to 95 %" of its range, or "± 10 %"
    elasticity: float | None  # per cent of the answer for one per cent of the assumption; None where it has no slope

    @property
    def width(self) -> float:
        return abs(self.high - self.low)


@dataclass(frozen=True)
class Breaks:
    """One limit: whether it holds at each of TIMES, and from how many times on its load is more than it bears."""

    name: str
    limit: Limit
    at: Mapping[int, Literal["holds", "may break", "breaks"]]
    from_times: float  # infinite where not within FAR; at most 1 where it is broken already, 0 where it is however few


@dataclass(frozen=True)
class Outlook:
    """A sheet in its middle, and how far everything may be off. Amounts are in base units."""

    sheet: Sheet
    seed: int
    draws: int
    spans: Mapping[str, Interval]  # cell → median, and the ends between which nine of ten draws lie
    swings: Mapping[str, list[Swing]]  # answer → by assumption, the widest first
    breaks: list[Breaks]  # the first to break first

    @property
    def case(self) -> Case:
        return self.sheet.case

    def is_open(self, name: str) -> bool:
        """Whether a cell may be another than it is in the middle."""
        return self.spans[name].high > self.spans[name].low

    def told_in(self, name: str) -> Unit:
        return self.sheet.told_in(name)


def outlook(
    case: Case,
    settings: Mapping[str, str | float] | None = None,
    *,
    seed: int = 7,
    draws: int = DRAWS,
    measured: Measured | None = None,
) -> Outlook:
    """Compute a case in its middle, by draws, with each assumption turned alone, and grown."""
    settings = settings or {}
    middle = solve(case, settings, measured=measured)
    drawn = solve(case, settings, dice=Thrown(seed, draws), measured=measured)
    spans = {name: _span(drawn[name].value) for name in drawn.case.cells}
    answers = middle.case.answers or tuple(middle.case.cells)[-1:]
    return Outlook(middle, seed, draws, spans, _swings(middle, answers), _breaks(middle, seed, draws))


def _span(values: Array | float) -> Interval:
    each = np.atleast_1d(np.asarray(values, dtype=float))
    return ranged(each, each, each)


# What moves the answer -----------------------------------------------------------------------------------------------


class _Turned:
    """Everything in its middle, but in two draws of each label: there it is at its low and at its high end."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.draws = names, 1 + 4 * len(names)

    def share(self, label: str, key: str = "") -> Array:
        shares = np.full(self.draws, 0.5)
        at = self.place(label)
        shares[at : at + 2] = LOW, HIGH
        return shares

    def place(self, name: str) -> int:
        return 1 + 4 * self.names.index(name)


def _swings(middle: Sheet, answers: tuple[str, ...]) -> dict[str, list[Swing]]:
    names = [name for name, cell in middle.case.cells.items() if cell.derive is None]
    dice = _Turned(names)
    how = {name: "± 10 %" if _is_certain(middle, name) else "5 % to 95 %" for name in names}
    factors: dict[str, Array] = {}
    for name in names:
        turned, at = np.ones(dice.draws), dice.place(name)
        turned[at + 2 : at + 4] = _turns(middle, name, _NUDGE)
        if how[name] == "± 10 %":
            turned[at : at + 2] = _turns(middle, name, TENTH)
        factors[name] = turned
    sheet = Sheet(middle.case, dice, middle.measured, factors, middle.prices)
    found: dict[str, list[Swing]] = {}
    for answer in answers:
        values = np.broadcast_to(np.asarray(sheet[answer].value, dtype=float), dice.draws)
        each = [_swing(name, how[name], values, factors[name], dice.place(name)) for name in names]
        found[answer] = sorted((s for s in each if s.width or s.elasticity), key=lambda s: -s.width)
    return found


def _is_certain(sheet: Sheet, name: str) -> bool:
    written = sheet.amount(name)
    return sheet.found(name) is None and written is not None and not written.is_open


def _turns(sheet: Sheet, name: str, by: float) -> tuple[float, float]:
    """Return the factors of so much less and more; of a share, of what is less, itself or its rest."""
    value = sheet.middle(name) * sheet.told_in(name).scale
    if sheet.told_in(name).text == "%" and 0 < value <= 1:
        by *= min(1.0, (1 - value) / value)
    return 1 - by, 1 + by


def _swing(name: str, how: str, values: Array, turned: Array, at: int) -> Swing:
    low, high, less, more = (float(v) for v in values[at : at + 4])
    step = float(np.log(turned[at + 3] / turned[at + 2]))
    slope = None
    if less > 0 < more and step:
        slope = math.log(more / less) / step
        slope = None if abs(slope) < 1e-9 else slope
    return Swing(name, low, high, how, slope)


# What breaks first ---------------------------------------------------------------------------------------------------


def _breaks(middle: Sheet, seed: int, draws: int) -> list[Breaks]:
    case = middle.case
    times = TIMES if case.grows else TIMES[:1]
    loads: dict[int, dict[str, Array]] = {}
    for many in times:
        loads[many] = _loads(Sheet(case, Thrown(seed, draws), middle.measured, _grown(case, many), middle.prices))
    grid, along = _along(middle) if case.grows else (np.ones(1), {})
    found = [
        Breaks(
            name,
            limit,
            {many: _verdict(loads[many][name]) for many in times},
            _first(along[name], grid) if along else math.inf,
        )
        for name, limit in case.limits.items()
    ]
    return sorted(found, key=lambda it: it.from_times)


def _along(middle: Sheet) -> tuple[Array, dict[str, Array]]:
    """Return so many times of what grows, and each limit's load at each of them, all else in its middle."""

    def upward(least: float) -> tuple[Array, dict[str, Array]]:
        grid = np.geomspace(least, FAR, STEPS)
        return grid, _loads(Sheet(middle.case, middle.dice, middle.measured, _grown(middle.case, grid), middle.prices))

    try:
        return upward(1 / FAR)
    except FormulaError:  # of almost nobody something may be nothing, and be divided by
        return upward(1.0)


def _grown(case: Case, times: float | Array) -> dict[str, float | Array]:
    return {case.grows: times} if case.grows else {}


def _loads(sheet: Sheet) -> dict[str, Array]:
    """By limit, its load over what it bears."""
    found: dict[str, Array] = {}
    for name, limit in sheet.case.limits.items():
        load, most = sheet.evaluate(limit.load), sheet.evaluate(limit.most)
        alike(load, most)
        bears = np.asarray(most.value, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(
                bears > 0, np.asarray(load.value) / bears, np.where(np.asarray(load.value) > 0, np.inf, 0.0)
            )
        found[name] = np.atleast_1d(ratio)
    return found


def _verdict(ratio: Array) -> Literal["holds", "may break", "breaks"]:
    low, high = (float(np.quantile(ratio, q, method="inverted_cdf")) for q in (LOW, HIGH))
    return "holds" if high <= 1 else "breaks" if low > 1 else "may break"


def _first(ratio: Array, grid: Array) -> float:
    """Return from how many times on it is too much: 0 where it is however few, infinite where it never is."""
    over = np.flatnonzero(np.broadcast_to(ratio, grid.shape) > 1)
    if not len(over):
        return math.inf
    return 0.0 if over[0] == 0 and grid[0] < 1 else float(grid[over[0]])
