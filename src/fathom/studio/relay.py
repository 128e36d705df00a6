"""Hears the state of the system once, and passes it on to every page that is open."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from fathom.errors import EXIT_BROKE, FathomError
from fathom.studio.slots import Slots, slots_of
from fathom.studio.strip import SECONDS, Sample
from fathom.web import control
from fathom.web.control import Order, State

__all__ = ["Relay"]

PAGES_MAX = 32
ALIVE_S = 10.0  # an open page hears something at least so often
ORDER_S = 60.0
HEARD_S = 1.0  # after an order the system tells its state at once


class Relay:
    """One watch of the system; each page is told what has changed since it was told last."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.state: State | None = None
        self.slots: Slots = {}
        self._samples: deque[Sample] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._lost: FathomError | None = None
        self.pages = 0

    async def relaying(self) -> None:
        """Pass on what the system tells, until it ends."""
        try:
            async for state in control.watch(self._where):
                self._take(state)
        except FathomError as lost:
            self._lost = lost
            raise
        finally:
            self._ended = True
            self._tell()

    def _take(self, state: State) -> None:
        self.state = state
        last = self._samples[-1].at_s if self._samples else -1.0
        if state.at_s - last >= 0.4:  # told also in between, when something is done
            self._samples.append(Sample.of(state))
        while self._samples and self._samples[0].at_s < state.at_s - SECONDS - 1:
            self._samples.popleft()
        self.slots = slots_of(state, self._samples)
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def first(self) -> State:
        """Return the state once there is one; raise why there will be none."""
        while self.state is None:
            if self._ended:
                raise self._lost or FathomError(
                    "there is nothing to show", why="the system has ended", fix="fathom up --demo", code=EXIT_BROKE
                )
            await self._changed.wait()
        return self.state

    async def patches(self, seen: Mapping[str, str]) -> AsyncIterator[Slots]:
        """Yield what has changed, again and again; an empty one says no more than that all is well."""
        self.pages += 1
        try:
            told = dict(seen)
            while not self._ended:
                changed, slots = self._changed, self.slots
                yield {key: value for key, value in slots.items() if told.get(key) != value}
                told = slots
                with suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_S):
                        await changed.wait()
        finally:
            self.pages -= 1

    async def order(self, order: Order) -> dict[str, Any]:
        """Have an order carried out and hear what has come of it; what the system refuses is raised."""
        changed = self._changed
        answer = await control.ask(self._where, order, ORDER_S)
        with suppress(TimeoutError):  # it may have changed nothing
            async with asyncio.timeout(HEARD_S):
                await changed.wait()
        return answer
