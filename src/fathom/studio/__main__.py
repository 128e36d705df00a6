"""The process that serves the live page: one JSON on stdin says of what, one JSON line on stdout says where."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import TextIO

import msgspec

from fathom.errors import EXIT_BROKE, FathomError
from fathom.studio.pages import app
from fathom.studio.relay import Relay
from fathom.web.listen import Listen
from fathom.web.server import listening

DRAIN_S = 0.5


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to show, where, and to whom."""

    control: str  # the socket of the system that is up
    key: str  # who has it may look and press
    listen: Listen


def main() -> None:
    """Serve until a signal, or until the system has ended."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing but the one line may reach stdout
    try:
        spec = msgspec.json.decode(sys.stdin.buffer.read(), type=Spec)
        asyncio.run(_serve(spec, out))
    except FathomError as told:
        print(json.dumps(told.as_json()), file=out, flush=True)
        sys.exit(told.code)
    except msgspec.MsgspecError as unfit:
        told = FathomError("what to show cannot be read", why=str(unfit), fix="it is started by: fathom up --demo")
        print(json.dumps(told.as_json()), file=out, flush=True)
        sys.exit(EXIT_BROKE)


async def _serve(spec: Spec, out: TextIO) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    relay = Relay(spec.control)
    relaying = asyncio.create_task(relay.relaying())
    try:
        await relay.first()
        async with listening(app(relay, spec.key), spec.listen, drain_s=DRAIN_S) as url:
            print(json.dumps({"url": url}), file=out, flush=True)
            await asyncio.wait([asyncio.create_task(ended.wait()), relaying], return_when=asyncio.FIRST_COMPLETED)
    finally:
        relaying.cancel()
        with contextlib.suppress(asyncio.CancelledError, FathomError):
            await relaying


if __name__ == "__main__":
    main()
