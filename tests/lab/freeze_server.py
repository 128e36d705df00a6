"""An HTTP server in a process of its own, for tests that stop it: `python freeze_server.py SOCKET`."""

from __future__ import annotations

import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.held += data
        asked = self.held.count(b"\r\n\r\n")
        if asked:
            self.held = self.held[self.held.rindex(b"\r\n\r\n") + 4 :]
            self.transport.write(ANSWER * asked)  # pyright: ignore[reportAttributeAccessIssue]


async def main(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(Connection, path)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
