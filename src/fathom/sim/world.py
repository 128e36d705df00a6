"""A world with a clock of its own: what shall happen, in order of time, on one thread, from one seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random
from typing import Any

from fathom.sim.counters import Counters
from fathom.sim.trace import Trace, Watch

__all__ = ["MS", "US", "S", "World"]

US, MS, S = 1_000, 1_000_000, 1_000_000_000  # nanoseconds


class World:
    """Simulated time, the dice, the trace and the counters of rare states.

    Nothing happens but what was put down with `at`. Two things at the same nanosecond happen in the order in which
    they were put down. Whoever lives here takes time only from `now_ns` and chance only from `dice`.
    """

    __slots__ = ("_count", "_heap", "counters", "now_ns", "reached", "seed", "trace")

    def __init__(self, seed: int | str, *, watch: Watch | None = None) -> None:
        self.seed = seed
        self.now_ns = 0
        self.trace = Trace(watch)
        self.counters = Counters()
        self.reached = self.counters.reached
        self._heap: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = 0

    def dice(self, purpose: str) -> Random:
        """Return dice of their own for one purpose, always the same for a seed.

        So one more draw for the network changes nothing about the disks. (Random(str) hashes with SHA-512: the same
        in every process.)
        """
        return Random(f"{self.seed}/{purpose}")

    def at(self, delay_ns: int, call: Callable[..., Any], *args: Any) -> None:
        """Let `call(*args)` happen so many nanoseconds from now. There is no taking back: calls look whether they
        still make sense."""
        self._count += 1
        heapq.heappush(self._heap, (self.now_ns + delay_ns, self._count, call, args))

    def run(self, until_ns: int | None = None, *, steps: int | None = None) -> int:
        """Let things happen until that time (then it is that time) or so many of them; return how many did.

        What a call raises ends the run, and carries a note of the seed and the time.
        """
        heap, pop = self._heap, heapq.heappop
        done, steps = 0, -1 if steps is None else steps
        while heap and done != steps and (until_ns is None or heap[0][0] <= until_ns):
            self.now_ns, _, call, args = pop(heap)
            done += 1
            try:
                call(*args)
            except Exception as broken:
                broken.add_note(f"in the world of seed {self.seed!r}, at {self.now_ns / S:.6f} s")
                raise
        if until_ns is not None and done != steps:
            self.now_ns = max(self.now_ns, until_ns)
        return done
