"""The web server under a door: uvicorn, bounded in connections, in the size of a head, in the time to arrive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from fathom.errors import EXIT_BROKE, FathomError
from fathom.web import problems
from fathom.web.filling import Filling
from fathom.web.listen import BACKLOG, CONNECTIONS_MAX, App, Listen, cannot_listen, guarded, tcp_socket

__all__ = ["listening"]

HEAD_BYTES_MAX = 16 * 1024
HEAD_S = 10.0  # for a request's head to arrive, and for the first one to begin
IDLE_S = 30.0  # how long a connection may wait for its next request
BODY_S = 20.0  # for a request's body, beyond what the application itself allows
PING_S = 15.0  # proxies end connections on which nothing is said for long; who does not answer within as much is gone
MESSAGE_BYTES_MAX = 4 * 1024  # of a websocket, on which all that is heard is whether somebody is there
_SWEEP_S = 0.5


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.opened, self.ending = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process that serves decides what a signal means

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await self.lifespan.startup()
            self.should_exit = self.lifespan.should_exit
            if not self.should_exit:
                self.servers = [await self._listen(sock) for sock in sockets or ()]
                self.started = True
        finally:
            self.opened.set()

    async def _listen(self, sock: socket.socket) -> asyncio.Server:
        def protocol() -> asyncio.Protocol:
            return _Watched(self.config, self.server_state, self.lifespan.state)

        tls = self.config.ssl
        return await asyncio.get_running_loop().create_server(
            protocol, sock=sock, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=HEAD_S if tls else None
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let requests under way end within the drain, then end whatever is left."""
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for connection in list(connections):
            connection.shutdown()
        if tasks:
            await asyncio.wait(list(tasks), timeout=self.config.timeout_graceful_shutdown)
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks), timeout=1.0)
        for connection in list(connections):
            connection.transport.close()
        await self.lifespan.shutdown()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # renews the date header; uvicorn's own loop wakes ten times a second
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.ending.wait()


