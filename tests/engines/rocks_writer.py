"""A process that writes numbered batches to a store, says what is durable, and waits for its end.

python rocks_writer.py FOLDER COUNT HOW [LARGEST_FILE_BYTES]
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path

from fathom.blocks.machine import Batch, Store
from fathom.engines.engine import EngineError
from fathom.engines.rocks import Rocks
from fathom.engines.rocks_tuning import Tuning

FAMILIES = ("data", "meta")
AHEAD = 16  # batches that are not durable yet, so that one sync covers several

Held = dict[str, dict[bytes, bytes]]


def payload(number: int) -> bytes:
    """What only this batch has in it."""
    return hashlib.sha256(b"%d" % number).digest()


def batch(number: int) -> Batch:
    """Return the batch of a number: over two families, with a delete."""
    writes: Batch = [("data", b"%08d" % number, payload(number)), ("meta", b"last", b"%d" % number)]
    if number % 3 == 0:
        writes.append(("data", b"%08d" % (number - 2), None))
    return writes


def after(batches: Iterable[Batch]) -> Held:
    """Return what a store holds after these batches."""
    held: Held = {family: {} for family in FAMILIES}
    for one in batches:
        for family, key, value in one:
            if value is None:
                held[family].pop(key, None)
            else:
                held[family][key] = value
    return held


def held(store: Store) -> Held:
    """Return all that a store holds."""
    return {family: dict(store.scan(family, b"", None, 1_000_000)) for family in FAMILIES}


def say(what: int | str) -> None:
    os.write(1, f"{what}\n".encode())


class Forgetful(Rocks):
    """A store whose driver forgot the fsync: the log is only handed to the operating system."""

    def _sync(self, mark: object) -> None:
        self._db.flush_wal(False)


async def main(folder: Path, count: int, how: str, largest_bytes: int | None) -> None:
    kind = Forgetful if how == "forgetful" else Rocks
    tuning = Tuning(reserve_bytes=0)
    durability = "none" if how == "none" else "fsync"
    async with kind.open(folder, cluster="c", families=FAMILIES, tuning=tuning, durability=durability) as store:
        store.synced = say
        if largest_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_bytes, largest_bytes))
        for number in range(1, count + 1):
            try:
                store.apply(batch(number))
            except EngineError as full:  # nobody knows whether it was done
                assert "File too large" in full.why
                say("full")
                os._exit(0)
            await asyncio.sleep(0)  # so that a sync begins, and what comes next is not covered by it
            if number > AHEAD:
                await store.sync(number - AHEAD)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else None))
