"""A byte to another process and back, through a Unix socket."""

from __future__ import annotations

import socket

from ..bench import Bench, Samples
from ..peer import answering, pinged

METHOD = "a pair of stream sockets, blocking calls, the other process on another core where there is one"
TOLD = None


async def run(bench: Bench) -> Samples:
    ours, theirs = socket.socketpair()
    line = theirs.detach()
    with ours, answering(line, line, bench.placement.system):
        return bench.each(lambda: pinged(ours))
