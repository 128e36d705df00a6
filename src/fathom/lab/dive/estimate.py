"""Numbers that carry their spread, and what can be said of two of them: held, failed, or can't tell."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable

__all__ = ["Comparison", "Estimate", "Verdict"]


class Verdict(enum.StrEnum):
    """What became of a statement. The third value is never folded into the second."""

    HELD = "held"
    FAILED = "failed"
    CANT_TELL = "can't tell"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A statement about two numbers that carry their spread: held, failed, or can't tell.

    It is not a truth value: `if a < b` would turn "can't tell" into "no". Join two with `&` and `|`.
    """

    verdict: Verdict
    says: str

    def __bool__(self) -> bool:
        raise TypeError(f"'{self.says}' is held, failed or can't tell, which is not yes or no: use .verdict, & or |")

    def __and__(self, other: Comparison) -> Comparison:
        worst = Verdict.FAILED if Verdict.FAILED in (self.verdict, other.verdict) else Verdict.CANT_TELL
        both = Verdict.HELD if self.verdict is other.verdict is Verdict.HELD else worst
        return Comparison(both, f"{self.says} and {other.says}")

    def __or__(self, other: Comparison) -> Comparison:
        best = Verdict.HELD if Verdict.HELD in (self.verdict, other.verdict) else Verdict.CANT_TELL
        either = Verdict.FAILED if self.verdict is other.verdict is Verdict.FAILED else best
        return Comparison(either, f"{self.says} or {other.says}")


_Test = Callable[["Estimate", "Estimate"], bool]


@dataclasses.dataclass(frozen=True, eq=False)
class Estimate:
    """A number with its spread: it lies between `low` and `high`; a count has no spread and is `exact`.

    `Estimate.unknown()` is a number that nobody has: whatever is computed from it is unknown too.
    """

    value: float | None
    low: float = float("-inf")
    high: float = float("inf")
    exact: bool = False

    @classmethod
    def unknown(cls) -> Estimate:
        return cls(None)

    @classmethod
    def of(cls, number: Estimate | float) -> Estimate:
        """Return `number` as an estimate; a plain number is exact."""
        return number if isinstance(number, Estimate) else cls(number, number, number, True)

    @property
    def known(self) -> bool:
        return self.value is not None

    def __add__(self, other: Estimate | float) -> Estimate:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self._with(other, lambda a, b: a - b)

    def __mul__(self, other: Estimate | float) -> Estimate:
        return self._with(other, lambda a, b: a * b)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        other = Estimate.of(other)
        if other.known and other.low <= 0 <= other.high:
            return Estimate.unknown()  # the quotient may be anything
        return self._with(other, lambda a, b: a / b)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> Estimate:
        return Estimate.of(other) - self

    def __rtruediv__(self, other: float) -> Estimate:
        return Estimate.of(other) / self

    def __lt__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, "<", lambda a, b: a.high < b.low, lambda a, b: a.low >= b.high)

    def __le__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, "≤", lambda a, b: a.high <= b.low, lambda a, b: a.low > b.high)

    def __gt__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, ">", lambda a, b: a.low > b.high, lambda a, b: a.high <= b.low)

    def __ge__(self, other: Estimate | float) -> Comparison:
        return self._beside(other, "≥", lambda a, b: a.low >= b.high, lambda a, b: a.high < b.low)

    def equals(self, other: Estimate | float) -> Comparison:
        """Compare for being the same number; only exact ones can be."""

        def same(a: Estimate, b: Estimate) -> bool:
            return a.exact and b.exact and a.value == b.value

        return self._beside(other, "=", same, lambda a, b: a.high < b.low or b.high < a.low)

    def _with(self, other: Estimate | float, how: Callable[[float, float], float]) -> Estimate:
        other = Estimate.of(other)
        if self.value is None or other.value is None:
            return Estimate.unknown()
        ends = [how(a, b) for a in (self.low, self.high) for b in (other.low, other.high)]
        return Estimate(how(self.value, other.value), min(ends), max(ends), self.exact and other.exact)

    def _beside(self, other: Estimate | float, sign: str, holds: _Test, fails: _Test) -> Comparison:
        other = Estimate.of(other)
        if not (self.known and other.known):
            verdict = Verdict.CANT_TELL
        elif holds(self, other):
            verdict = Verdict.HELD
        else:
            verdict = Verdict.FAILED if fails(self, other) else Verdict.CANT_TELL
        return Comparison(verdict, f"{self} {sign} {other}")

    def __str__(self) -> str:
        if self.value is None:
            return "unknown"
        if self.exact or self.low == self.high:
            return f"{self.value:,.6g}"
        return f"{self.value:.4g} ({self.low:.4g}–{self.high:.4g})"
