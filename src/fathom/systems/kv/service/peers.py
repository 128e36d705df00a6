"""Connections to the other nodes: one each way, framed, bounded, and known to be of the same cluster before a word."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import ssl
from collections import deque
from collections.abc import Callable

import msgspec

from ..core.messages import Envelope

__all__ = ["FRAME_BYTES_MAX", "Hello", "Peers"]

log = logging.getLogger("fathom.kv")

PROTOCOL = 1
FRAME_BYTES_MAX, HELLO_BYTES_MAX = 32 << 20, 4_096
UNKNOWN_MAX = 64  # connections that have not said who they are
WAITING_BYTES_MAX = 64 << 20  # for one peer; what comes beyond is lost, as on a bad line
HELLO_S = 5.0
ACCEPTED_TURNS = 8  # of the loop, until what was accepted is a connection: asyncio forgets it if the server is closed
AGAIN_S = (0.05, 1.0)  # between two attempts to reach a peer: at first, at most


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame of a connection: who calls, of which cluster, and that it may."""

    protocol: int
    cluster: str
    node: str
    token: str
    peer: str = ""  # where the caller listens itself: one that has forgotten everything can answer it


_encode = msgspec.msgpack.Encoder().encode
_encode_into = msgspec.msgpack.Encoder().encode_into
_decode = msgspec.msgpack.Decoder(Envelope).decode
_decode_hello = msgspec.msgpack.Decoder(Hello).decode


class Peers:
    """Sends to other nodes over connections that this one opens, and takes what comes over those that they open.

    A message that cannot be sent is lost: the node's protocol lives with that. `addresses` says where a node is, as
    far as the topology tells.
    """

    def __init__(
        self,
        me: str,
        cluster: str,
        received: Callable[[str, Envelope], None],
        address_of: Callable[[str], tuple[str, int] | None],
        *,
        token: str = "",
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    ) -> None:
        self.me, self._cluster, self._received, self._address_of, self._token = me, cluster, received, address_of, token
        self._serving_tls, self._calling_tls = tls or (None, None)
        self._lines: dict[str, _Line] = {}
        self._server: asyncio.Server | None = None
        self._taking: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._unknown = 0
        self._closed = False
        self._told: dict[str, tuple[str, int]] = {}  # where those who called say that they listen
        self.lost = 0

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Take connections; return where."""
        self._server = await asyncio.start_server(self._take, host, port, ssl=self._serving_tls, limit=1 << 18)
        at = self._server.sockets[0].getsockname()
        return at[0], at[1]

    async def close(self) -> None:
        self._closed = True
        if self._server is not None:
            for socket in self._server.sockets:
                asyncio.get_running_loop().remove_reader(socket.fileno())  # nobody is accepted any more
            for _ in range(ACCEPTED_TURNS):
                await asyncio.sleep(0)
            self._server.close()
        for line in self._lines.values():
            line.task.cancel()
        for writer in self._taking.values():
            writer.transport.abort()  # its task ends by itself: of one that is cancelled asyncio complains
        await asyncio.gather(*(line.task for line in self._lines.values()), *self._taking, return_exceptions=True)

    # Sending ---------------------------------------------------------------------------------------------------------

    def send(self, to: str, body: Envelope) -> None:
        line = self._lines.get(to)
        if line is None:
            line = self._lines[to] = _Line(asyncio.get_running_loop().create_task(self._keep_up(to)))
        frame = bytearray(4)
        _encode_into(body, frame, 4)
        if len(frame) - 4 > FRAME_BYTES_MAX:  # it would end the connection, and be sent again over the next
            log.warning("%s lost a message of %s bytes to %s", self.me, f"{len(frame):,}", to)
            self.lost += 1
            return
        frame[:4] = (len(frame) - 4).to_bytes(4, "big")
        if line.bytes + len(frame) > WAITING_BYTES_MAX:
            self.lost += 1
            return
        line.frames.append(frame)
        line.bytes += len(frame)
        if not line.wake.done():
            line.wake.set_result(None)

    async def _keep_up(self, to: str) -> None:
        """Hold a connection to a peer while there is something to send; open it anew when it breaks."""
        line, again_s = None, AGAIN_S[0]
        await asyncio.sleep(0)
        line = self._lines[to]
        while True:
            await line.wake
            writer = None
            try:
                async with asyncio.timeout(HELLO_S):
                    writer = await self._call(to)
                again_s = AGAIN_S[0]
                await self._pump(line, writer)
            except (OSError, TimeoutError, ssl.SSLError) as fault:
                log.debug("%s cannot reach %s: %s", self.me, to, fault)
                self.lost += len(line.frames)
                line.drop()
                await asyncio.sleep(again_s)
                again_s = min(2 * again_s, AGAIN_S[1])
            finally:
                if writer is not None:
                    writer.close()

    async def _call(self, to: str) -> asyncio.StreamWriter:
        address = self._address_of(to) or self._told.get(to)
        if address is None:
            raise OSError(f"nobody knows where {to} is")
        _, writer = await asyncio.open_connection(*address, ssl=self._calling_tls)
        here = "{}:{}".format(*mine) if (mine := self._address_of(self.me)) else ""
        hello = _encode(Hello(protocol=PROTOCOL, cluster=self._cluster, node=self.me, token=self._token, peer=here))
        writer.write(len(hello).to_bytes(4, "big") + hello)
        return writer

    async def _pump(self, line: _Line, writer: asyncio.StreamWriter) -> None:
        while True:
            await line.wake
            frames = line.taken()
            if writer.is_closing():
                raise OSError("the connection has ended")
            writer.writelines(frames)
            await writer.drain()

    # Taking ----------------------------------------------------------------------------------------------------------

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._taking[task] = writer
        try:
            if self._closed or self._unknown >= UNKNOWN_MAX:
                return
            hello = await self._said(reader)
            if not self._may(hello):
                log.warning("%s turned away %r of cluster %r", self.me, hello.node, hello.cluster)
                return
            host, _, port = hello.peer.rpartition(":")
            if host and port.isdigit():
                self._told[hello.node] = host, int(port)
            while True:
                self._received(hello.node, _decode(await self._frame(reader)))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass
        except (msgspec.MsgspecError, ValueError) as fault:
            log.warning("%s was told what nobody can read: %s", self.me, fault)
        finally:
            del self._taking[task]
            with contextlib.suppress(Exception):
                writer.close()

    async def _said(self, reader: asyncio.StreamReader) -> Hello:
        self._unknown += 1
        try:
            async with asyncio.timeout(HELLO_S):
                return _decode_hello(await self._frame(reader, HELLO_BYTES_MAX))
        finally:
            self._unknown -= 1

    def _may(self, hello: Hello) -> bool:
        return (
            hello.protocol == PROTOCOL
            and hello.cluster in (self._cluster, "")
            and hmac.compare_digest(hello.token.encode(), self._token.encode())
        )

    @staticmethod
    async def _frame(reader: asyncio.StreamReader, most: int = FRAME_BYTES_MAX) -> bytes:
        length = int.from_bytes(await reader.readexactly(4), "big")
        if length > most:
            raise ValueError(f"a frame of {length:,} bytes; at most {most:,}")
        return await reader.readexactly(length)


class _Line:
    """What waits to be sent to one peer."""

    __slots__ = ("bytes", "frames", "task", "wake")

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.frames: deque[bytearray] = deque()
        self.bytes = 0
        self.wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def taken(self) -> list[bytearray]:
        frames = list(self.frames)
        self.drop()
        return frames

    def drop(self) -> None:
        self.frames.clear()
        self.bytes = 0
        self.wake = asyncio.get_running_loop().create_future()
