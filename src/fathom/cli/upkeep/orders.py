"""Orders for a system that is up, taken on a socket that only this user can reach: one JSON line in, one out."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from fathom.errors import FathomError, Refusal
from fathom.web.control import Order, State, Watch

__all__ = ["Orders"]

ORDER_BYTES_MAX = 65_536
WATCHERS_MAX = 16

Carry = Callable[[Any], Awaitable[dict[str, Any]]]


class Orders:
    """Takes orders and has them carried out; tells the state to whoever watches."""

    def __init__(self, carry: Carry, state: Callable[[], State]) -> None:
        self._carry, self._state = carry, state
        self._watchers: set[asyncio.StreamWriter] = set()
        self._decoder = msgspec.json.Decoder(Order)
        self.control = ""

    @asynccontextmanager
    async def taken(self, folder: Path) -> AsyncIterator[None]:
        """Take orders for the length of a block."""
        self.control = str(folder / "control.sock")
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._serve, self.control, limit=ORDER_BYTES_MAX)
        finally:
            os.umask(before)
        try:
            yield
        finally:
            server.close()
            for writer in list(self._watchers):
                writer.close()

    def tell(self) -> None:
        """Tell the state as it is now to all who watch. Who does not read it is hung up on: there is no backlog."""
        if not self._watchers:
            return
        line = self._line()
        for writer in list(self._watchers):
            if writer.is_closing() or writer.transport.get_write_buffer_size() > 4 * len(line):
                self._watchers.discard(writer)
                writer.close()
            else:
                writer.write(line)

    def _line(self) -> bytes:
        return msgspec.json.encode(self._state()) + b"\n"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = self._decoder.decode(await reader.readline())
            if isinstance(order, Watch):
                await self._watch(reader, writer)
                return
            answer = await self._carry(order)
        except (FathomError, Refusal) as told:
            answer = _told(told)
        except (ValueError, msgspec.MsgspecError) as unfit:
            answer = FathomError("the order cannot be read", why=str(unfit), fix="use: fathom switch").as_json()
        with contextlib.suppress(OSError):
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        writer.close()

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._watchers) >= WATCHERS_MAX:
            raise FathomError(
                "nobody else can watch this system", why=f"{WATCHERS_MAX} do already", fix="end one that does"
            )
        line = self._line()  # what it refuses is still to be told: from here on the connection is only ended
        self._watchers.add(writer)
        try:
            writer.write(line)
            with contextlib.suppress(OSError):
                await reader.read(1)  # nothing more is expected: it ends when the other side does
        finally:
            self._watchers.discard(writer)
            writer.close()


def _told(told: FathomError | Refusal) -> dict[str, Any]:
    if isinstance(told, FathomError):
        return told.as_json()
    return FathomError(told.says, why="it contradicts what is going on", fix="try again in a moment").as_json()
