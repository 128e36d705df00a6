"""What is assumed of one cell: a value, anything between two, or a lognormal of which nine in ten lie between two."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fathom.blocks.quantities import COUNTS, Quantity, Unit, UnitError, alike, kind, quantity
from fathom.errors import FathomError
from fathom.lab.scale.degrees import Array
from fathom.lab.scale.dice import HIGH, between, scores

__all__ = ["Amount", "amount", "fitting"]

_REACH = NormalDist().inv_cdf(HIGH)


@dataclass(frozen=True)
class Amount:
    """`low` and `high` are alike: one value, or the ends of a range (`..`) or of a lognormal's nine in ten (`~`)."""

    text: str
    sort: str  # "value", "range" or "lognormal"
    low: Quantity
    high: Quantity

    def at(self, shares: Array) -> Quantity:
        """Return the value below which lies each of these shares of all that it may be."""
        low, high = float(self.low.value), float(self.high.value)
        if self.sort == "value":
            drawn = np.full(len(shares), low)
        elif self.sort == "range":
            drawn = between(shares, low, high)
        else:
            middle, half = (np.log(low) + np.log(high)) / 2, (np.log(high) - np.log(low)) / 2
            drawn = np.exp(middle + scores(shares) / _REACH * half)
        return Quantity(drawn, self.low.powers, self.low.manners)

    @property
    def is_open(self) -> bool:
        return self.sort != "value"


def amount(text: str, like: Unit | None = None) -> Amount:
    """Read `200M`, `100M..300M` (as likely anywhere between) or `100M~300M` (lognormal, nine of ten between)."""
    for mark, sort in (("..", "range"), ("~", "lognormal")):
        first, found, second = text.partition(mark)
        if found:
            low, high = quantity(first, like), quantity(second, like)
            if not low.powers and high.powers:  # 10..20 ms: the unit stands behind the second
                low = quantity(f"{first.strip()} {second.strip().lstrip('+-.0123456789_,').strip()}", like)
            alike(low, high, "go from", "to")
            least = 0.0 if sort == "lognormal" else -np.inf
            if not least < float(low.value) <= float(high.value):
                raise FathomError(
                    f"'{text}' is no range",
                    why="it goes from a lower value to a higher one, and a lognormal's are above zero",
                    fix=f"write for example 100M{mark}300M",
                )
            return Amount(text, sort, low, high)
    value = quantity(text, like)
    return Amount(text, "value", value, value)


def fitting(name: str, found: Amount, like: Unit, *, named: bool) -> Amount:
    """Return an amount of a cell whose unit is known; `named`: its name says it, so that a number will do."""
    if dict(found.low.powers) == dict(like.powers):
        for base, manner in found.low.manners.items():
            if base == "s" and like.manners.get(base, manner) != manner:
                told = found.low.value / like.scale
                raise UnitError(
                    f"{name} is told per {like.manners[base]}, and '{found.text}' per {manner}"
                    if like.powers[base] < 0
                    else f"{name} is told in {like.text}, and '{found.text}' in {manner}",
                    why="per second against per day is the most frequent slip of an estimate",
                    fix=f"the same in its own unit is {name}={told:.6g}{_behind(like)}",
                )
        return found
    if not found.low.powers and named:
        low, high = (like.of(float(q.value)) for q in (found.low, found.high))
        return Amount(found.text, found.sort, low, high)
    if not found.low.powers:
        raise UnitError(
            f"{name}={found.text} has no unit",
            why=f"{name} is counted in {like.text}",
            fix=f"say which: {name}={found.text}{_behind(like)}",
        )
    guess = _guess(found, like)
    raise UnitError(
        f"{name}={found.text} tells of {kind(found.low.powers)}",
        why=f"{name} {_told(like)}" + ("; K, M, B and T alone count" if not like.powers else ""),
        fix=f"did you mean {name}={guess}?"
        if guess
        else f"write it {'without a unit' if not like.powers else f'in {like.text}'}",
    )


def _told(like: Unit) -> str:
    return "counts, and has no unit" if not like.powers else f"is told in {like.text}"


def _behind(like: Unit) -> str:
    return like.text.removeprefix("1") if like.text.startswith("1/") else f" {like.text}"


def _guess(found: Amount, like: Unit) -> str:
    """Guess at what was meant by one of another kind: 200MB of users are 200M of them, 1 GB/s of bits are 8 Gbit/s."""
    bare, powers = found.text.strip(), dict(found.low.powers)
    if not like.powers and bare[-2:-1] in COUNTS and bare.endswith("B"):
        return bare[:-1].replace(" ", "")
    swapped = {"B": "bit", "bit": "B"}
    if {swapped.get(base, base): power for base, power in powers.items()} == dict(like.powers):
        times = 8.0 ** float(powers.get("B", 0) - powers.get("bit", 0))
        return f"{float(found.low.value) * times / like.scale:.6g}{_behind(like)}"
    return ""
