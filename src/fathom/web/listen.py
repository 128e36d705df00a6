"""Where a door listens, and who may reach it there: loopback, or TLS and a token."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import ssl
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from fathom.engines.ports import free_port
from fathom.errors import FathomError, Refusal
from fathom.web import problems, tracing
from fathom.web.auth import same

__all__ = ["TAKEN", "TOKEN_HEADER", "Listen", "Tls", "cannot_listen", "guarded", "tcp_socket", "unix_socket"]

TOKEN_HEADER = "fathom-token"  # the operator's; Authorization is for the system's own users
TOKEN_CHARS_MIN = 16
BACKLOG = 256
CONNECTIONS_MAX = 1024  # of a door, websockets among them
_PATH_BYTES_MAX = 107 if sys.platform == "linux" else 103  # sockaddr_un


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

    def __repr__(self) -> str:
        tls = "" if self.tls is None else f", tls={self.tls}"
        return f"Listen(host={self.host!r}, port={self.port}{tls}{', token=…' if self.token else ''})"

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
    """Return a bound TCP socket that does not listen yet; port 0 takes a free one.

    That one lies outside the range of outgoing connections: it is still free when the door comes back after a crash.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port or free_port(), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as unknown:
        raise FathomError(
            f"it cannot listen on '{host}'", why=str(unknown), fix="say 127.0.0.1, or an address of this machine"
        ) from None
    # With its protocol: asyncio turns Nagle's delay off only where it says TCP, and connections inherit it.
    sock = socket.socket(family, kind, protocol)
    try:
        # A port that was just in use may be taken again; one on which somebody listens may not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.setblocking(False)
    except OSError as taken:
        sock.close()
        raise cannot_listen(f"{host}:{where[1]}", taken) from None
    return sock


TAKEN = "another program listens on port"  # says `cannot_listen` where it does


def cannot_listen(where: str, error: OSError) -> FathomError:
    """Say in words why an address cannot be listened on."""
    port = where.rpartition(":")[2]
    fixes = {
        errno.EADDRINUSE: (f"{TAKEN} {port}", "say another port, or 0 for any free one"),
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
    kinds = ("http", "websocket") if getattr(app, "talks", False) else ("http",)

    async def guard(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in kinds:
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
    await problems.send_problem(send, it, headers, kind=scope["type"])
