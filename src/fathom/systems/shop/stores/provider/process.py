"""The process of a payment provider: JSON on stdin says which, a JSON line on stdout that it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from fathom.engines.engine import on_disk
from fathom.errors import EXIT_BROKE, FathomError
from fathom.web.listen import Listen
from fathom.web.server import listening

from .book import Book
from .caller import Caller
from .door import Door
from .faults import Behaviour, Faults

__all__ = ["Spec", "key_in", "main", "opened", "run"]

log = logging.getLogger("fathom.shop.provider")

KEY = "key"
DRAIN_S = 1.0


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which provider: where its book lies, where it listens, how it misbehaves."""

    folder: str
    host: str = "127.0.0.1"
    port: int = 0
    behaviour: Behaviour | None = None  # None: as it was told last


def key_in(folder: Path) -> str:
    """Return the key that shops show this provider, and by which it signs: drawn once, kept beside its book."""
    with on_disk(f"the provider's key cannot be kept in {folder}"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            made = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(made, "w") as file:
                file.write(f"sk_{secrets.token_urlsafe(24)}")
        return (folder / KEY).read_text()


@asynccontextmanager
async def opened(spec: Spec) -> AsyncIterator[str]:
    """Be a provider for the length of a block; yields its URL, with the key in it."""
    folder = Path(spec.folder)
    key = key_in(folder)
    if spec.behaviour is not None:
        spec.behaviour.check()
    with on_disk(f"the provider's book cannot be kept in {folder}"):
        book = Book(folder, lambda: time.time_ns() // 1_000_000)
    if spec.behaviour is not None:
        book.behave(spec.behaviour)
    faults = Faults(spec.behaviour or book.behaviour())
    caller = Caller(book, key)
    calling = asyncio.create_task(caller.run(), name="callbacks")
    try:
        listen = Listen(host=spec.host, port=spec.port)
        async with listening(Door(book, caller, faults, key), listen, drain_s=DRAIN_S) as url:
            yield url.replace("://", f"://:{key}@", 1)
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        book.close()


async def run(spec: Spec, say: Callable[[dict[str, Any]], None]) -> None:
    """Be a provider until a signal; `say` is told where."""
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with opened(spec) as url:
        say({"ready": True, "pid": os.getpid(), "url": url})
        await ending.wait()


def main() -> None:
    """Be a provider until a signal; exit 0 then, 64 when asked wrongly, 70 when something broke."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but the one line may reach stdout, whatever a library prints

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line), file=out, flush=True)

    try:
        asyncio.run(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Spec), say))
    except FathomError as error:
        say(error.as_json())
        sys.exit(error.code)
    except Exception as error:
        log.exception("it broke")
        why = f"{type(error).__name__}: {error}"
        say(FathomError("the provider ended", why=why, fix="its log has the whole story", code=EXIT_BROKE).as_json())
        sys.exit(EXIT_BROKE)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
