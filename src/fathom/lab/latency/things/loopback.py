"""A byte to another process and back, through TCP on loopback."""

from __future__ import annotations

import socket

from ..bench import Bench, Samples
from ..peer import answering, pinged
from ..table import Told

METHOD = "one connection without Nagle's delay, blocking calls, the other process on another core where there is one"
TOLD = Told.napkin(10e-6)


async def run(bench: Bench) -> Samples:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        theirs, _ = server.accept()
        for end in (ours, theirs):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = theirs.detach()
        with answering(line, line, bench.placement.system):
            return bench.each(lambda: pinged(ours))
