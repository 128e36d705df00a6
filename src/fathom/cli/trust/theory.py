"""What theory knows of a queue with exponential gaps and times (M/M/c), and what given arrivals have to wait in it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["chance", "erlang_c", "mean_wait_s", "waits_s"]

Floats = npt.NDArray[np.float64]


def erlang_c(clerks: int, offered: float) -> float:
    """Return the probability that one has to wait (Erlang, 1917); `offered` is the rate times the mean time.

    >>> erlang_c(1, 0.7)
    0.7
    >>> round(erlang_c(3, 2.1), 4)
    0.4923
    """
    if not 0 < offered < clerks:
        raise ValueError(f"{clerks} clerks cannot serve {offered:g} at once for ever")
    blocked = 1.0  # Erlang's B, one clerk after the other: no factorial is needed
    for clerk in range(1, clerks + 1):
        blocked = offered * blocked / (clerk + offered * blocked)
    share = offered / clerks
    return round(blocked / (1 - share * (1 - blocked)), 15)


def mean_wait_s(clerks: int, rate: float, mean_s: float) -> float:
    """Return how long one waits on average before being served.

    >>> round(mean_wait_s(1, 87.5, 0.008), 6)
    0.018667
    """
    return erlang_c(clerks, rate * mean_s) * mean_s / (clerks - rate * mean_s)


def waits_s(came_s: Sequence[float] | Floats, took_s: Sequence[float] | Floats, clerks: int) -> Floats:
    """Return how long each of these arrivals waits for these times of service: who comes first is served first."""
    free = [-math.inf] * clerks  # when each clerk is free again
    waits = np.zeros(len(came_s))
    for at, (came, took) in enumerate(zip(came_s, took_s, strict=True)):
        begins = max(float(came), free[0])
        waits[at] = begins - came
        heapq.heapreplace(free, begins + float(took))
    return waits


def chance(clerks: int, n: int, lasts_s: float, mean_s: float, *, draws: int, seed: int) -> Floats:
    """Return the mean waits of so many days alike, in order: what chance does to n arrivals that begin with nobody.

    As in a load that was drawn beforehand, n of them come at times that are drawn evenly.
    """
    dice = np.random.default_rng(seed)
    came = np.sort(dice.random((draws, n)), axis=1) * lasts_s
    took = dice.exponential(mean_s, (draws, n))
    free, total, days = np.full((draws, clerks), -np.inf), np.zeros(draws), np.arange(draws)
    for at in range(n):
        soonest = free.argmin(axis=1)
        begins = np.maximum(came[:, at], free[days, soonest])
        total += begins - came[:, at]
        free[days, soonest] = begins + took[:, at]
    return np.sort(total / n)
