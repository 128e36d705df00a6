"""A case, computed: every cell by draw, and whether it was assumed, derived or measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from fathom.blocks.quantities import Quantity, Unit, UnitError, said, unit
from fathom.errors import FathomError
from fathom.lab.estimate.case import Case, Cell, no_cell
from fathom.lab.estimate.formula import Ask, Formula
from fathom.lab.estimate.telling import base_unit, told
from fathom.lab.scale.degrees import Array
from fathom.lab.scale.dice import Dice, Held, of_interval, scores
from fathom.lab.stats import Interval

__all__ = ["Measured", "Sheet", "State", "solve"]

State = Literal["assumed", "derived", "measured"]
NOTHING_HELD = Held(())


class Measured(Protocol):
    """What was measured of a system: by `op.measure`, an interval in base units, or None."""

    def get(self, what: str, /) -> Interval | None: ...


@dataclass
class Sheet:
    """Every cell by draw. Cells are computed when they are first asked for; a circle is told."""

    case: Case
    dice: Dice
    asks: Mapping[str, Ask] = field(default_factory=dict)
    measured: Mapping[str, Interval] | Measured = field(default_factory=dict)
    times: float | Array = 1.0  # of the cell that grows
    _found: dict[str, Quantity] = field(default_factory=dict)
    _path: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Quantity:
        if name not in self._found:
            self._found[name] = self._compute(name)
        return self._found[name]

    def evaluate(self, text: str) -> Quantity:
        """Return what a formula on the cells of this sheet comes to."""
        return Formula(text).value(self.__getitem__, self.asks)

    def state(self, name: str) -> State:
        """Return how a cell came by its value."""
        cell = self.case.cell(name)
        if cell.derive is not None:
            return "derived"
        return "measured" if self._interval(cell) is not None else "assumed"

    def told_in(self, name: str) -> Unit:
        """Return the unit in which a cell is told: its own, or its base units."""
        cell, found = self.case.cell(name), self[name]
        if cell.unit_of is not None:
            return cell.unit_of
        written = cell.amount
        return unit(base_unit(written.low if written else found))

    def middle(self, name: str) -> float:
        """Return the first draw in the unit that the cell is told in: of a sheet that nothing moves, its value."""
        return float(np.ravel(self[name].value)[0]) / self.told_in(name).scale

    def told(self, name: str) -> str:
        """Write the first draw of a cell as a person reads it."""
        return told(self[name], self.told_in(name))

    def _interval(self, cell: Cell) -> Interval | None:
        return None if cell.measure is None or cell.set else self.measured.get(cell.measure)

    def _compute(self, name: str) -> Quantity:
        cell = self.case.cells.get(name)
        if cell is None:
            asking = self._path[-1] if self._path else ""
            error = no_cell(name, self.case.cells, self.case.name)
            raise FathomError(
                f"{error.what}, which '{asking}' asks for" if asking else error.what, why=error.why, fix=error.fix
            )
        if name in self._path:
            around = [*self._path[self._path.index(name) :], name]
            raise FathomError(
                f"the formulas of {' → '.join(around)} go in a circle",
                why="each of these cells waits for the next",
                fix=f"assume one of them: --set {name}=…",
            )
        self._path.append(name)
        try:
            found = self._value(cell)
        finally:
            self._path.pop()
        if name == self.case.grows:
            found = Quantity(found.value * self.times, found.powers, found.manners)
        return found

    def _value(self, cell: Cell) -> Quantity:
        if cell.formula is not None:
            found = cell.formula.value(self.__getitem__, self.asks)
            return found if cell.unit_of is None else _declared(cell, found, cell.unit_of)
        interval = self._interval(cell)
        if interval is not None and cell.amount is not None:
            drawn = of_interval(scores(self.dice.share(cell.name)), interval)
            return Quantity(drawn, cell.amount.low.powers, cell.amount.low.manners)
        assert cell.amount is not None
        if not cell.amount.is_open:
            low = cell.amount.low
            return Quantity(float(low.value), low.powers, low.manners)
        return cell.amount.at(self.dice.share(cell.name))


def _declared(cell: Cell, found: Quantity, told: Unit) -> Quantity:
    """Return what a formula came to in the manner that its cell declares; raise where it is of another kind."""
    try:
        return found.to(told)
    except UnitError as error:
        raise UnitError(
            f"'{cell.name}' is told in {told.text}, but its formula gives {said(found.powers)}",
            why=f"{cell.name} = {cell.derive}",
            fix=error.fix,
        ) from None


def solve(
    case: Case,
    settings: Mapping[str, str | float] | None = None,
    *,
    dice: Dice = NOTHING_HELD,
    asks: Mapping[str, Ask] | None = None,
    measured: Mapping[str, Interval] | Measured | None = None,
    times: float | Array = 1.0,
) -> Sheet:
    """Return a case with these settings, every cell computed. Without dice each assumption is in its middle."""
    sheet = Sheet(case.having(settings or {}), dice, asks or {}, measured or {}, times)
    for name in sheet.case.cells:
        _ = sheet[name]
    return sheet
