"""The demo's traffic: people who come when they like, whether or not the system keeps up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from fathom.engines.ledger import charging
from fathom.errors import FathomError, Refusal
from fathom.lab.stats import nearest_rank
from fathom.web.control import LOAD_MAX, Flow

__all__ = ["Client", "Cohort", "Crowd", "Demo"]

UNDER_WAY_MAX = 256  # more calls at once are not sent, and counted
WINDOW_S = 3.0  # over which rates and latencies are told
LATE_S = 1.0  # who is so much behind (the machine slept) begins anew instead of sending all at once

Client = AbstractAsyncContextManager[Any]


class Cohort(Protocol):
    """A few people who know only each other: what they see can be held against the laws."""

    members: Sequence[Any]

    async def act(self, client: Any, who: Any, dice: random.Random) -> None:
        """Do one thing that people do."""
        ...

    async def look(self, client: Any, who: Any) -> None:
        """Look at all that there is for one of them."""
        ...


class Demo(Protocol):
    """What a system's room `demo` gives: a class called Demo, made with a seed. Its operations are methods."""

    rates: Mapping[str, float]  # operation → calls per second at first; the two that matter most first
    choices: Mapping[str, str]  # decision → approach to begin with
    knobs: Mapping[str, str]
    spared: Mapping[str, str]  # engines that must not be wiped, and why

    async def settle(self, stores: Any, client: Any) -> tuple[str, str]:
        """Populate an empty system, in bulk; return name and password of somebody who can log in."""
        ...

    async def cohort(self, client: Any, dice: random.Random) -> Cohort:
        """Let a few new people join."""
        ...


class _End(NamedTuple):
    at_s: float
    op: str
    took_s: float | None  # None: it failed


class Crowd:
    """Calls at random times, so many per second on average; each one's latency counts from when it was due."""

    def __init__(self, demo: Demo, client: Client, seed: int) -> None:
        self.demo, self._client = demo, client
        self._dice = random.Random(f"{seed}/crowd")
        self._ends: deque[_End] = deque(maxlen=20_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._fault: Exception | None = None
        self.factor, self.paused, self.unsent = 1.0, "", 0

    def turn(self, factor: float) -> None:
        """Let it be so many times as much as at first."""
        if not 0 <= factor <= LOAD_MAX:
            raise FathomError(
                f"the traffic cannot be {factor:g} times as much",
                why=f"one machine holds both it and the system, so it is 0 to {LOAD_MAX:g}",
                fix="say for example 2",
            )
        self.factor = factor
        self._changed.set()

    def pause(self, why: str) -> None:
        """Send nothing while there is a reason; an empty one ends it."""
        if why != self.paused:
            self.paused = why
            self._changed.set()

    async def living(self) -> None:
        """Go on until cancelled, or until the demo's own code breaks."""
        async with self._client as client:
            try:
                await self._arrive(client)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _arrive(self, client: Any) -> None:
        now = asyncio.get_running_loop().time
        names, weights = list(self.demo.rates), list(self.demo.rates.values())
        due = now()
        while True:
            if self._fault is not None:
                raise self._fault
            per_s = 0.0 if self.paused else self.factor * sum(weights)
            if not per_s:
                self._changed.clear()
                await self._changed.wait()
                due = now()
                continue
            due += self._dice.expovariate(per_s)
            if due - now() > 0:
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(due):
                        await self._changed.wait()
                if self._changed.is_set():  # also where that came in the moment in which time was up
                    due = now()  # another rate: draw again from here
                    continue
            elif now() - due > LATE_S:
                due = now()
            if len(self._tasks) >= UNDER_WAY_MAX:
                self.unsent += 1
                continue
            (op,) = self._dice.choices(names, weights)
            task = asyncio.create_task(self._one(client, op, due))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _one(self, client: Any, op: str, due: float) -> None:
        now = asyncio.get_running_loop().time
        took_s = None
        try:
            with charging(op):
                await getattr(self.demo, op)(client, self._dice)
            took_s = now() - due
        except (Refusal, FathomError, TimeoutError, OSError):
            pass  # a failed call is counted, and the next one is sent all the same
        except Exception as fault:  # no client raises this
            self._fault = self._fault or fault
            self._changed.set()
        self._ends.append(_End(now(), op, took_s))

    def flows(self) -> tuple[Flow, ...]:
        """Return what came of each operation within the last seconds."""
        since = asyncio.get_running_loop().time() - WINDOW_S
        while self._ends and self._ends[0].at_s < since:
            self._ends.popleft()
        return tuple(self._flow(op) for op in self.demo.rates)

    def _flow(self, op: str) -> Flow:
        mine = [end for end in self._ends if end.op == op]
        took = sorted(end.took_s for end in mine if end.took_s is not None)
        return Flow(
            op=op,
            per_s=len(took) / WINDOW_S,
            failed_per_s=(len(mine) - len(took)) / WINDOW_S,
            p50_ms=1_000 * nearest_rank(took, 0.5) if took else None,
            p99_ms=1_000 * nearest_rank(took, 0.99) if took else None,
        )
