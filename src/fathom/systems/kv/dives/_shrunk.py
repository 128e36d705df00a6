"""A real store on a disk, whose memtable is so small that a few megabytes make the levels that gigabytes usually do."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from fathom.engines.rocks import Rocks
from fathom.engines.rocks_tuning import MEMTABLE_BYTES_MIN, Tuning

__all__ = ["VALUE_BYTES", "Shrunk", "shrunk"]

FAMILY = "data"
VALUE_BYTES = 200
BATCH = 50  # writes in one batch
CALM_S, LOOK_S = 120.0, 0.05  # until merging has come to an end; RocksDB tells nobody when, so it is asked


class Shrunk:
    """Every second number is a key, so that there is a key that is not there beside each that is."""

    def __init__(self, store: Rocks, dice: Random) -> None:
        self._store, self._dice = store, dice
        self.file_bytes: list[int] = []  # each time that it was calm

    async def write(self, keys: int, times: int) -> None:
        """Write as often as `times` for each key, in no order. Each time what is to be merged is, before it goes on:
        else it would show how far merging lags behind whoever writes as fast as they can."""
        for _ in range(times):
            for _ in range(keys // BATCH):
                numbers = [self._dice.randrange(keys) for _ in range(BATCH)]
                self._store.apply([(FAMILY, _key(2 * n), self._dice.randbytes(VALUE_BYTES)) for n in numbers])
            await self.calm()
            self.file_bytes.append((await self.counters())["file_bytes"])

    async def load(self, keys: int) -> None:
        """Write each key once, in no order."""
        numbers = list(range(keys))
        self._dice.shuffle(numbers)
        for at in range(0, keys, BATCH):
            batch = numbers[at : at + BATCH]
            self._store.apply([(FAMILY, _key(2 * n), self._dice.randbytes(VALUE_BYTES)) for n in batch])

    async def calm(self) -> None:
        """Return when nothing is merged any more."""
        before, still = -1, 0
        async with asyncio.timeout(CALM_S):
            while still < 3:  # several looks: the next merge is chosen by another thread
                await asyncio.sleep(LOOK_S)
                now = await self.counters()
                done = now["compaction_written_bytes"] + now["flushed_bytes"]
                still = still + 1 if done == before and not now["merge_debt_bytes"] else 0
                before = done

    async def merge(self) -> None:
        """Merge all files: how many lie above each other when merging comes to rest is chance, and differs by run."""
        await self._store.merge()

    async def counters(self) -> dict[str, int]:
        return await self._store.counters()

    async def tables(self) -> dict[str, int]:
        return await self._store.tables()

    async def reads(self, numbers: Iterable[int]) -> dict[str, int]:
        """Ask for keys by number, odd ones are not there; return what RocksDB counted meanwhile."""
        before = await self.counters()
        for number in numbers:
            self._store.get(FAMILY, _key(number))
        return _since(before, await self.counters())

    async def scans(self, numbers: Iterable[int], limit: int) -> dict[str, int]:
        """List so many keys from each of these numbers on; return what RocksDB counted meanwhile."""
        before = await self.counters()
        for number in numbers:
            self._store.scan(FAMILY, _key(number), None, limit)
        return _since(before, await self.counters())


@asynccontextmanager
async def shrunk(tuning: Tuning, dice: Random) -> AsyncIterator[Shrunk]:
    """Open a store in a folder of its own, which goes with it.

    Nothing is cached or compressed, so that what is read and written is what has to be; and nothing is synced, which
    changes when bytes reach the disk and not how many.
    """
    small = dataclasses.replace(tuning, memtable_bytes=MEMTABLE_BYTES_MIN, block_cache_bytes=0, compression="none")
    with tempfile.TemporaryDirectory(prefix="fathom-kv-") as folder:
        place = Path(folder) / "store"
        async with Rocks.open(place, cluster="dive", families=(FAMILY,), tuning=small, durability="none") as store:
            yield Shrunk(store, dice)


def _key(number: int) -> bytes:
    return b"%08d" % number


def _since(before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    return {name: count - before[name] for name, count in now.items()}
