"""How long things are kept for somebody, and how often the shop looks after what was left."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Rules"]


@dataclass(frozen=True)
class Rules:
    """Seconds, all of them by the clock of the database."""

    hold_s: float = 600.0  # what an order wants is set aside for so long
    seats_s: float = 120.0  # seats are held for so long, until somebody checks out with them
    paying_s: float = 60.0  # and for at least so long from when it is being paid
    sweep_s: float = 1.0  # between two looks after what is overdue
    ask_again_s: float = 2.0  # after which the provider is asked what became of an attempt
    back_s: float = 5.0  # after which what was begun and not ended was left by a crash
    lease_s: float = 30.0  # for which a worker has a job to itself
    tries_max: int = 4  # of a job; then it is dead
