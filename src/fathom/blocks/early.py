"""Make a value anew a little before it expires: at random, the likelier the nearer that is and the longer it takes.

XFetch, by Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention" (VLDB 2015). Readers
need not know of each other: with dice that are exponentially distributed the first of many who makes it anew does so
about as early as making it takes, and how many others do it too does not grow with how many read.
"""

from __future__ import annotations

import math

__all__ = ["is_due"]


def is_due(left_s: float, took_s: float, dice: float, *, beta: float = 1.0) -> bool:
    """Return whether a reader is to make a value anew that expires in `left_s` and took `took_s` to make.

    `dice` is drawn for each reader, uniform from above 0 to 1; a `beta` above 1 makes all of them earlier.

    >>> is_due(0.0, took_s=0.1, dice=1.0)  # it has expired
    True
    >>> [is_due(left_s, took_s=0.1, dice=0.5) for left_s in (0.05, 0.08)]
    [True, False]
    >>> is_due(0.08, took_s=0.1, dice=0.5, beta=2.0)
    True
    >>> is_due(60.0, took_s=0.1, dice=1e-12)
    False
    """
    return left_s <= -took_s * beta * math.log(dice)
