"""What came before what: versions by a counter a node, events in windows, saves before a quiet moment."""

from __future__ import annotations

from itertools import pairwise

__all__ = ["concurrent", "syncs", "windows_holding"]


def concurrent(one: str, other: str) -> float:
    """Return 1 where neither version knows all of the other, as `A5 B2` does not of `A4 B3`; else 0."""
    first, second = ({word[0]: int(word[1:]) for word in text.split()} for text in (one, other))
    ahead = any(count > second.get(node, 0) for node, count in first.items())
    behind = any(count > first.get(node, 0) for node, count in second.items())
    return float(ahead and behind)


def syncs(saves: str, within_s: str, quiet_s: str) -> float:
    """Return how often a client that waits for a quiet moment uploads, when it is saved evenly for so long."""
    times = [n * float(within_s) / int(saves) for n in range(int(saves))]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return 1 + sum(gap >= float(quiet_s) for gap in gaps)


def windows_holding(at_s: str, length_s: str, step_s: str, ends: str) -> float:
    """Return how many windows an event at `at_s` falls into; the end of one is in it only where `ends` are `closed`."""
    at, length, step = (int(text) for text in (at_s, length_s, step_s))
    begins = range(0, at + 1, step)
    return sum(begin <= at < begin + length + (ends == "closed") for begin in begins)
