"""What a row of the table claims, what one try of it showed, and when a claim is met."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec

from fathom.lab.machine import Placement
from fathom.lab.stats import Interval, clopper_pearson

__all__ = ["Experiment", "Met", "Once", "Ready", "Row", "Said", "Tally", "Try", "Wants", "Workshop"]


class Met(StrEnum):
    """Whether the tries so far bear a claim out. The third value is never folded into the second."""

    MET = "met"
    NOT_MET = "not met"
    CANT_TELL = "can't tell"


@dataclasses.dataclass(frozen=True)
class Wants:
    """How often something may or must happen, of so many tries; `most` and `least` are of its probability.

    A share is only believed with 95 %: met if the whole range that the tries leave (Clopper and Pearson) is on the
    right side, not met if all of it is on the wrong one. Never and always cannot be shown by any number of tries: they
    are met as long as nothing speaks against them, and the range says how much that is.
    """

    tries: int
    most: float | None = None
    least: float | None = None

    def judge(self, k: int, n: int) -> Met:
        range = clopper_pearson(k, n)
        if (self.most == 0 and k) or (self.least == 1 and k < n):
            return Met.NOT_MET
        if n < self.tries:
            return Met.NOT_MET if self._excluded(range) else Met.CANT_TELL
        if self.most == 0 or self.least == 1:
            return Met.MET
        if self._excluded(range):
            return Met.NOT_MET
        return Met.MET if self._shown(range) else Met.CANT_TELL

    def _shown(self, range: Interval) -> bool:
        return range.high <= self.most if self.most is not None else range.low >= (self.least or 0.0)

    def _excluded(self, range: Interval) -> bool:
        return range.low > self.most if self.most is not None else range.high < (self.least or 0.0)

    def __str__(self) -> str:
        if self.most == 0:
            return "never"
        if self.least == 1:
            return "always"
        return f"at most {100 * self.most:g} %" if self.most is not None else f"at least {100 * (self.least or 0):g} %"


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: what is true, what is counted, and how often that is wanted."""

    name: str
    truth: str
    counts: str  # what it is that happened k times: "a winner was named"
    short: Wants
    full: Wants


class Said(msgspec.Struct, frozen=True):
    """What one try showed about one row: whether that which is counted happened; None where nothing was told."""

    happened: bool | None
    says: str


class Try(msgspec.Struct, kw_only=True, frozen=True):
    """One try of an experiment as it is kept: a line of the file of answers."""

    experiment: str
    number: int
    seed: int
    at: str
    took_s: float
    said: dict[str, Said]  # row → what it showed
    code: str  # which state of the code it was made with
    machine: str  # and on which machine
    kept: str | None = None  # the run's folder, where the answer was not the expected one


@dataclasses.dataclass(frozen=True)
class Workshop:
    """Where experiments are carried out: the folder of their runs, and the cores."""

    folder: Path
    placement: Placement


class Once(Protocol):
    """Carries out one try, and returns what it showed and the folder worth keeping, if there is one."""

    async def __call__(self, number: int, seed: int) -> tuple[dict[str, Said], str | None]: ...


Ready = Callable[[Workshop], AbstractAsyncContextManager[Once]]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Something that can be tried again and again, with one or more rows to show for it.

    `ready` brings up what all tries share, and yields what carries out one of them.
    """

    name: str
    rows: tuple[Row, ...]
    try_s: float  # about how long one takes
    ready: Ready
    in_short: bool = True  # whether it belongs to the ten minutes, too

    def tries(self, full: bool) -> int:
        return max((row.full if full else row.short).tries for row in self.rows)

    def void(self, why: str) -> dict[str, Said]:
        """Return a try that told nothing."""
        return {row.name: Said(None, why) for row in self.rows}


@dataclasses.dataclass(frozen=True)
class Tally:
    """How often something happened, and how often nothing was told."""

    row: Row
    wants: Wants
    k: int
    n: int
    void: int
    last: str

    @classmethod
    def of(cls, row: Row, tries: Iterable[Try], full: bool) -> Tally:
        """Count one row's tries, in the order in which they were made."""
        said = [it.said[row.name] for it in tries if row.name in it.said]
        told = [it for it in said if it.happened is not None]
        happened = [it for it in told if it.happened]
        wants = row.full if full else row.short
        rare = happened if wants.most is not None else [it for it in told if not it.happened]
        return cls(
            row=row,
            wants=wants,
            k=len(happened),
            n=len(told),
            void=len(said) - len(told),
            last=(rare or told or said)[-1].says if said else "",  # what speaks against it is shown first
        )

    @property
    def range(self) -> Interval:
        return clopper_pearson(self.k, self.n)

    @property
    def met(self) -> Met:
        return self.wants.judge(self.k, self.n)
