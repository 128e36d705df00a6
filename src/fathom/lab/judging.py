"""How long it takes to judge a trial: everyone looks once more, all is written down, the laws are held against it.

The time goes by the number of calls: those that the last look makes, and those that the history then has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fathom.lab.dive import Dive

__all__ = ["READS_KEPT_MAX", "foreseen_s"]

READS_KEPT_MAX = 6_000  # that a history keeps of a trial; changes are all kept
USERS = 1_000  # where a dive does not say how many it lays out
LOOKS_EACH = 1.5  # calls for each user: some only write, some look at two pages; 1.3 and 1.5 in a deep dive
LOOK_S = 0.0005  # a call of a last look: 0.2 to 0.9 ms by approach and fault, 0.52 on average of fifteen trials
CALL_S = 0.00017  # a call of a history: put together, written and judged; 0.14 to 0.16 ms (benchmarks.judging)
SETTLE_S = 0.5  # until all that was accepted has taken effect: 0 to 0.8 s


def foreseen_s(dive: type[Dive[Any]], point: Any, rates: Mapping[str, float], lasts_s: float) -> float:
    """Return how long judging one approach after one trial will take, by the load of the trial and who will look."""
    users = dive().users((point,))
    looks = LOOKS_EACH * (users[1] if users else USERS)
    reads = sum(rate for op, rate in rates.items() if dive.operations[op].reads)
    changes = sum(rates.values()) - reads
    calls = looks + min(READS_KEPT_MAX, reads * lasts_s) + changes * lasts_s
    return SETTLE_S + looks * LOOK_S + calls * CALL_S
