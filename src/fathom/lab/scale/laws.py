"""The operational laws: what a measured demand says about utilisation, bottleneck, servers, waiting and storage.

Demands are seconds of a resource per operation, rates are operations per second. U = X·D and X ≤ 1 / max D hold for any
system that was observed for long enough [Denning and Buzen 1978; Lazowska et al. 1984]; how long one waits is an
approximation: exponential service, arrivals that know nothing of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = [
    "DAY_S",
    "amplified",
    "bottleneck",
    "erlang_c",
    "knee",
    "mva",
    "parts",
    "per_second",
    "residence_s",
    "servers",
    "stored_bytes",
    "throughput_max",
    "utilisation",
]

DAY_S = 86_400
GOLDEN = (math.sqrt(5) - 1) / 2
EASE = 1e-9  # what rounding may add before a whole number is called the next


# Rates and amounts ---------------------------------------------------------------------------------------------------


def per_second(users: float, each_a_day: float, *, peak: float = 1.0) -> float:
    """Return the rate of what so many users do so often a day, `peak` times the mean.

    >>> round(per_second(500e6, 50, peak=10))  # timeline views of a social network
    2893519
    """
    return users * each_a_day / DAY_S * peak


def stored_bytes(per_s: float, bytes_each: float, retention_s: float, *, copies: float = 1) -> float:
    """Return what lies on disks once the oldest is as old as it may be.

    >>> stored_bytes(250e6 / DAY_S, 500, 365 * DAY_S, copies=3) / 1e12
    136.875
    """
    return per_s * bytes_each * retention_s * copies


def amplified(reads_per_s: float, writes_per_s: float, *, read_from: float = 1, copies: float = 1) -> float:
    """Return how many operations the replicas see: a read asks `read_from` of them, a write reaches every copy.

    >>> amplified(450e3, 50e3, read_from=2, copies=3)
    1050000.0
    """
    return float(reads_per_s * read_from + writes_per_s * copies)


def parts(amount: float, holds: float) -> int:
    """Return how many parts it takes when each holds so much.

    >>> parts(200e6, 100e3), parts(200e6 + 1, 100e3)
    (2000, 2001)
    """
    return math.ceil(amount / holds - EASE)


# Utilisation ---------------------------------------------------------------------------------------------------------


def utilisation(rates: Mapping[str, float], demands_s: Mapping[str, float]) -> float:
    """Return U = X·D of one resource, summed over the operations; above one it is how many of it are needed."""
    return sum(rate * demands_s.get(op, 0.0) for op, rate in rates.items())


def bottleneck(demands_s: Mapping[str, float]) -> str:
    """Return the resource that is full first: the one with the largest demand."""
    return max(demands_s, key=lambda name: demands_s[name])


def throughput_max(demands_s: Mapping[str, float]) -> float:
    """Return the rate that no arrangement exceeds while there is one of each resource: 1 / max D."""
    most = max(demands_s.values(), default=0.0)
    return 1 / most if most > 0 else math.inf


def servers(rate: float, demand_s: float, utilisation_most: float) -> int:
    """Return ceil(X·D / U): how many there must be so that none is busier than that.

    >>> servers(10_000, 0.002, 0.6)
    34
    """
    if not 0 < utilisation_most <= 1:
        raise ValueError(f"a utilisation of {utilisation_most:g} is none to aim at")
    return math.ceil(rate * demand_s / utilisation_most - EASE)


# Waiting -------------------------------------------------------------------------------------------------------------


def erlang_c(count: int, busy: float) -> float:
    """Return the probability of waiting in M/M/m: `busy` servers' worth of work offered to `count` of them.

    By the recursion of Erlang B, which neither overflows nor cancels.
    """
    if busy >= count:
        return 1.0
    blocked = 1.0
    for n in range(1, count + 1):
        blocked = busy * blocked / (n + busy * blocked)
    return count * blocked / (count - busy * (1 - blocked))


def residence_s(rate: float, demand_s: float, count: int = 1) -> float:
    """Return the mean time in M/M/m, waiting included; infinite from saturation on."""
    busy = rate * demand_s
    if busy >= count:
        return math.inf
    return demand_s + erlang_c(count, busy) * demand_s / (count - busy)


def knee(count: int = 1) -> float:
    """Return the utilisation at which a server gives most throughput per residence [Kleinrock 1979]: 1/2 of one server.

    The larger the pool, the later it comes; found by golden section, the power having one maximum.
    """

    def power(u: float) -> float:
        return u / residence_s(u * count, 1.0, count)

    low, high = 0.0, 1.0
    while high - low > 1e-7:
        a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if power(a) < power(b):
            low = a
        else:
            high = b
    return (low + high) / 2


def mva(demands_s: Sequence[float], users: int, think_s: float = 0.0) -> tuple[float, float]:
    """Return throughput and residence of a closed system: exact mean value analysis [Reiser and Lavenberg 1980].

    For sessions, which ask again only when they were answered; an open load has no such mercy.
    """
    queues = [0.0] * len(demands_s)
    rate, took = 0.0, 0.0
    for n in range(1, users + 1):
        each = [d * (1 + q) for d, q in zip(demands_s, queues, strict=True)]
        took = sum(each)
        rate = n / (think_s + took)
        queues = [rate * r for r in each]
    return rate, took
