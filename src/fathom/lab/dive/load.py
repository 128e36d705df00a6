"""What is asked of a system in a dive, and at which scale the decision is to be taken."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fathom.errors import FathomError
from fathom.lab.scale.degrees import Degrees

__all__ = ["Load", "Target"]


@dataclasses.dataclass(frozen=True, init=False)
class Load:
    """Operations per second, arriving when they will (an open loop), for so many seconds a segment."""

    lasts_s: float
    rates: Mapping[str, float]

    def __init__(self, *, lasts_s: float = 3.0, **rates: float) -> None:
        object.__setattr__(self, "lasts_s", float(lasts_s))
        object.__setattr__(self, "rates", {name: float(rate) for name, rate in rates.items()})
        for name, rate in {**self.rates, "lasts_s": self.lasts_s}.items():
            if not 0 < rate < float("inf"):
                raise FathomError(
                    f"Load({name}={rate:g}) cannot be offered",
                    why="rates are operations per second and lengths seconds: above zero, and finite",
                    fix=f"give {name} a number above zero",
                )


@dataclasses.dataclass(frozen=True, init=False)
class Target:
    """The scale that the decision is for: how many users, and what they ask per second when they ask most.

    What more it says makes the record's estimate "at scale" possible; without `swept` nothing is estimated for a dive
    that sweeps something, because a mean would not do.
    """

    users: float
    per_s: Mapping[str, float]
    peak: tuple[float, float]  # how many times the mean those rates are, from … to
    swept: Mapping[str, Degrees]  # operation → how the swept value is distributed over its calls
    turns_at: str  # the knob of an approach that says at which swept value it begins to work otherwise
    copies: int  # of everything that is kept; every one of them does each write
    keeps: Mapping[str, tuple[float, float]]  # operation → the bytes that stay of each, from … to
    keeps_s: float  # for how long

    def __init__(
        self,
        *,
        users: float,
        per_s: Mapping[Any, float],
        peak: float | tuple[float, float] = 1.0,
        swept: Mapping[Any, Degrees] | None = None,
        turns_at: str = "",
        copies: int = 3,
        keeps: Mapping[Any, float | tuple[float, float]] | None = None,
        keeps_s: float = 0.0,
    ) -> None:
        fields = {
            "users": float(users),
            "per_s": {_name(op): float(rate) for op, rate in per_s.items()},
            "peak": _ends(peak),
            "swept": {_name(op): degrees for op, degrees in (swept or {}).items()},
            "turns_at": turns_at,
            "copies": copies,
            "keeps": {_name(op): _ends(bytes_each) for op, bytes_each in (keeps or {}).items()},
            "keeps_s": float(keeps_s),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)
        low, high = self.peak
        if not (1 <= low <= high and copies >= 1 and min(self.per_s.values()) >= 0):
            raise FathomError(
                f"Target(users={users:g}, …) cannot be meant",
                why="the busiest is at least the mean, there is at least one copy, and rates are not below zero",
                fix="write for example: Target(users=200e6, per_s={post: 14_000}, peak=(2, 3), copies=3)",
            )
        if bool(self.keeps) != (self.keeps_s > 0):
            raise FathomError(
                f"Target(users={users:g}, …) says only half of what is kept",
                why="bytes per operation and how long they stay make storage together",
                fix="write both: keeps={post: (300, 1_000)}, keeps_s=5 * 365 * 86_400; or neither",
            )


def _name(op: Any) -> str:
    return getattr(op, "name", op)


def _ends(value: float | tuple[float, float]) -> tuple[float, float]:
    low, high = value if isinstance(value, tuple) else (value, value)
    return float(low), float(high)
