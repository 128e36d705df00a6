"""HTTP by hand: what a stranger could send, byte by byte, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

WITHIN_S = 20.0  # only ever reached when something hangs


class Got(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Conversation:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        lines = {"host": "localhost", **(headers or {})}
        if body:
            lines.setdefault("content-length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)

    async def answer(self) -> Got:
        """Return the next answer; its body is delimited by its length."""
        async with asyncio.timeout(WITHIN_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *rest = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Got(int(line.split()[1]), headers, body)

    async def ended(self) -> bytes:
        """Wait until the other side ends the connection; return what it still said."""
        async with asyncio.timeout(WITHIN_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def talk(where: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Conversation]:
    """Connect to `http://host:port`, `https://host:port` or `unix:/path`."""
    if where.startswith("unix:"):
        reader, writer = await asyncio.open_unix_connection(where.removeprefix("unix:"))
    else:
        at = urlsplit(where)
        reader, writer = await asyncio.open_connection(at.hostname, at.port, ssl=tls)
    try:
        yield Conversation(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # the other side was faster
            await writer.wait_closed()


async def get(
    where: str, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET", body: bytes = b""
) -> Got:
    """Ask once, on a connection of its own."""
    async with talk(where) as conversation:
        conversation.ask(method, path, headers, body)
        return await conversation.answer()


async def post(where: str, path: str, value: Any, headers: Mapping[str, str] | None = None) -> Got:
    """Post JSON once."""
    given = {"content-type": "application/json", **(headers or {})}
    return await get(where, path, given, method="POST", body=json.dumps(value).encode())


@asynccontextmanager
async def saying(folder: Path, said: bytes) -> AsyncIterator[str]:
    """Let a system be ordered about that hears one line, says this and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    where = str(folder / "control.sock")
    server = await asyncio.start_unix_server(serve, where)
    try:
        yield where
    finally:
        server.close()


def noises(good: Sequence[bytes], *, seed: int, number: int) -> Iterator[list[bytes]]:
    """Return whole requests that were cut, mixed up and doubled, each in pieces of any size."""
    dice = random.Random(seed)
    for _ in range(number):
        noise = bytearray(b"".join(dice.choices(good, k=dice.randint(1, 4))))
        for _ in range(dice.randint(0, 6)):
            at = dice.randrange(len(noise))
            if dice.random() < 0.5:
                noise[at] = dice.randrange(256)
            else:
                noise[at : at + dice.randint(1, 20)] = b" "
        pieces: list[bytes] = []
        while noise:
            size = dice.randint(1, 64)
            pieces.append(bytes(noise[:size]))
            del noise[:size]
        yield pieces
