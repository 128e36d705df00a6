"""A case, computed: every cell by draw, and whether it was assumed, derived or measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from fathom.blocks.quantities import Quantity, Unit, UnitError, said, unit
from fathom.errors import FathomError
from fathom.lab import prices
from fathom.lab.estimate.amount import Amount, amount
from fathom.lab.estimate.case import Case, Cell, no_cell
from fathom.lab.estimate.formula import Formula, FormulaError
from fathom.lab.estimate.measured import Found
from fathom.lab.estimate.rates import asks, range_of
from fathom.lab.estimate.telling import base_unit, told
from fathom.lab.prices import Prices
from fathom.lab.scale.degrees import Array
from fathom.lab.scale.dice import Dice, of_interval, scores

__all__ = ["Measured", "Sheet", "State", "solve"]

State = Literal["assumed", "derived", "measured"]


class Middle:
    """Everything is in its middle: one draw."""

    def share(self, label: str, key: str = "") -> Array:
        return np.full(1, 0.5)


class Measured(Protocol):
    """What was measured of a system: by `op.measure`, or None."""

    def get(self, what: str, /) -> Found | None: ...


@dataclass
class Sheet:
    """Every cell by draw. Cells are computed when they are first asked for; a circle is told.

    `factors` turn cells beside what they are: of the one that grows, of one assumption after the other.
    """

    case: Case
    dice: Dice = field(default_factory=Middle)
    measured: Measured | Mapping[str, Found] = field(default_factory=dict)
    factors: Mapping[str, float | Array] = field(default_factory=dict)
    prices: Callable[[], Prices] = prices.read
    _found: dict[str, Quantity] = field(default_factory=dict)
    _path: list[str] = field(default_factory=list)
    _book: Prices | None = None

    def __getitem__(self, name: str) -> Quantity:
        if name not in self._found:
            self._found[name] = self._compute(name)
        return self._found[name]

    def evaluate(self, text: str) -> Quantity:
        """Return what a formula on the cells of this sheet comes to."""
        return Formula(text).value(self.__getitem__, asks(self.book))

    def state(self, name: str) -> State:
        """Return how a cell came by its value."""
        cell = self.case.cell(name)
        if cell.derive is not None:
            return "derived"
        return "measured" if self.found(name) is not None else "assumed"

    def found(self, name: str) -> Found | None:
        """Return what was measured of a cell and stands in it; None where nothing was, or where it was set."""
        cell = self.case.cell(name)
        return None if cell.measure is None or cell.set else self.measured.get(cell.measure)

    def amount(self, name: str) -> Amount | None:
        """Return what is assumed of a cell, by its case, whoever set it, or the book of prices."""
        cell = self.case.cell(name)
        if cell.book is not None and not cell.set:
            said = range_of(self.book(), cell.book)
            return amount(f"{said.low}..{said.high}")
        return cell.amount

    def book(self) -> Prices:
        """Return the book of prices, read once."""
        if self._book is None:
            self._book = self.prices()
        return self._book

    def told_in(self, name: str) -> Unit:
        """Return the unit in which a cell is told: its own, or its base units."""
        cell, found = self.case.cell(name), self[name]
        if cell.unit_of is not None:
            return cell.unit_of
        written = None if cell.derive is not None else self.amount(name)
        return unit(base_unit(written.low if written else found))

    def middle(self, name: str) -> float:
        """Return the first draw in the unit that the cell is told in: of a sheet that nothing moves, its value."""
        return float(np.ravel(self[name].value)[0]) / self.told_in(name).scale

    def told(self, name: str) -> str:
        """Write the first draw of a cell as a person reads it."""
        return told(self[name], self.told_in(name))

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
        if not np.isfinite(found.value).all():
            raise FormulaError(
                f"the cell '{name}' has no value",
                why=f"{cell.derive} is beyond all numbers" if cell.derive else "it is beyond all numbers",
                fix=f"look at what goes into it: --formula {name}",
            )
        if name in self.factors:
            found = Quantity(found.value * self.factors[name], found.powers, found.manners)
        return found

    def _value(self, cell: Cell) -> Quantity:
        if cell.formula is not None:
            found = cell.formula.value(self.__getitem__, asks(self.book))
            return found if cell.unit_of is None else _declared(cell, found, cell.unit_of)
        written, found = self.amount(cell.name), self.found(cell.name)
        assert written is not None
        if found is not None:
            measured = unit(found.unit).of(1.0)
            if dict(measured.powers) != dict(written.low.powers):
                raise UnitError(
                    f"'{cell.name}' is {said(written.low.powers)}, and {cell.measure} was measured in {found.unit}",
                    why=f"{found.run} has it so",
                    fix="give the cell the unit of what is measured",
                )
            drawn = of_interval(scores(self.dice.share(cell.name)), found.interval)
            return Quantity(drawn, written.low.powers, written.low.manners)
        if not written.is_open:
            return Quantity(float(written.low.value), written.low.powers, written.low.manners)
        return written.at(self.dice.share(cell.name))


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
    dice: Dice | None = None,
    measured: Measured | None = None,
    factors: Mapping[str, float | Array] | None = None,
) -> Sheet:
    """Return a case with these settings, every cell computed. Without dice each assumption is in its middle."""
    sheet = Sheet(case.having(settings or {}), dice or Middle(), measured or {}, factors or {})
    for name in sheet.case.cells:
        _ = sheet[name]
    return sheet
