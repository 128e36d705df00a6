"""A client that says exactly these bytes, and shows exactly what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import hiredis

SOON_S = 5.0


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that nobody is told of."""
    async with asyncio.timeout(SOON_S):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Failed(str):
    """An error reply."""


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        failed: Any = Failed  # any type that a text makes will do
        self._replies = hiredis.Reader(replyError=failed, protocolError=AssertionError)

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    def send(self, *commands: str | bytes | tuple[Any, ...]) -> None:
        """Send commands in one go: a string is split into words, a tuple is words, bytes are sent as they are."""
        self.writer.write(b"".join(command if isinstance(command, bytes) else packed(command) for command in commands))

    async def reply(self) -> Any:
        while (reply := self._replies.gets()) is False:
            data = await asyncio.wait_for(self.reader.read(1 << 16), SOON_S)
            if not data:
                raise EOFError
            self._replies.feed(data)
        return reply

    async def ask(self, *commands: str | bytes | tuple[Any, ...]) -> Any:
        """Return the reply of one command, or the list of those of several."""
        self.send(*commands)
        replies = [await self.reply() for _ in commands]
        return replies[0] if len(replies) == 1 else replies

    async def ends(self) -> bool:
        """Whether the node closes the connection, with nothing more to say."""
        return self._replies.gets() is False and not await asyncio.wait_for(self.reader.read(), SOON_S)


def packed(command: str | tuple[Any, ...]) -> bytes:
    words = command.split() if isinstance(command, str) else command
    raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(raw), *(b"$%d\r\n%b\r\n" % (len(word), word) for word in raw)])
