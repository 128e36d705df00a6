"""Runs what a command awaits, and lets Ctrl-C, a closed terminal and a polite end all mean the same: clean up."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from fathom.engines.loop import fastest

__all__ = ["complete"]

T = TypeVar("T")


def complete(body: Coroutine[Any, Any, T]) -> T:
    """Run to the end and return what it returns.

    The first Ctrl-C cancels it, so that every block on the way out ends what it started; a second one gives up
    waiting for that (the keeper ends the children by itself).
    """
    with asyncio.Runner(loop_factory=fastest()) as runner:
        return runner.run(_with_signals(body))


async def _with_signals(body: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has asked that a closed terminal means nothing
            with contextlib.suppress(ValueError, RuntimeError):  # not in the main thread: then they are not ours
                loop.add_signal_handler(number, end)
    try:
        return await body
    except asyncio.CancelledError:
        # Not by way of SIGINT: a shell has its background jobs ignore that one.
        if ended:
            raise KeyboardInterrupt from None
        raise
