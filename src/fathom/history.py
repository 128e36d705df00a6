"""What was asked, what was answered, and which promises that breaks."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import msgspec

__all__ = ["Broken", "History", "Law", "Op", "Outcome", "laws_of", "tried", "tries"]


class Outcome(enum.StrEnum):
    """What the caller knows afterwards. A timeout is unknown: it may have happened, only a later read can say."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Op(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call as its caller saw it.

    Times are seconds since the history began, on the caller's monotonic clock. `asked` and `answer` are plain
    JSON values; `final` marks the reads made after everything had settled.
    """

    index: int
    caller: str
    call: str
    asked: Any = None
    answer: Any = None
    outcome: Outcome = Outcome.OK
    start_s: float = 0.0
    end_s: float | None = None
    error: str | None = None
    final: bool = False

    def before(self, other: Op) -> bool:
        """Whether this call had ended before the other one began."""
        return self.end_s is not None and self.end_s < other.start_s

    @property
    def acknowledged(self) -> bool:
        return self.outcome is Outcome.OK


class History:
    """The calls of one run, in the order in which they were begun."""

    def __init__(self, ops: Iterable[Op] = ()) -> None:
        self.ops: list[Op] = sorted(ops, key=lambda op: (op.start_s, op.index))

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __len__(self) -> int:
        return len(self.ops)

    def of(self, *calls: str, outcome: Outcome | None = None, final: bool | None = None) -> list[Op]:
        """Return the operations of these names, in order; `outcome` and `final` narrow them."""
        return [
            op
            for op in self.ops
            if op.call in calls and (outcome is None or op.outcome is outcome) and (final is None or op.final is final)
        ]

    def acknowledged(self, *calls: str) -> list[Op]:
        return self.of(*calls, outcome=Outcome.OK)


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A broken promise: which law, in words, and the indexes of the fewest operations that prove it."""

    law: str
    says: str
    ops: tuple[int, ...] = ()


Law = Callable[[History], Iterable[Broken]]


def tries(count: Callable[[History], int]) -> Callable[[Law], Law]:
    """Tell what tries a law: how many things in a history could have broken it.

    A law that held where nothing could break it has shown nothing; the record says so.
    """

    def mark(law: Law) -> Law:
        vars(law)["tried"] = count
        return law

    return mark


def tried(law: Law, history: History) -> int:
    """Return how many things in a history could have broken a law; all its operations, where the law does not tell."""
    count: Callable[[History], int] = vars(law).get("tried", len)
    return count(history)


def laws_of(module: ModuleType) -> dict[str, Law]:
    """Return the laws of a `laws.py`: its public functions whose one parameter is called `history`."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["history"]
    }
