"""The process of a node: one JSON on stdin says which, one JSON line on stdout says that its doors are open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urlsplit

import msgspec

from fathom.engines.loop import fastest
from fathom.engines.ports import free_port
from fathom.engines.rocks import Durability
from fathom.errors import EXIT_BROKE, FathomError
from fathom.web.listen import Listen, Tls, cannot_listen

from ..service.resident import Home, Resident, residing
from ..stores.settings import Settings
from . import resp

__all__ = ["Authority", "Spec", "home_of", "main", "run", "serving"]

log = logging.getLogger("fathom.kv.node")

Ready: TypeAlias = Callable[[dict[str, Any]], None]
Meanwhile: TypeAlias = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]

CLOSE_S = 10.0  # for all of the ending; then the process ends as it stands, which loses nothing


class Authority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """With what this node proves who it is, and by whom others must have been signed. PEM files."""

    cert: str
    key: str
    ca: str


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which node, and where it is to be reached. Ports of 0 are any that are free."""

    folder: str
    node: str
    cluster: str = "kv"
    rack: str = ""
    host: str = "127.0.0.1"
    advertised: str = ""  # the host that others are told, if not `host`
    peer: str = ""  # the address that other nodes are told, if not this node's own port: a link before it
    resp_port: int = 0
    peer_port: int = 0
    http_port: int | None = None  # None: its door for HTTP stays shut
    token: str | None = None  # of clients
    operator: str | None = None  # of operators and of other nodes; by default that of clients
    tls: Authority | None = None
    settings: Settings = Settings()
    known: dict[str, str] = {}  # node → host:port of its peers, for one that comes to a cluster
    seed: int | None = None
    durability: Durability = "fsync"


def main() -> None:
    """Live until a signal; exit 0 then, 64 when asked wrongly, 70 when something broke."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but the one line may reach stdout, whatever a library prints

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=out, flush=True)

    try:
        run(_read(sys.stdin.buffer.read()), say)
    except FathomError as error:
        log.error("%s", error)
        say(error.as_json())
        sys.exit(error.code)
    except Exception as error:
        log.exception("it broke")
        why = f"{type(error).__name__}: {error}"
        say(FathomError("the node ended", why=why, fix="its log has the whole story", code=EXIT_BROKE).as_json())
        sys.exit(EXIT_BROKE)


def run(spec: Spec, ready: Ready, meanwhile: Meanwhile | None = None) -> None:
    """Let a node live until a signal. Raises FathomError.

    `ready` is told where it is; `meanwhile` too, and may then do something beside it: if that fails, the node ends.
    """
    with asyncio.Runner(loop_factory=fastest()) as runner:
        runner.run(_live(spec, ready, meanwhile))


def _read(raw: bytes) -> Spec:
    try:
        return msgspec.json.decode(raw, type=Spec)
    except msgspec.MsgspecError as unfit:
        raise FathomError(
            "which node to live as cannot be read",
            why=str(unfit),
            fix=f"give one JSON object on stdin, as {Spec.__module__}.Spec describes it",
        ) from None


async def _live(spec: Spec, ready: Ready, meanwhile: Meanwhile | None) -> None:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()

    def end() -> None:
        ending.set()
        _end_by_force(CLOSE_S)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    async with serving(spec) as resident:
        gc.collect()
        gc.freeze()  # what serves for good need not be looked at again and again
        facts = resident.facts()
        ready({"ready": True, "pid": os.getpid(), **facts})
        lasting = [resident.lasting(), ending.wait(), *([meanwhile(facts)] if meanwhile is not None else [])]
        tasks = [asyncio.ensure_future(one) for one in lasting]
        while not ending.is_set():
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                tasks.remove(task)
                await task  # the life has ended, or what was done meanwhile failed
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        log.info("ending")


@asynccontextmanager
async def serving(spec: Spec) -> AsyncIterator[Resident]:
    """Let a node live with its doors open, for the length of a block. Raises FathomError."""
    ports = spec.resp_port or free_port(), spec.peer_port or free_port()
    shown = Tls(cert=spec.tls.cert, key=spec.tls.key) if spec.tls is not None else None
    for token in (spec.operator or spec.token, spec.token):  # the last is what clients show
        listen = Listen(host=spec.host, port=ports[0], tls=shown, token=token)
        listen.check()
    context = listen.context()
    home = home_of(spec, ports[1])
    if spec.host in ("0.0.0.0", "::") and not spec.advertised:
        raise FathomError(
            f"nobody can be told to come to {spec.host}",
            why="it stands for all addresses of this machine, and others must be told one",
            fix="say which: --advertise ADDRESS",
        )
    async with AsyncExitStack() as open_now:
        port = ports[1]
        try:
            resident = await open_now.enter_async_context(residing(home))
            port = ports[0]
            door = await open_now.enter_async_context(
                resp.opened(resident, host=spec.host, port=port, token=spec.token, operator=spec.operator, ssl=context)
            )
        except OSError as taken:
            raise cannot_listen(f"{spec.host}:{port}", taken) from None
        resident.resp = f"{spec.advertised or spec.host}:{door.port}"
        if spec.http_port is not None:
            from . import http  # which brings a web server along

            door_of_http = http.opened(resident, host=spec.host, port=spec.http_port, token=spec.token, tls=shown)
            url = await open_now.enter_async_context(door_of_http)
            resident.http = f"{spec.advertised or spec.host}:{urlsplit(url).port}"
        yield resident


def home_of(spec: Spec, port: int) -> Home:
    """Return who a node is, as its core and its disk see it. Raises FathomError."""
    try:
        known = {name: _address(where) for name, where in spec.known.items()}
    except ValueError as unfit:
        raise FathomError(f"{spec.node} cannot find the others", why=str(unfit), fix="write host:port") from None
    return Home(
        folder=Path(spec.folder).absolute(),
        node=spec.node,
        cluster=spec.cluster,
        rack=spec.rack,
        host=spec.host,
        port=port,
        advertised=spec.advertised,
        peer=spec.peer,
        token=spec.operator or spec.token or "",
        tls=_contexts(spec.tls) if spec.tls is not None else None,
        settings=spec.settings,
        known=known,
        seed=spec.seed,
        durability=spec.durability,
    )


def _contexts(authority: Authority) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return how nodes are met and how they are called: each shows a certificate that the authority has signed."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    calling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    serving.verify_mode = ssl.CERT_REQUIRED
    try:
        for context in (serving, calling):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(authority.cert, authority.key)
            context.load_verify_locations(authority.ca)
    except (ssl.SSLError, OSError) as unfit:
        raise FathomError(
            f"{authority.cert}, {authority.key} and {authority.ca} cannot be used between nodes",
            why=str(unfit),
            fix="give this node's certificate, its unencrypted key, and the certificate that signed all nodes', as PEM",
        ) from None
    return serving, calling


def _address(where: str) -> tuple[str, int]:
    host, _, port = where.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"'{where}' is not host:port")
    return host.strip("[]"), int(port)


def _end_by_force(within_s: float) -> None:
    """End the process as it stands if its ending takes too long, even if the loop hangs."""

    def end() -> NoReturn:
        print(f"the node did not end within {within_s:g} s", file=sys.stderr, flush=True)
        os._exit(EXIT_BROKE)

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
