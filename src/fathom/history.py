"""What was asked, what was answered, and which promises that breaks."""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any

import msgspec

__all__ = ["Broken", "History", "Law", "Op", "Outcome", "Step", "laws_of", "proof", "tried", "tries"]

SHORT_CHARS = 80  # of an argument or an answer that is told plainly


class Outcome(enum.StrEnum):
    """What the caller knows afterwards. A timeout is unknown: it may have happened, only a later read can say."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Op(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call as its caller saw it.

    Times are seconds since the history began, on the caller's monotonic clock. `asked` and `answer` are plain
    JSON values; `final` marks the reads made after everything had settled. `code` is a refusal's.
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
    code: str | None = None

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


class Broken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A broken promise: which law, in words, and the indexes of the fewest operations that prove it.

    `about` names what those operations are looked through for, in the system's own words: `{"posts": [93]}`.
    """

    law: str
    says: str
    ops: tuple[int, ...] = ()
    about: dict[str, Any] = {}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a proof in words; `op` is its index in the history, `at_s` when it was begun."""

    op: int
    at_s: float
    says: str


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


def proof(law: Law, broken: Broken, history: History) -> list[Step]:
    """Return the operations that prove a broken promise in words, in the order in which they were begun.

    The law's own module says how one is told, with `told(op, about) -> str`; without that it is told plainly.
    """
    tell: Callable[[Op, dict[str, Any]], str] = _teller(law)
    wanted = set(broken.ops)
    return [
        Step(op=op.index, at_s=op.start_s, says=_when(op) + tell(op, broken.about))
        for op in history
        if op.index in wanted
    ]


def _teller(law: Law) -> Callable[[Op, dict[str, Any]], str]:
    """Return what tells a call: `told` of the law's own module, or of the room that it is a part of."""
    name = law.__module__
    for place in (name, name.rpartition(".")[0]):
        if (tell := getattr(sys.modules.get(place), "told", None)) is not None:
            return tell
    return _plainly


def _when(op: Op) -> str:
    """Say when: what was there before anything was asked has no time."""
    if op.index < 0:
        return ""
    return f"at {op.start_s:.2f} s, when all had settled, " if op.final else f"at {op.start_s:.2f} s "


def _plainly(op: Op, about: dict[str, Any]) -> str:
    asked = op.asked if isinstance(op.asked, list) else [] if op.asked is None else [op.asked]
    came = {Outcome.FAILED: "it failed", Outcome.UNKNOWN: "nobody knows whether it took effect"}.get(op.outcome)
    return f"{op.call}({', '.join(map(_short, asked))}) was asked: {came or f'the answer was {_short(op.answer)}'}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHORT_CHARS else text[: SHORT_CHARS - 1] + "…"


def laws_of(module: ModuleType) -> dict[str, Law]:
    """Return the laws of a `laws.py`: its public functions whose one parameter is called `history`."""
    return {
        name: function
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and f"{function.__module__}.".startswith(f"{module.__name__}.")
        and list(inspect.signature(function).parameters) == ["history"]
    }
