"""CPU time that is spent to the microsecond, and clerks that are held for as long as they are asked to be."""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections.abc import Callable

__all__ = ["Account", "Clerks", "evenly"]

WAY_NS = 400_000  # what reading a request and writing its answer may take; beyond it something else was done meanwhile


class Account:
    """Keeps the process's own CPU clock in step with what its operations are to cost.

    What the way in and out of an operation takes (reading, answering) is part of its cost: so much less is spent in
    the loop. So what the process uses, the operations cost, whatever the door before them does. What was used for
    anything else, such as the lab's own questions between two measurements, is nobody's: it is told by its length.
    """

    def __init__(self, clock_ns: Callable[[], int] = time.process_time_ns) -> None:
        self._clock_ns = clock_ns
        self._settled_ns = clock_ns()  # where the clock would stand if all had cost what it was to cost

    def spend(self, us: float) -> None:
        """Use CPU until the last operation's end and this one's cost have come together."""
        now = self._clock_ns()
        way_ns, cost_ns = now - self._settled_ns, round(us * 1000)
        begun = self._settled_ns if way_ns < min(WAY_NS, cost_ns) else now
        self._settled_ns = until = begun + cost_ns
        while self._clock_ns() < until:
            pass


class Clerks:
    """Serve one each at a time, in the order of coming.

    A clerk who goes on to the next without a rest reckons from when the one before was to be done, so that waking up a
    little late does not add up: the times are those that were asked for.
    """

    def __init__(self, count: int) -> None:
        self._line: queue.SimpleQueue[_Held | None] = queue.SimpleQueue()
        self._clerks = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for clerk in self._clerks:
            clerk.start()

    async def hold(self, held_s: float) -> None:
        done = asyncio.get_running_loop().create_future()
        self._line.put(_Held(held_s, done))
        await done

    def close(self) -> None:
        """Let all of them go home, once nobody waits any more."""
        for _ in self._clerks:
            self._line.put(None)
        for clerk in self._clerks:
            clerk.join()

    def _serve(self) -> None:
        free_s = 0.0
        while (held := self._line.get()) is not None:
            free_s = max(free_s, held.came_s) + held.lasts_s
            time.sleep(max(0.0, free_s - time.perf_counter()))
            held.end()


class _Held:
    """Somebody who waits for a clerk, and since when."""

    def __init__(self, lasts_s: float, done: asyncio.Future[None]) -> None:
        self.lasts_s, self._done = lasts_s, done
        self.came_s = time.perf_counter()

    def end(self) -> None:
        self._done.get_loop().call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        if not self._done.done():
            self._done.set_result(None)


def evenly(dice: random.Random, mean: float, spread: float) -> float:
    """Draw a number between `mean` less and more a share of it, each as likely."""
    return mean * (1 + spread * (2 * dice.random() - 1))
