"""A load that the second-level cache answers."""

from __future__ import annotations

from ..bench import Bench, Samples
from ..caches import Chain, cache_bytes
from ..native import CHASE, compiled
from ..table import Told

METHOD = "each load needs the address that the last one brought: random order in half of the cache"
TOLD = Told.dean(7e-9)


async def run(bench: Bench) -> Samples:
    chase = compiled(CHASE, 2)
    size = cache_bytes(2) // 2
    chain = Chain(size)

    def walk(n: int) -> None:
        chain.at = chase(chain.at, n)

    walk(len(chain))  # once around, so that what has room in the cache is there
    found = bench.batches(walk)
    return Samples(found.seconds, found.batch, f"through {size >> 10:,} KiB")
