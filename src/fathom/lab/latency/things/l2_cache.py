"""A load that the second-level cache answers."""

from __future__ import annotations

from ..bench import Bench, Samples
from ..caches import cache_bytes, chased
from ..table import Told

METHOD = "each load needs the address that the last one brought: random order in half of the cache"
TOLD = Told.dean(7e-9)


async def run(bench: Bench) -> Samples:
    return chased(bench, cache_bytes(2) // 2)
