"""What came before what: versions by a counter a node, events in windows."""

from __future__ import annotations

from ._counted import counted

__all__ = ["concurrent", "windows_holding"]

SECONDS_MAX = 1_000_000


def concurrent(one: str, other: str) -> float:
    """Return 1 where neither version knows all of the other, as `A5 B2` does not of `A4 B3`; else 0."""
    first, second = ({word[0]: int(word[1:]) for word in text.split()} for text in (one, other))
    ahead = any(count > second.get(node, 0) for node, count in first.items())
    behind = any(count > first.get(node, 0) for node, count in second.items())
    return float(ahead and behind)


def windows_holding(at_s: str, length_s: str, step_s: str, ends: str) -> float:
    """Return how many windows an event at `at_s` falls into; the end of one is in it only where `ends` are `closed`."""
    at = counted(at_s, SECONDS_MAX, least=0)
    length, step = (counted(text, SECONDS_MAX) for text in (length_s, step_s))
    begins = range(0, at + 1, step)
    return sum(begin <= at < begin + length + (ends == "closed") for begin in begins)
