"""Things thrown at shards and replicas: how many a query meets, how full the fullest gets, how often a read misses."""

from __future__ import annotations

import math

import numpy as np

from ._counted import counted

__all__ = ["fullest", "harmonic", "missed_by_quorum", "top_share"]

SEED, TRIALS = 7, 20_000
THROWN_MAX = 256


def fullest(copies: str, shards: str) -> float:
    """Return how many of the copies the fullest shard gets on average when each falls where its hash does."""
    many, places = counted(copies, THROWN_MAX), counted(shards, THROWN_MAX)
    thrown = np.random.default_rng(SEED).integers(0, places, (TRIALS, many))
    held = np.stack([(thrown == shard).sum(axis=1) for shard in range(places)])
    return float(held.max(axis=0).mean())


def harmonic(n: str) -> float:
    """Return 1 + 1/2 + … + 1/n: the mean of the slowest of n exponential waits, in means of one."""
    count = int(float(n))
    if count <= 1_000:
        return math.fsum(1 / k for k in range(1, count + 1))
    return math.log(count) + 0.577_215_664_901_532_9 + 1 / (2 * count) - 1 / (12 * count**2)


def top_share(n: str) -> float:
    """Return which share of the traffic goes to the first of n by Zipf's law (exponent 1)."""
    return 1 / harmonic(n)


def missed_by_quorum(down: str, way: str) -> float:
    """Return which share of reads misses the write before it: N 3, R 2, W 2, each node down with that chance.

    Who is down is drawn anew between write and read. A `sloppy` quorum asks a stand-in for each node that is down, and
    no hint is delivered yet; a `strict` one refuses where fewer than two are up, and what is refused is not counted.
    """
    dice = np.random.default_rng(SEED)
    up = dice.random((2, 10 * TRIALS, 3)) >= float(down)
    if way == "strict":
        up = up[:, (up.sum(axis=2) >= 2).all(axis=0)]
    elif way != "sloppy":
        raise ValueError(f"a quorum is sloppy or strict, not {way}")
    order = dice.random(up.shape)
    if way == "strict":
        order = np.where(up, order, 2.0)
    first_two = order <= np.sort(order, axis=2)[:, :, 1:2]
    wrote, read = first_two & up  # a stand-in's copy is not where its owner looks
    return float(1 - (wrote & read).any(axis=1).mean())
