"""The client's end of a websocket: frames, pings and closing are the library's, the connection is the pool's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from .pool import Answer, Connection, Lost, Pool

__all__ = ["Talking"]

MESSAGE_BYTES_MAX = 4 * 1024
READ_BYTES = 16 * 1024


class Talking:
    """What is told on a connection that was upgraded to a websocket. Pings are answered whenever something is heard.

    Raises `Lost` where none can be asked for at such an address.
    """

    def __init__(self, connection: Connection, pool: Pool, path: str) -> None:
        self._connection, self._where = connection, pool.where
        scheme = "wss" if pool.tls else "ws"
        try:
            uri = parse_uri(f"{scheme}://{pool.where}{path}")
        except InvalidURI as unfit:
            raise Lost(f"no websocket can be asked for at {pool.where}: {unfit}") from None
        self._protocol = ClientProtocol(uri, max_size=MESSAGE_BYTES_MAX)
        self._told: list[bytes] = []
        self._answered: Response | None = None

    async def upgrade(self, fields: Sequence[tuple[str, str]]) -> Answer | None:
        """Ask for a websocket; return what was answered instead, or None. Raises `Lost`."""
        request = self._protocol.connect()
        for name, value in fields:
            request.headers[name] = value
        self._protocol.send_request(request)
        self._say()
        while self._answered is None and await self._hear():
            pass
        if self._answered is None:
            raise Lost(f"the connection to {self._where} broke in the handshake")
        if self._protocol.handshake_exc is None:
            return None
        answer = self._answered
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        return Answer(answer.status_code, headers, bytes(answer.body or b""))

    async def message(self, silent_s: float) -> bytes | None:
        """Return the next message; None: the other side has closed. TimeoutError: there was no sign of life so long."""
        while not self._told:
            async with asyncio.timeout(silent_s):
                more = await self._hear()
            if not more and not self._told:
                return None
        return self._told.pop(0)

    async def _hear(self) -> bool:
        """Take in what comes; tell whether more may come."""
        data = await self._connection.some(READ_BYTES)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._answered = event
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._told.append(bytes(event.data))
        self._say()
        return bool(data) and not self._protocol.close_expected()

    def _say(self) -> None:
        self._connection.say(b"".join(self._protocol.data_to_send()))
