"""A control on each core that only sleeps: how late it wakes is the machine's doing, not the system's.

This file is also the control itself, run by its path in a process of its own, so it knows nothing but the standard
library. A tail of latencies that is no longer than this one belongs to the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple

SLEEP_S = 0.001
SLEEPS_MAX = 120_000  # two minutes of samples; beyond it nothing more is kept


class Hiccup(NamedTuple):
    """How late the control of one core woke, in seconds."""

    core: int
    n: int
    p50_s: float
    p99_s: float
    max_s: float


class Hiccups:
    """The controls of some cores; they sleep only between `begin` and `end`."""

    def __init__(self, controls: dict[int, asyncio.subprocess.Process]) -> None:
        self._controls = controls

    @classmethod
    @contextlib.asynccontextmanager
    async def on(cls, cores: Iterable[int]) -> AsyncIterator[Hiccups]:
        """Start a control per core; they are gone when the block is left, or when this process is."""
        pipe = asyncio.subprocess.PIPE
        async with contextlib.AsyncExitStack() as ends:
            controls: dict[int, asyncio.subprocess.Process] = {}
            for core in sorted(cores):
                argv = [sys.executable, "-I", "-S", str(Path(__file__)), str(core)]
                controls[core] = await asyncio.create_subprocess_exec(
                    *argv, stdin=pipe, stdout=pipe, start_new_session=True
                )
                ends.push_async_callback(_end, controls[core])
            hiccups = cls(controls)
            await hiccups._said()  # they sleep from the first moment on which they are asked to
            yield hiccups

    def pids(self) -> tuple[int, ...]:
        return tuple(control.pid for control in self._controls.values())

    def begin(self) -> None:
        for control in self._controls.values():
            assert control.stdin is not None
            control.stdin.write(b"begin\n")

    async def end(self) -> list[Hiccup]:
        """Return how late each control woke since `begin`."""
        for control in self._controls.values():
            assert control.stdin is not None
            control.stdin.write(b"end\n")
        return await self._said()

    async def _said(self) -> list[Hiccup]:
        found = []
        for core, control in self._controls.items():
            assert control.stdout is not None
            line = await asyncio.wait_for(control.stdout.readline(), 10.0)
            found.append(Hiccup(core, *json.loads(line)))
        return found


async def _end(control: asyncio.subprocess.Process) -> None:
    assert control.stdin is not None
    control.stdin.close()  # it ends by itself when nobody listens any more
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(control.wait(), 2.0)
        return
    control.kill()
    await control.wait()


def _sleep_until_told(core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    print("[0, 0, 0, 0]", flush=True)  # ready
    while said := os.read(0, 64):  # "begin"; nothing when the one who listens is gone
        late: list[float] = []
        while b"end" not in said:
            start = time.perf_counter()
            if select.select([0], [], [], SLEEP_S)[0]:
                said = os.read(0, 64)
                if not said:
                    return
                continue
            if len(late) < SLEEPS_MAX:
                late.append(time.perf_counter() - start - SLEEP_S)
        late.sort()
        n = len(late)
        shown = [late[n // 2], late[min(n - 1, n * 99 // 100)], late[-1]] if late else [0.0, 0.0, 0.0]
        print(json.dumps([n, *(round(max(0.0, value), 7) for value in shown)]), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        _sleep_until_told(int(sys.argv[1]))
