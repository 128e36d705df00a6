"""What is to happen later, in order; the time of the next is what the node asks to be woken at."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

__all__ = ["Timers"]


class Timers:
    """Calls by the monotonic clock of this life, in milliseconds; those of one moment in the order they were asked."""

    __slots__ = ("_heap", "_number", "now_ms")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self.now_ms = 0

    def after(self, ms: int, call: Callable[..., None], *given: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (self.now_ms + max(0, ms), self._number, call, given))

    @property
    def next_ms(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def ring(self) -> None:
        """Make every call that is due."""
        heap = self._heap
        while heap and heap[0][0] <= self.now_ms:
            _, _, call, given = heapq.heappop(heap)
            call(*given)