class _Watched(HttpToolsProtocol):
    """uvicorn's protocol, bounded: in connections, in the size of a head, in the time a request takes to arrive."""

    waits_since: float | None = None
    head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.waits_since = self.loop.time()
        if len(self.connections) > CONNECTIONS_MAX:
            self._refuse("unavailable", f"{CONNECTIONS_MAX} connections are already open")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.head_bytes += len(data)
        super().data_received(data)
        if self.waits_since is None and (self.cycle is None or self.cycle.response_complete):
            self.waits_since = self.loop.time()  # not yet a request, and no longer idle
        if self.waits_since is not None and self.head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self._refuse("head-too-large", f"a request's head has at most {HEAD_BYTES_MAX} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.waits_since = self.loop.time()

    def on_headers_complete(self) -> None:
        if self.head_bytes > HEAD_BYTES_MAX and self._size() > HEAD_BYTES_MAX:
            self._refuse("head-too-large", f"a request's head has at most {HEAD_BYTES_MAX} bytes")
        if self.transport.is_closing():
            raise _Refused  # the parser stops here, and nothing reaches the application
        self.head_bytes = 0
        self.waits_since = None
        super().on_headers_complete()
        self.scope["fathom.write"] = partial(self._write, self.cycle)  # pyright: ignore[reportGeneralTypeIssues]
        self.scope["fathom.fill"] = partial(self._fill, self.cycle)  # pyright: ignore[reportGeneralTypeIssues]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.head_bytes = 0  # a body is part of no head

    def _write(self, cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> bool:
        """Write a whole answer at once, its header lines ready made; return False where only `send` can do it.

        uvicorn looks at each header of each answer with two regular expressions, and writes twice: a third of
        what a small answer costs.
        """
        if self.flow.write_paused or cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:  # the date
            lines += (name, b": ", value, b"\r\n")
        lines += (head, b"\r\n", body) if cycle.keep_alive else (head, b"connection: close\r\n\r\n", body)
        self.transport.write(b"".join(lines))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def _fill(self, cycle: RequestResponseCycle, room: memoryview) -> Filling | None:
        """Receive the rest of a body, which has as many bytes as there is room for; None where only `receive` can."""
        if cycle is not self.cycle or cycle.body or cycle.disconnected or not room or self.transport.is_closing():
            return None

        def took(whole: bool) -> None:
            if not whole:
                cycle.keep_alive = False
                return
            cycle.more_body = False
            self.parser = _parser(self)  # the old one waits for bytes that went past it
            self._goes_to(self)
            cycle.message_event.set()

        filling = Filling(room, self, took)
        self._goes_to(filling)
        return filling

    def _goes_to(self, protocol: asyncio.BaseProtocol) -> None:
        """Have what comes from now on go to another: a transport that reads does not look up to whom."""
        self.flow.pause_reading()
        self.transport.set_protocol(protocol)
        self.flow.resume_reading()

    def _size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            self._refuse("malformed", msg)

    def overdue(self, now: float) -> None:
        """End this connection if what it sends is late."""
        if self.transport.is_closing():
            return
        if self.waits_since is not None:
            if now - self.waits_since > HEAD_S:
                self._refuse("too-slow", f"the request's head did not arrive within {HEAD_S:g} s")
        elif (cycle := self.cycle) is not None and cycle.more_body:
            if not hasattr(cycle, "watched_since"):
                cycle.watched_since = now  # pyright: ignore[reportAttributeAccessIssue]
            else:
                may_last_s = BODY_S + cycle.scope.get("fathom.body_s", 0.0)  # the door says so of a large one
                late_s = now - cycle.watched_since - may_last_s  # pyright: ignore[reportAttributeAccessIssue]
                if late_s > 0:
                    self.transport.abort()

    def _refuse(self, code: str, says: str) -> None:
        """End the connection, with the reason where no other answer has begun that it would garble."""
        cycle = self.cycle
        if not self.pipeline and (cycle is None or not cycle.response_started or cycle.response_complete):
            self.transport.write(problems.raw_answer(problems.problem(code, says)))
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True  # what the application may still say has nobody to go to
            cycle.message_event.set()
        self.transport.close()


def _parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """Return a parser as uvicorn makes one."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class _Refused(Exception):
    pass


class _Talks(WebSocketsSansIOProtocol):
    """uvicorn's websockets: what was refused was answered, and who comes is counted, not logged."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = self.logger.getChild("websockets")
        self.logger.setLevel(logging.WARNING)

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True  # else its log would have it that nothing was


@contextlib.asynccontextmanager
async def listening(
    app: App, listen: Listen, *, sock: socket.socket | None = None, drain_s: float = 5.0
) -> AsyncIterator[str]:
    """Serve an ASGI application; yields its URL. On leaving, requests under way may end within `drain_s`.

    `sock` is what was bound for it before, so that a port in use is known before anything else is opened.
    """
    listen.check()
    context = listen.context()
    sock = sock or tcp_socket(listen.host, listen.port)
    port = sock.getsockname()[1]
    config = uvicorn.Config(
        guarded(app, listen),
        loop="none",
        ws=_Talks if getattr(app, "talks", False) else "none",
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        ws_per_message_deflate=False,  # messages of sixty bytes
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(IDLE_S),
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )
    config.load()
    if context is not None:
        config.ssl = context
    server = _Server(config)
    serving = asyncio.create_task(server.serve([sock]), name="door")
    sweeping = asyncio.create_task(_sweep(server), name="door-sweep")
    opened = asyncio.create_task(server.opened.wait())
    try:
        await asyncio.wait([serving, opened], return_when=asyncio.FIRST_COMPLETED)
        if not server.started:
            if serving.done():
                try:
                    await serving
                except OSError as taken:
                    raise cannot_listen(f"{listen.host}:{port}", taken) from None
            raise FathomError(
                f"the door on {listen.host}:{port} did not open",
                why="its application did not start",
                fix="see the log for what it said",
                code=EXIT_BROKE,
            )
        host = f"[{listen.host}]" if ":" in listen.host else listen.host
        yield f"{'https' if context else 'http'}://{host}:{port}"
    finally:
        opened.cancel()
        sweeping.cancel()
        server.should_exit = True
        server.ending.set()
        await asyncio.wait([serving], timeout=drain_s + 2)
        if not serving.done():
            serving.cancel()
        sock.close()


async def _sweep(server: _Server) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_SWEEP_S)
        now = loop.time()
        for connection in list(server.server_state.connections):
            if isinstance(connection, _Watched):
                connection.overdue(now)
