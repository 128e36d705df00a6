"""The process in which a system runs: one JSON on stdin says which, one JSON line on stdout says that it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

import msgspec

from fathom.design import Choice, System
from fathom.engines.engine import Engine
from fathom.engines.ledger import work
from fathom.engines.loop import fastest
from fathom.engines.memory import kept
from fathom.errors import EXIT_BROKE, FathomError, nearest
from fathom.web.choices import Choices
from fathom.web.listen import Listen, tcp_socket
from fathom.web.metrics import Metrics
from fathom.web.remote import Control, Doorway, Text
from fathom.web.served import Served
from fathom.web.tracing import JsonLines

__all__ = ["Choices", "Served", "Settings", "Spec", "main"]

log = logging.getLogger("fathom.serve")

DRAIN_S = 5.0  # for calls under way, once it was asked to end
CLOSE_S = 15.0  # for all of the ending; then the process ends as it stands


class Chosen(msgspec.Struct, frozen=True):
    """A choice as it crosses processes."""

    approach: str
    knobs: dict[str, Any] = {}

    def choice(self) -> Choice:
        return Choice(self.approach, self.knobs)


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to serve, and where."""

    system: str  # its folder
    socket: str  # for the lab and for control; only its owner may use it
    package: str | None = None  # its importable name, for a system that Fathom ships
    choices: dict[str, Chosen] = {}
    engines: dict[str, str] = {}  # a field of Stores → the URL of its engine
    seed: int = 0
    cores: list[int] | None = None
    door: Listen | None = None
    data: str | None = None


@dataclass(frozen=True)
class Settings:
    """What a system's own door is told besides the service and the choices."""

    listen: Listen
    metrics: Metrics
    stores: Any
    seed: int
    data: Path | None


class _Switch(msgspec.Struct, frozen=True):
    decision: str
    approach: str
    knobs: dict[str, Any] = {}


def main() -> None:
    """Serve until a signal; exit 0 then, 64 when asked wrongly, 70 when something broke."""
    _log_to_stderr()
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but the one line may reach stdout, whatever a library prints
    try:
        spec = _read(sys.stdin.buffer.read())
        _pin(spec.cores)
        random.seed(spec.seed)
        kept()
        with asyncio.Runner(loop_factory=fastest()) as runner:
            runner.run(_serve(spec, lambda ready: print(json.dumps(ready), file=out, flush=True)))
    except FathomError as error:
        print(json.dumps(error.as_json()), file=out, flush=True)
        sys.exit(error.code)
    except Exception as error:
        log.exception("it broke")
        print(
            json.dumps(
                FathomError(
                    "the service ended",
                    why=f"{type(error).__name__}: {error}",
                    fix="its log has the whole story",
                    code=EXIT_BROKE,
                ).as_json()
            ),
            file=out,
            flush=True,
        )
        sys.exit(EXIT_BROKE)


def _read(raw: bytes) -> Spec:
    try:
        return msgspec.json.decode(raw, type=Spec)
    except msgspec.MsgspecError as unfit:
        raise FathomError(
            "what to serve cannot be read",
            why=str(unfit),
            fix="give one JSON object on stdin, as fathom.web.serve.Spec describes it",
        ) from None


def _pin(cores: list[int] | None) -> None:
    if cores is None or not hasattr(os, "sched_setaffinity"):  # only Linux can
        return
    try:
        os.sched_setaffinity(0, cores)
    except (OSError, ValueError) as unfit:
        raise FathomError(
            f"it cannot run on the cores {cores}",
            why=str(unfit),
            fix=f"say some of {sorted(os.sched_getaffinity(0))}",
        ) from None


async def _serve(spec: Spec, ready: Callable[[dict[str, Any]], None]) -> None:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None
    opened = False

    def end() -> None:
        if not ending.is_set():
            ending.set()
            _end_by_force(CLOSE_S)
            if not opened:
                task.cancel()  # it may be waiting for an engine

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        async with _opened(spec) as places:
            opened = True
            if not ending.is_set():
                gc.collect()
                gc.freeze()  # what serves for good need not be looked at again and again
                ready({"ready": True, "pid": os.getpid(), **places})
                await ending.wait()
            log.info("ending")
    except asyncio.CancelledError:
        if not ending.is_set():
            raise


@asynccontextmanager
async def _opened(spec: Spec) -> AsyncIterator[dict[str, Any]]:
    system = System.at(Path(spec.system), spec.package)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        door = _door(system, spec.door, stack) if spec.door else None  # what is asked wrongly is told first
        stores = await _stores(system, spec.engines, stack)
        if hasattr(stores, "migrate"):
            await stores.migrate()
        choices = Choices(system, stores, {name: chosen.choice() for name, chosen in spec.choices.items()})
        service = await stack.enter_async_context(system.service.open(stores, choices))
        controls = _controls(choices, service, metrics)
        doorway = Doorway(system.protocol, service, controls=controls)
        _measure(metrics, doorway)
        await stack.enter_async_context(doorway.open(spec.socket, drain_s=DRAIN_S))
        where = None
        if spec.door is not None and door is not None:
            from fathom.web.server import listening  # late: a system without a door needs no web server

            app, sock = door
            asgi = app(service, choices, Settings(spec.door, metrics, stores, spec.seed, _path(spec.data)))
            where = await stack.enter_async_context(listening(asgi, spec.door, sock=sock, drain_s=DRAIN_S))
        yield {"socket": spec.socket, "door": where}


