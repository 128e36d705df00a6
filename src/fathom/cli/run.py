"""Runs what a command awaits, and lets Ctrl-C, a closed terminal and a polite end all mean the same: clean up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["complete"]

T = TypeVar("T")


def complete(body: Coroutine[Any, Any, T]) -> T:
    """Run to the end and return what it returns.

    The first Ctrl-C cancels it, so that every block on the way out ends what it started; a second one gives up
    waiting for that (the keeper ends the children by itself).
    """
    with asyncio.Runner(loop_factory=_loop()) as runner:
        return runner.run(_with_signals(body))


async def _with_signals(body: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread: then they are not ours
            loop.add_signal_handler(number, os.kill, os.getpid(), signal.SIGINT)
    return await body


def _loop() -> Any:
    """Return the maker of the fastest event loop that this platform has."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
