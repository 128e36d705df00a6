"""What a checker answers: held, failed or can't tell, with the fewest operations that prove it."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from fathom.history import Broken, Op

__all__ = ["Answer", "Fault", "Verdict", "shown"]

SHOWN_MAX = 40  # characters of a value in a sentence


class Answer(enum.StrEnum):
    """Truth has three values: a history that shows too little proves neither."""

    HELD = "held"
    FAILED = "failed"
    CANT_TELL = "can't tell"


class Fault(NamedTuple):
    """One thing that must not be: what kind of thing, in words, and the fewest operations that prove it.

    `sources` prove nothing; they are the operations that wrote what the others were told.
    """

    kind: str
    says: str
    ops: tuple[Op, ...] = ()
    sources: tuple[Op, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a history shows of one promise: each fault, what could not be told, and what was counted on the way.

    >>> Verdict(counts={"operations": 2}).answer
    <Answer.HELD: 'held'>
    >>> Verdict(untold=("nobody looked",)).answer
    <Answer.CANT_TELL: "can't tell">
    """

    faults: tuple[Fault, ...] = ()
    untold: tuple[str, ...] = ()
    counts: Mapping[str, int] = {}

    @property
    def answer(self) -> Answer:
        if self.faults:
            return Answer.FAILED
        return Answer.CANT_TELL if self.untold else Answer.HELD

    def __bool__(self) -> bool:
        raise TypeError("a verdict has three values: compare its answer with HELD, FAILED or CANT_TELL")

    def of(self, kind: str) -> list[Fault]:
        """Return the faults of one kind."""
        return [fault for fault in self.faults if fault.kind == kind]

    def broken(self, law: str) -> Iterator[Broken]:
        """Yield the faults as the broken promises that a law of this name tells of."""
        for fault in self.faults:
            yield Broken(law=law, says=fault.says, ops=tuple(sorted(op.index for op in fault.ops + fault.sources)))


def shown(value: Any) -> str:
    """Return a value as a sentence can hold it.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaa … aaaaaaaaaaaaaaaa'"
    """
    text = repr(value)
    half = (SHOWN_MAX - 3) // 2
    return text if len(text) <= SHOWN_MAX else f"{text[: half - 1]} … {text[-half + 1 :]}"
