"""A replica has missed writes: who finds out, and who brings it what it missed?"""

from __future__ import annotations

from .. import Shaping

__all__ = ["HINTS", "NEVER_MS", "REPAIR_MS", "Repair"]

HINTS = 10_000  # kept for one owner
REPAIR_MS = 2_000  # between two exchanges with another replica
NEVER_MS = 1 << 40


class Repair(Shaping):
    """Which of the three ways to make replicas equal are used for the weak bucket."""

    default = "all"
