"""Where a door listens: sockets, who may reach them, and connections that are too slow or too fat cut off."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fathom.engines.keeper import free_port
from fathom.errors import EXIT_BROKE, FathomError, Refusal
from fathom.web import problems, tracing
from fathom.web.auth import same

__all__ = ["TOKEN_HEADER", "Listen", "Tls", "guarded", "listening", "tcp_socket", "unix_socket"]

log = logging.getLogger("fathom.listen")

TOKEN_HEADER = "fathom-token"  # the operator's; Authorization is for the system's own users
TOKEN_CHARS_MIN = 16
HEAD_BYTES_MAX = 16 * 1024
HEAD_S = 10.0  # for a request's head to arrive, and for the first one to begin
IDLE_S = 30.0  # how long a connection may wait for its next request
BODY_S = 20.0  # for a request's body, beyond what the application itself allows
CONNECTIONS_MAX = 1024
BACKLOG = 256
_SWEEP_S = 0.5
_PATH_BYTES_MAX = 107  # sockaddr_un


class Tls(msgspec.Struct, frozen=True, kw_only=True):
    """Where a certificate and its key lie, as PEM files."""

    cert: str
    key: str


class Listen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a door listens. Port 0 is any free one. Elsewhere than on loopback, TLS and a token are needed."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: Tls | None = None
    token: str | None = None

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def check(self) -> None:
        """Refuse what would let strangers in, before anything is opened."""
        if not 0 <= self.port <= 65_535:
            raise FathomError(
                f"{self.port} is not a port", why="ports are whole numbers from 0 to 65535", fix="say for example 8080"
            )
        if not self.loopback and (self.tls is None or not self.token):
            missing = " and ".join(
                what for what, there in (("TLS", self.tls), ("an operator's token", self.token)) if not there
            )
            raise FathomError(
                f"it may not listen on {self.host} without {missing}",
                why=f"{self.host} can be reached by other machines, and passwords would cross the network",
                fix="give a certificate, its key and a token, or listen on 127.0.0.1",
            )
        if self.token is not None and len(self.token) < TOKEN_CHARS_MIN:
            raise FathomError(
                "the operator's token is too short",
                why=f"it has {len(self.token)} characters, and whoever guesses it is let in",
                fix=f"give at least {TOKEN_CHARS_MIN}, for example from: openssl rand -hex 32",
            )

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context, or None for plain HTTP."""
        if self.tls is None:
            return None
        for path in (self.tls.cert, self.tls.key):
            if not Path(path).is_file():
                raise FathomError(
                    f"there is no file {path}",
                    why="TLS needs a certificate and its key, as PEM files",
                    fix="check the path",
                )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self.tls.cert, self.tls.key)
        except (ssl.SSLError, OSError) as unfit:
            raise FathomError(
                f"{self.tls.cert} and {self.tls.key} cannot be used for TLS",
                why=str(unfit),
                fix="give a PEM certificate and the unencrypted PEM key that belongs to it",
            ) from None
        return context


