"""A formula of a sheet: arithmetic on cells and amounts, read by Python's grammar and never run as Python.

Beside names it knows amounts with units (`500 B`, `20/day`, `8 bit/B`, `100K`), `+ - * / // % **`, comparisons, `a if b
else c`, and a handful of functions. An amount binds as one, with all of its unit that has no space
within: `x / 8 bit/B` is x by eight bits a byte, `x / 8 bit / B` is x by eight bits, by a byte. Of an `if`, only what is
chosen must have a value.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from fathom.blocks.quantities import COUNTS, UNITS, Quantity, UnitError, alike, said, unit
from fathom.errors import FathomError, nearest

__all__ = ["FUNCTIONS", "Formula", "FormulaError"]

Resolve = Callable[[str], Quantity]
Ask = Callable[..., Quantity]


LONGEST = 2_000  # letters of a formula
DEEPEST = 150
HUGE = 1e300


class FormulaError(FathomError):
    """A formula that cannot be read or has no value."""


# A number, perhaps with K, M, B or T at once behind it, perhaps with a unit a space away: 100K, 500 B, 2.5M, 8 bit.
_AMOUNT = re.compile(
    r"(?<![\w.])(?P<number>\d[\d_]*\.?\d*(?:e[+-]?\d+)?)"
    r"(?P<count>[kKMBT](?!\w))?"
    r"(?: +(?P<unit>%(?!\s*[\w(])|[A-Za-zµ]+(?![\w(])))?"
    r"(?P<percent>%(?!\s*[\w(]))?"
    r"(?P<per>(?:/[A-Za-zµ]+(?![\w(]))*)"
)
_WORDS = {"if", "else", "and", "or", "not", "in"}


def _spelled(text: str) -> str:
    """Return the formula as Python's grammar can read it; what stands between quotes stays."""
    parts = re.split(r"(\"[^\"]*\"|'[^']*')", text)
    return "".join(part if at % 2 else _AMOUNT.sub(_amount, part) for at, part in enumerate(parts))


def _amount(found: re.Match[str]) -> str:
    number, letter, name = found["number"], found["count"], found["unit"]
    value = repr(float(number.replace("_", "")) * COUNTS[letter]) if letter else number
    if name in _WORDS:
        return f"{value} {name}{found['per']}"
    if found["percent"] or name == "%":
        value, name = repr(float(value) * 0.01), None
    if name is not None:
        unit(name)  # says what it may have meant
        value = f"{value} * {name}"
    below = found["per"].split("/")[1:]
    bound = list(itertools.takewhile(UNITS.__contains__, below))  # what comes behind is a cell that it is divided by
    amount = " / ".join([value, *bound])
    return "/".join([f"({amount})" if " " in amount else amount, *below[len(bound) :]])


