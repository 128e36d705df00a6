"""Ports of our own: one that is free, or the one that an engine had, which somebody else may hold for a moment."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from fathom.errors import EXIT_BROKE, FathomError

__all__ = ["Taken", "free_port", "when_free"]

TRIES = 5  # how many free ports are drawn before we give up
HAD_S = 3.0  # how long a port that was ours is waited for
AGAIN_S = 0.05

T = TypeVar("T")


class Taken(Exception):
    """Somebody else listens there; `fault` is what to say if it stays so."""

    def __init__(self, fault: FathomError) -> None:
        super().__init__()
        self.fault = fault


async def when_free(start: Callable[[], Awaitable[T]], *, had: bool) -> T:
    """Call `start` until it does not raise `Taken`: while it may yet be ours if it `had` a port, else a few times."""
    loop = asyncio.get_running_loop()
    until, tries = loop.time() + HAD_S, 0
    while True:
        tries += 1
        try:
            return await start()
        except Taken as taken:
            if loop.time() > until if had else tries == TRIES:
                raise taken.fault from None
        await asyncio.sleep(AGAIN_S)  # nobody tells when they let go of it


_next_port = random.SystemRandom().randrange(1 << 20)  # processes beside each other must not begin at the same


def free_port() -> int:
    """Return a TCP port on which nobody listens now.

    It lies below the range from which the system takes the ports of outgoing connections: there, a client that keeps
    trying to reach an engine that is down may be given that engine's own port, connect to itself, and keep the engine
    from coming back. Someone may take it before you do: be ready to ask for another. None is given twice while
    there are others: who asked before may not listen yet, or be down for a moment.
    """
    global _next_port
    first, last = 20_000, 32_000
    with contextlib.suppress(OSError, ValueError):
        last = min(last, int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0]) - 1)
    for _ in range(200):
        _next_port += 1
        port = first + _next_port % (last - first) if last - first > 1_000 else 0
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise FathomError(
        "there is no free TCP port on this machine",
        why=f"200 ports between {first} and {last} were tried, and all are taken",
        fix="end what holds so many of them (`ss -tln`)",
        code=EXIT_BROKE,
    )
