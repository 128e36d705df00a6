"""How often a simulation came where it is dangerous: a simulation counts by the rare states it has reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

__all__ = ["Counters"]


class Counters(Counter[str]):
    """Named rare states, and how often each was reached; counters of many seeds are added up with `update`.

    FoundationDB marks such places in its code with TEST() and reports those that no run has reached.

    >>> counters = Counters()
    >>> counters.reached("a hint came after its tombstone")
    >>> counters.missed(["a hint came after its tombstone", "a disk came back empty"], times=1)
    ['a disk came back empty']
    """

    def reached(self, state: str) -> None:
        """Count one more time that this state was reached."""
        self[state] += 1

    def missed(self, states: Iterable[str], *, times: int = 10) -> list[str]:
        """Return those of `states` that were reached fewer than so many times."""
        return [state for state in states if self[state] < times]

    def table(self) -> str:
        """Return a line for each state, the rarest first."""
        rarest = sorted(self.items(), key=lambda item: (item[1], item[0]))
        return "\n".join(f"{times:>9,}  {state}" for state, times in rarest)
