"""An event loop whose time is a simulated world's: the client's own code runs in it, the same way each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from fathom.sim.world import S, World

__all__ = ["Loop", "Stuck"]


class Stuck(Exception):
    """Everybody waits, and nothing will ever happen."""


class Loop(asyncio.BaseEventLoop):
    """All timers lie in the world; what asyncio would do in threads is done at once."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._selector = self  # asks `select` when nothing is ready

    def time(self) -> float:
        return self._world.now_ns / S

    def select(self, timeout: float | None) -> list[Any]:
        ready: Any = self._ready  # type: ignore[attr-defined]
        while timeout != 0 and not ready:
            if not self._world.run(steps=1):
                raise Stuck("everybody waits for something that will not happen")
        return []

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._world.at(max(0, round((when - self.time()) * S)), self._fire, timer)
        return timer

    def _fire(self, timer: asyncio.TimerHandle) -> None:
        if not timer.cancelled():
            self._ready.append(timer)  # type: ignore[attr-defined]

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as fault:
            done.set_exception(fault)
        return done

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
