"""The load generator as a process, for tests that stop it: `python freeze_generator.py WHERE CSV SECONDS`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from fathom.engines.wire import Answer, Wire, request
from fathom.history import Outcome
from fathom.lab.load import Schedule, drive


async def main(where: str, file: str, lasts_s: str) -> None:
    async with Wire(where).open() as wire:
        print("ready", flush=True)
        samples = await drive(
            Schedule.draw({"get": 200}, float(lasts_s), seed=7),
            lambda index, done: wire.fire(request("GET", "/"), done),
            drain_s=5,
            judge=lambda what: Outcome.OK if type(what) is Answer else Outcome.UNKNOWN,
        )
    await asyncio.to_thread(samples.write_csv, Path(file))


uvloop.run(main(*sys.argv[1:]))