def tcp_socket(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket; port 0 takes a free one that outgoing connections do not use."""
    try:
        family, _, _, _, where = socket.getaddrinfo(
            host, port or free_port(), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as unknown:
        raise FathomError(
            f"it cannot listen on '{host}'", why=str(unknown), fix="say 127.0.0.1, or an address of this machine"
        ) from None
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port that was just in use may be taken again; one on which somebody listens may not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as taken:
        sock.close()
        raise _cannot_listen(f"{host}:{where[1]}", taken) from None
    return sock


def _cannot_listen(where: str, error: OSError) -> FathomError:
    port = where.rpartition(":")[2]
    fixes = {
        errno.EADDRINUSE: (f"another program listens on port {port}", "say another port, or 0 for any free one"),
        errno.EACCES: (f"port {port} is for the system's own services", "say a port from 1024"),
        errno.EADDRNOTAVAIL: ("this machine has no such address", "say 127.0.0.1, or an address of this machine"),
    }
    why, fix = fixes.get(error.errno or 0, (str(error), "say another address or port"))
    return FathomError(f"it cannot listen on {where}", why=why, fix=fix)


@contextlib.contextmanager
def unix_socket(path: str) -> Iterator[socket.socket]:
    """Bind a unix socket that only its owner may use; its file goes when the block ends."""
    if len(os.fsencode(path)) > _PATH_BYTES_MAX:
        raise FathomError(
            f"{path} is too long for a socket",
            why=f"it has {len(os.fsencode(path))} bytes, and the system takes {_PATH_BYTES_MAX}",
            fix="say a shorter path, for example below /tmp",
        )
    _clear_the_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise FathomError(
            f"it cannot make the socket {path}", why=str(error), fix="check that its folder is there and writable"
        ) from None
    finally:
        os.umask(before)
    ours = Path(path).stat().st_ino
    try:
        sock.setblocking(False)
        yield sock
    finally:
        sock.close()
        with contextlib.suppress(OSError):
            if Path(path).stat().st_ino == ours:
                Path(path).unlink()


def _clear_the_way(path: str) -> None:
    """Remove a socket that a killed process left; refuse where one is in use or the file is something else."""
    try:
        kind = Path(path).lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(kind):
        raise FathomError(f"{path} is in the way", why="it is a file, not a socket", fix="say another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            Path(path).unlink(missing_ok=True)
            return
    raise FathomError(
        f"it cannot listen on {path}", why="another process does", fix="end that one, or say another path"
    )


# Who may pass.

App = Callable[[Any, Any, Any], Awaitable[None]]


def guarded(app: App, listen: Listen) -> App:
    """Let only those pass who mean this machine and, where a token is set, who bring it.

    On loopback a web page that somebody has open can reach the door through a name of its own that leads to
    127.0.0.1 (DNS rebinding); it cannot choose the Host header. Elsewhere the certificate and the token stand
    in the way.
    """
    hosts = {b"localhost", b"127.0.0.1", b"[::1]", listen.host.encode()} if listen.loopback else None
    passed: set[bytes] = set()  # Host headers with their port, seen to be fine; bounded
    token = listen.token
    name = TOKEN_HEADER.encode()

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            host, given = b"", b""
            for key, value in scope["headers"]:
                if key == b"host":
                    host = b"?" if host else value  # two of them contradict each other
                elif key == name:
                    given = value
            if hosts is not None and host not in passed:
                if _name_of(host) not in hosts:
                    await _turn_away(scope, send, "misdirected", "this door answers to localhost only")
                    return
                if len(passed) < 64:
                    passed.add(host)
            if token is not None and not same(given, token):
                await _turn_away(
                    scope, send, "unauthorised", f"this needs the operator's token in the header {TOKEN_HEADER}"
                )
                return
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        await app(scope, receive, send)

    return guard


def _name_of(host: bytes) -> bytes:
    """Return a Host header's name without its port.

    >>> _name_of(b"localhost:80"), _name_of(b"[::1]:80"), _name_of(b"LOCALHOST")
    (b'localhost', b'[::1]', b'localhost')
    """
    name, colon, port = host.rpartition(b":")
    bare = name if colon and port.isdigit() and (b":" not in name or name.endswith(b"]")) else host
    return bare.lower()


async def _turn_away(scope: Any, send: Any, code: str, says: str) -> None:
    request_id = tracing.begin(dict(scope["headers"])).request_id
    it, headers = problems.problem(code, says, request_id=request_id), []
    if code == "unauthorised":
        it, headers = problems.of_refusal(Refusal(code, says), request_id)
    await problems.send_problem(send, it, headers)


# The server.


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the process that serves decides what a signal means

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # how uvicorn says that the application did not start
            self.should_exit = True
        self.opened.set()


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
            elif now - cycle.watched_since > BODY_S:  # pyright: ignore[reportAttributeAccessIssue]
                self.transport.abort()

    def _refuse(self, code: str, says: str) -> None:
        if self.cycle is None or self.cycle.response_complete:  # else an answer is on its way, and this would garble it
            self.transport.write(problems.raw_answer(problems.problem(code, says)))
        self.transport.close()


class _Refused(Exception):
    pass


@contextlib.asynccontextmanager
async def listening(app: App, listen: Listen, *, drain_s: float = 5.0) -> AsyncIterator[str]:
    """Serve an ASGI application; yields its URL. On leaving, requests under way may end within `drain_s`."""
    listen.check()
    context = listen.context()
    sock = tcp_socket(listen.host, listen.port)
    port = sock.getsockname()[1]
    config = uvicorn.Config(
        guarded(app, listen),
        http=_Watched,
        loop="none",
        ws="none",
        lifespan="auto",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(IDLE_S),
        timeout_graceful_shutdown=max(1, round(drain_s)),
        backlog=BACKLOG,
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
                await serving
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
