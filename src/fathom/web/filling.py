"""A large body received where it is to lie: past the parser and past all that would pass it on in pieces.

Each byte that goes through a parser, a buffer of the server's, a message and a list of pieces is copied four times, and
all of that is done by the one thread that everybody waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Filling"]

SCRATCH_BYTES = 1 << 16


class Filling(asyncio.BufferedProtocol):
    """Stands in for a connection's protocol until so many bytes have come as there is room for.

    `ended`: no more will come, all or not (`whole`). Nothing behind them is read: that is the next request's. `took`
    is called with the end, and told whether all of it is there, so that one can go back to the protocol. Who does not
    wait for the rest says `stop`: whatever comes is thrown away then, for nobody could tell where a request begins.
    """

    def __init__(self, room: memoryview, protocol: asyncio.Protocol, took: Callable[[bool], None]) -> None:
        self._room, self._protocol, self._took = room, protocol, took
        self.filled = 0
        self.whole = self._stopped = False
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        if not self.whole:
            self._stopped, self._room = True, memoryview(bytearray(SCRATCH_BYTES))
            self._end()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room if self._stopped else self._room[self.filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._stopped:
            return
        self.filled += nbytes
        if self.filled == len(self._room):
            self.whole = True
            self._end()

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
            self._took(self.whole)