class Formula:
    """One formula, read; `names` are the cells that it asks for, in its order."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        if len(self.text) > LONGEST:
            raise FormulaError(
                f"a formula has {len(self.text):,} letters",
                why=f"nobody reads more than {LONGEST:,} of them",
                fix="make cells of its parts",
            )
        try:
            self.tree = ast.parse(_spelled(self.text), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise FormulaError(
                f"the formula '{self.text}' cannot be read",
                why=f"{error.msg if isinstance(error, SyntaxError) else error or 'it is too deep'}",
                fix="write arithmetic on cells: users * posts_per_day * 500 B",
            ) from None
        if _depth(self.tree) > DEEPEST:
            raise FormulaError(
                "a formula is too deep",
                why=f"more than {DEEPEST} of its operations are within each other",
                fix="make cells of its parts",
            )
        for node in ast.walk(self.tree):
            if not isinstance(node, _KNOWN):
                raise self._no(node)
        found = sorted((node.col_offset, node.id) for node in ast.walk(self.tree) if isinstance(node, ast.Name))
        called = {n.func.id for n in ast.walk(self.tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        self.names = [name for name in dict.fromkeys(name for _, name in found) if name not in {*called, *UNITS}]

    @property
    def works_out(self) -> bool:
        """Whether it makes something of two values, or of one by a function.

        What only writes an amount with its unit, or holds one beside another, does not.
        """
        return any(
            _called(node) not in (None, "to") or (isinstance(node, ast.BinOp) and _values(node) > 1)
            for node in ast.walk(self.tree)
        )

    def value(self, resolve: Resolve, asks: Mapping[str, Ask] | None = None) -> Quantity:
        """Return what it comes to. `resolve` gives a cell; `asks` are further functions, whose arguments are texts."""
        return _Reading(self, resolve, asks or {}).of(self.tree)

    def _no(self, node: ast.AST) -> FormulaError:
        part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__.lower()
        return FormulaError(
            f"'{part}' has no place in the formula '{self.text}'",
            why="a formula is arithmetic: names of cells, amounts, + - * / // % **, comparisons, and functions",
            fix=f"functions are {', '.join(FUNCTIONS)}",
        )


def _called(node: ast.AST) -> str | None:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None


def _values(tree: ast.AST) -> int:
    """Return how many numbers and cells are in it; a unit is none."""
    leaves = [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.Name)]
    return sum(isinstance(leaf, ast.Constant) or leaf.id not in UNITS for leaf in leaves)


def _depth(tree: ast.AST) -> int:
    """Return how many nodes lie within each other; without recursion, since that is what it guards."""
    deepest, level = 0, [tree]
    while level:
        deepest, level = deepest + 1, [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


_KNOWN = (
    *(ast.Name, ast.Load, ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd),
    *(ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq),
)


@dataclass(frozen=True)
class _Reading:
    """One walk through a formula; `chosen` are the draws in which what is read now is asked for."""

    formula: Formula
    resolve: Resolve
    asks: Mapping[str, Ask]
    chosen: Any = True

    def of(self, node: ast.expr) -> Quantity:
        try:
            return self._of(node)
        except UnitError as error:
            if error.what.startswith("in "):
                raise
            part = ast.unparse(node).replace("'", '"')
            raise UnitError(f"in '{part}' {error.what}", why=error.why, fix=error.fix) from None

    def _of(self, node: ast.expr) -> Quantity:
        match node:
            case ast.Constant(value=bool() | str() | bytes() | None):
                raise self.formula._no(node)
            case ast.Constant(value=int() | float() as number):
                return Quantity(self.finite(float(number) if abs(number) < HUGE else math.inf))
            case ast.Name(id=name):
                return UNITS[name].of(1.0) if name in UNITS else self.resolve(name)
            case ast.UnaryOp(op=op, operand=inner):
                return -self.of(inner) if isinstance(op, ast.USub) else self.of(inner)
            case ast.BinOp():
                return self._binary(node)
            case ast.IfExp(test=test, body=body, orelse=other):
                first = np.asarray(self.of(test).value) != 0
                a, b = self._where(first).of(body), self._where(~first).of(other)
                manners = alike(a, b, "choose between", "and")
                return Quantity(np.where(first, a.value, b.value), a.powers or b.powers, manners)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                a, b = self.of(left), self.of(right)
                alike(a, b)
                return Quantity(np.where(_COMPARED[type(op)](a.value, b.value), 1.0, 0.0))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self._call(name, args)
            case _:
                raise self.formula._no(node)

    def _where(self, chosen: Any) -> _Reading:
        return dataclasses.replace(self, chosen=self.chosen & chosen)

    def valid(self, found: Any, good: Any, fault: Callable[[], FormulaError]) -> Any:
        """Return what is good; raise where it is not and is asked for. Where nobody asks for it stands a plain 1."""
        if np.all(good):
            return found
        if np.any(~good & self.chosen):
            raise fault()
        return np.where(good, found, 1.0)

    def finite(self, found: Any) -> Any:
        return self.valid(
            found,
            np.isfinite(found),
            lambda: FormulaError(
                f"'{self.formula.text}' has no value",
                why="it is the root or logarithm of something below zero, or too large for any number",
                fix="look at what goes into it: --formulas",
            ),
        )

    def _binary(self, node: ast.BinOp) -> Quantity:
        a, b = self.of(node.left), self.of(node.right)
        match node.op:
            case ast.Add():
                return a + b
            case ast.Sub():
                return a - b
            case ast.Mult():
                return a * b
            case ast.Div():
                return a / self._divisor(node.right, b)
            case ast.FloorDiv():
                whole = a / self._divisor(node.right, b)
                return Quantity(np.floor(whole.value), whole.powers, whole.manners)
            case ast.Mod():
                divisor = self._divisor(node.right, b)
                manners = alike(a, divisor, "divide", "by")
                return Quantity(np.mod(a.value, divisor.value), a.powers, manners)
            case _:
                return self._power(node, a, b)

    def _divisor(self, node: ast.expr, b: Quantity) -> Quantity:
        divisor = self.valid(
            b.value,
            np.asarray(b.value) != 0,
            lambda: FormulaError(
                f"'{self.formula.text}' divides by zero",
                why=f"{ast.unparse(node)} is 0" + ("" if np.ndim(b.value) == 0 else " in some draws"),
                fix=f"give {ast.unparse(node)} a value above zero, or say what holds without it: … if … > 0 else 0",
            ),
        )
        return Quantity(divisor, b.powers, b.manners)

    def _power(self, node: ast.BinOp, a: Quantity, b: Quantity) -> Quantity:
        if b.powers:
            raise UnitError(
                f"the exponent {ast.unparse(node.right)} is {said(b.powers)}",
                why="a power is a plain number",
                fix="divide it by one of its unit",
            )
        if not a.powers:
            with np.errstate(all="ignore"):
                return Quantity(self.finite(np.power(np.asarray(a.value, dtype=float), b.value)))
        if np.ndim(b.value) and len({float(x) for x in np.ravel(b.value)}) > 1:
            raise UnitError(
                "an amount with a unit has one power", why="its unit would vary", fix="make it a count first"
            )
        return a.power(Fraction(float(np.ravel(b.value)[0])).limit_denominator(12))

    def _call(self, name: str, args: list[ast.expr]) -> Quantity:
        if name in self.asks:
            words = [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if len(words) != len(args):
                raise FormulaError(f"{name}(…) asks for words", why="as in a book", fix=f'write {name}("…")')
            return self.asks[name](*words)
        if name == "to" and len(args) == 2 and isinstance(args[1], ast.Constant) and isinstance(args[1].value, str):
            return self.of(args[0]).to(unit(args[1].value))
        if name not in FUNCTIONS:
            raise FormulaError(
                f"there is no function '{name}'",
                why=f"'{self.formula.text}' calls it",
                fix=nearest(name, [*FUNCTIONS, *self.asks], f"functions are {', '.join([*FUNCTIONS, *self.asks])}"),
            )
        least, most = _COUNTED.get(name, (1, 1))
        if not least <= len(args) <= most or name == "to":
            many = f"{least}" if least == most else f"at least {least}"
            how = 'to(x, "1/s")' if name == "to" else f"{name} takes {many}"
            raise FormulaError(f"{name}(…) with {len(args)} values", why=how, fix=f"in '{self.formula.text}'")
        return FUNCTIONS[name](self, *[self.of(arg) for arg in args])


_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


def _of_counts(function: Callable[[Any], Any]) -> Callable[..., Quantity]:
    """A function of a plain number alone."""

    def call(reading: _Reading, x: Quantity) -> Quantity:
        if x.powers:
            what = f"it was given {said(x.powers)}"
            raise UnitError(
                what, why="logarithms, exponentials and whole numbers are of counts", fix="divide by one unit"
            )
        with np.errstate(all="ignore"):
            return Quantity(reading.finite(function(x.value)))

    return call


def _chosen(function: Callable[[Any, Any], Any]) -> Callable[..., Quantity]:
    def call(_: _Reading, first: Quantity, *others: Quantity) -> Quantity:
        for other in others:
            manners = alike(first, other)
            first = Quantity(function(first.value, other.value), first.powers or other.powers, manners)
        return first

    return call


def _root(reading: _Reading, x: Quantity) -> Quantity:
    positive = reading.finite(np.where(np.asarray(x.value) < 0, np.nan, x.value))
    return Quantity(positive, x.powers, x.manners).power(Fraction(1, 2))


def _absolute(_: _Reading, x: Quantity) -> Quantity:
    return Quantity(np.abs(x.value), x.powers, x.manners)


def _to(reading: _Reading, x: Quantity) -> Quantity:
    raise AssertionError(f"{reading.formula.text}: told above, since its unit is a word")


EASE = 1e-9  # what rounding may add before a whole number is called the next
_COUNTED = {"min": (2, 20), "max": (2, 20), "to": (2, 2)}
FUNCTIONS: Mapping[str, Callable[..., Quantity]] = {
    "to": _to,
    "min": _chosen(np.minimum),
    "max": _chosen(np.maximum),
    "ceil": _of_counts(lambda x: np.ceil(x * (1 - EASE))),
    "floor": _of_counts(lambda x: np.floor(x * (1 + EASE))),
    "round": _of_counts(np.round),
    "sqrt": _root,
    "abs": _absolute,
    "exp": _of_counts(np.exp),
    "log": _of_counts(np.log),
    "log2": _of_counts(np.log2),
    "log10": _of_counts(np.log10),
}
