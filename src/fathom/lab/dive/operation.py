"""What users do, how it is measured, and what varies while they do it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from fathom.engines.ledger import RESOURCES
from fathom.errors import FathomError, nearest

__all__ = [
    "COUNTED",
    "COUNTS",
    "MEASURES",
    "QUANTILES",
    "Goal",
    "Measure",
    "Operation",
    "Probe",
    "Sweep",
    "Turn",
    "known",
    "op",
    "probe",
    "sweep",
]

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
COUNTS = RESOURCES  # whole units of work, compared exactly
MEASURES = (*QUANTILES, "mean", "cpu_s", *COUNTS)
COUNTED = ""  # in the place of an operation: what a dive counts by itself belongs to none


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a measure must stay below for a design to be good enough."""

    op: str
    measure: str
    less_than: float


@dataclasses.dataclass(frozen=True)
class Measure:
    """One number about one operation, by name: `home.p99`. Compared with a number it is a goal."""

    op: str
    name: str

    def __lt__(self, limit: float) -> Goal:
        return Goal(self.op, self.name, float(limit))

    def __gt__(self, limit: float) -> Goal:
        raise FathomError(
            f"{self} > {limit} is not a goal",
            why="a goal is a limit that a cost stays below",
            fix=f"write {self} < …, or say it in predict()",
        )

    def __str__(self) -> str:
        return f"{self.op}.{self.name}"


class Operation:
    """Something that users do, and that has a cost. `home.p99` is one of its measures.

    `reads` says that it changes nothing: of such an operation the history may keep a sample only.
    """

    def __init__(self, does: Callable[..., Awaitable[Any]], *, reads: bool = False) -> None:
        if not inspect.iscoroutinefunction(does):
            raise FathomError(
                f"{getattr(does, '__name__', does)} is not an operation",
                why="operations are asked of a running service, so they are async",
                fix=f"write: async def {getattr(does, '__name__', 'name')}(self, client, turn)",
            )
        self.name = does.__name__
        self.says = (inspect.getdoc(does) or "").partition("\n")[0]
        self.reads = reads
        self.does = does

    def __get__(self, dive: object | None, owner: type | None = None) -> Any:
        return self if dive is None else functools.partial(self.does, dive)

    def __getattr__(self, measure: str) -> Measure:
        if measure in MEASURES:
            return Measure(self.name, measure)
        if measure.startswith("__"):
            raise AttributeError(measure)
        raise FathomError(
            f"{self.name} has no measure '{measure}'",
            why=f"the measures of an operation are {', '.join(MEASURES)}",
            fix=nearest(measure, MEASURES, "name one of these"),
        )

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


class Probe(Operation):
    """A question asked again after an operation until the answer is yes; its time counts from the acknowledgement."""

    def __init__(self, does: Callable[..., Awaitable[Any]], after: Operation) -> None:
        super().__init__(does, reads=True)
        self.after = after


def op(does: Callable[..., Awaitable[Any]] | None = None, *, reads: bool = False) -> Any:
    """Declare an operation: `async def home(self, client, turn)`."""
    return Operation(does, reads=reads) if does is not None else functools.partial(Operation, reads=reads)


def probe(*, after: Any) -> Callable[[Callable[..., Awaitable[bool]]], Any]:
    """Declare what is asked after an operation until it is true: `async def seen(self, client, turn, answer)`."""
    return functools.partial(Probe, after=after)


class Sweep:
    """The one thing that a dive varies, and the values it takes."""

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = tuple(values)

    def __get__(self, dive: object | None, owner: type | None = None) -> Any:
        return self if dive is None else self.values


def sweep(*values: Any) -> Any:
    """Declare the values that the dive visits: `fans: int = sweep(100, 3_000, 30_000)`."""
    return Sweep(values)


class Turn:
    """One call of an operation: its number, its dice, and the swept value under its own name (`turn.fans`).

    The dice depend on the seed, the operation and the number alone, so that every approach throws the same.
    """

    __slots__ = ("_dice", "_seed", "_swept", "index", "point")

    def __init__(self, seed: str, index: int, swept: str | None = None, point: Any = None) -> None:
        self.index, self.point = index, point
        self._seed, self._swept = seed, swept
        self._dice: random.Random | None = None

    @property
    def dice(self) -> random.Random:
        if self._dice is None:
            self._dice = random.Random(f"{self._seed}/{self.index}")
        return self._dice

    def __getattr__(self, name: str) -> Any:
        if name == self._swept:
            return self.point
        raise AttributeError(f"a turn has index, dice and {self._swept or 'nothing else'}, but no '{name}'")


def known(where: str, names: Iterable[str], operations: Iterable[str]) -> None:
    """Refuse what is none of the operations."""
    for name in names:
        if name not in set(operations):
            raise FathomError(
                f"{where} names '{name}'",
                why=f"the operations are {', '.join(operations)}",
                fix=nearest(name, operations, "name one of them"),
            )
