"""What an operation costs on average, where its cost was measured at a few swept values and these are distributed.

Between two measured values cost lies on the straight line. Outside of them nobody looked: there it lies between staying
as it was and growing in proportion, and goes on along its line for what is likely. Where an approach changes how it
works (a knob says at which value), a line does not lead across.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fathom.lab.scale.degrees import Array, Degrees

__all__ = ["BOUNDS", "Mean", "Spread", "Unmeasured", "average"]

BOUNDS = ("least", "likely", "most")


class Unmeasured(Exception):
    """On one side of a turn not one value was measured."""


@dataclass(frozen=True)
class Mean:
    """The mean cost by draw: at least, likely, at most; and the share of the likely one where nobody looked."""

    least: Array
    likely: Array
    most: Array
    outside: Array

    def at(self, bound: str) -> Array:
        return {"least": self.least, "likely": self.likely, "most": self.most}[bound]


@dataclass(frozen=True)
class Spread:
    """A distribution in the pieces between measured values: how much lies in each, and the sum of values there."""

    points: Array
    turns: Array
    edges: Array
    mass: Array  # a row per draw, a column per piece
    first: Array

    @classmethod
    def of(cls, points: Sequence[float], turns: Sequence[float], degrees: Degrees, tail: Array) -> Spread:
        at, bends = np.asarray(points, dtype=float), np.asarray(turns, dtype=float)
        edges = np.unique(np.concatenate(([0.0, math.inf], at, bends)))
        return cls(at, bends, edges, *degrees.pieces(edges, tail))


def average(spread: Spread, costs: Array) -> Mean:
    """Return the mean of a cost over a distribution; `costs` has a row per draw and a column per measured value."""
    order = np.argsort(spread.points)
    at, costs, edges, turns = spread.points[order], costs[:, order], spread.edges, spread.turns
    mass, first = spread.mass, spread.first
    sums = {bound: np.zeros(len(costs)) for bound in BOUNDS}
    outside = np.zeros(len(costs))
    for cell in range(len(edges) - 1):
        if not mass[:, cell].any():
            continue
        line = _line((edges[cell], edges[cell + 1]), at, turns, costs)
        ends = {bound: base * mass[:, cell] + slope * first[:, cell] for bound, (base, slope) in line.lines.items()}
        sums["likely"] += ends["likely"]
        sums["least"] += np.minimum.reduce(list(ends.values()))
        sums["most"] += np.maximum.reduce(list(ends.values()))
        if line.beyond:
            outside += ends["likely"]
    whole = np.where(sums["likely"] > 0, sums["likely"], 1.0)
    return Mean(sums["least"], sums["likely"], sums["most"], outside / whole)


@dataclass(frozen=True)
class _Lines:
    """Cost within one piece as base + slope · value, in every bound."""

    lines: dict[str, tuple[Array, Array]]
    beyond: bool


def _line(cell: tuple[float, float], at: Array, turns: Array, costs: Array) -> _Lines:
    side = np.searchsorted(turns, [cell[0], *at], side="right")
    mine = np.flatnonzero(side[1:] == side[0])
    if not len(mine):
        raise Unmeasured(f"from {cell[0]:g} to {cell[1]:g}")
    known = at[mine]
    inner = np.flatnonzero(known == cell[0])
    if len(inner) and cell[1] in known:
        n = int(mine[inner[0]])
        slope = (costs[:, n + 1] - costs[:, n]) / (at[n + 1] - at[n])
        base = costs[:, n] - slope * at[n]
        return _Lines(dict.fromkeys(BOUNDS, (base, slope)), beyond=False)
    beyond = cell[0] >= known[-1]
    anchor = int(mine[-1] if beyond else mine[0])
    cost, value = costs[:, anchor], at[anchor]
    flat = (cost, np.zeros_like(cost))
    if value == 0:
        return _Lines(dict.fromkeys(BOUNDS, flat), beyond)
    base = cost
    if len(mine) > 1:
        other = anchor - 1 if beyond else anchor + 1
        slope = (costs[:, other] - cost) / (at[other] - value)
        base = np.clip(cost - slope * value, 0.0, cost)
    likely = (base, (cost - base) / value)
    straight = (np.zeros_like(cost), cost / value)
    return _Lines({"least": flat, "likely": likely, "most": straight}, beyond)