async def _stores(system: System, engines: dict[str, str], stack: AsyncExitStack) -> Any:
    """Return the system's Stores on its engines, each connected until the stack is closed."""
    spare = {field: kind for field, kind in engines_of(system, spare=True).items() if field in engines}
    kinds = engines_of(system) | spare
    for field in engines:
        if field not in kinds:
            raise FathomError(
                f"{system.name} has no store called '{field}'",
                why=f"its Stores stand on {', '.join(kinds) or 'no engine'}",
                fix=nearest(field, kinds, f"leave {field} out"),
            )
    if missing := [field for field in kinds if field not in engines]:
        raise FathomError(
            f"{system.name} needs an engine for '{missing[0]}'",
            why=f"its Stores stand on {', '.join(f'{field} ({kind.kind})' for field, kind in kinds.items())}",
            fix=f"give a URL for {', '.join(missing)}",
        )
    if system.stores is None:
        return None
    found = {field: kind.at(engines[field]) for field, kind in kinds.items()}
    for engine in found.values():
        await stack.enter_async_context(engine.connected())
    return system.stores(**found)


def engines_of(system: System, *, spare: bool = False) -> dict[str, type[Engine]]:
    """Return which engines a system's Stores stand on, by field; or those that may be missing (`Node | None`)."""
    if system.stores is None:
        return {}
    hints = get_type_hints(system.stores)
    if spare:
        options = {name: get_args(kind) for name, kind in hints.items()}
        hints = {name: kinds[0] for name, kinds in options.items() if len(kinds) == 2 and kinds[1] is type(None)}
    return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Engine)}


def _door(system: System, listen: Listen, stack: AsyncExitStack) -> tuple[Callable[..., Any], socket.socket]:
    """Return what makes the system's own door, and the socket that is bound for it."""
    listen.check()
    app = getattr(system.room("doors"), "app", None) if system.has("doors") else None
    if app is None:
        raise FathomError(
            f"{system.name} has no door",
            why="a door is what the room doors gives: app(service, choices, settings), an ASGI application",
            fix=f"write it in {system.folder / 'doors'}, or ask the system through fathom dive only",
        )
    return app, stack.enter_context(tcp_socket(listen.host, listen.port))


def _controls(choices: Choices, service: Any, metrics: Metrics) -> dict[str, Control]:
    """Return what the runner may ask besides the verbs. These routes exist on the unix socket only."""
    began = time.monotonic()

    async def ledger(_: bytes | bytearray) -> bytes:
        return msgspec.json.encode(work.snapshot())

    async def chosen(_: bytes | bytearray) -> bytes:
        return msgspec.json.encode(
            {name: {"approach": it.approach, "knobs": dict(it.knobs)} for name, it in choices.chosen.items()}
        )

    async def switch(body: bytes | bytearray) -> bytes:
        asked = msgspec.json.decode(body, type=_Switch)
        took_s = await choices.switch(asked.decision, Choice(asked.approach, asked.knobs))
        return msgspec.json.encode({"took_s": took_s})

    async def settled(_: bytes | bytearray) -> bytes:
        if hasattr(service, "settled"):
            await service.settled()
        return b"{}"

    async def health(_: bytes | bytearray) -> bytes:
        return msgspec.json.encode({"ready": True, "pid": os.getpid(), "up_s": time.monotonic() - began})

    async def tell(_: bytes | bytearray) -> bytes:
        return Text(metrics.text().encode())

    async def collect(_: bytes | bytearray) -> bytes:
        gc.unfreeze()
        found = gc.collect()
        gc.freeze()
        return msgspec.json.encode({"collected": found})

    return {
        "GET /-/ledger": ledger,
        "GET /-/choices": chosen,
        "POST /-/switch": switch,
        "POST /-/settled": settled,
        "GET /-/health": health,
        "GET /-/metrics": tell,
        "POST /-/collect": collect,
    }


def _measure(metrics: Metrics, doorway: Doorway) -> None:
    metrics.gauge("fathom_calls_in_flight", "Calls of the runner under way.", lambda: doorway.in_flight)
    metrics.gauge(
        "fathom_calls_turned_away_total", "Calls that found no room.", lambda: doorway.turned_away, kind="counter"
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _end_by_force(within_s: float) -> None:
    """End the process as it stands if its ending takes too long, even if the loop hangs."""

    def end() -> NoReturn:
        print(f"the service did not end within {within_s:g} s", file=sys.stderr, flush=True)
        os._exit(EXIT_BROKE)

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    timer.start()


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


if __name__ == "__main__":
    # Once more by its name: what systems import from here must be the same classes.
    from fathom.web.serve import main as serve

    with contextlib.suppress(KeyboardInterrupt):
        serve()
