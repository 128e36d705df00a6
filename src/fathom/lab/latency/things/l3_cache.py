"""A load that the third-level cache answers."""

from __future__ import annotations

from ..bench import Bench, Samples
from ..caches import Chain, cache_bytes
from ..native import CHASE, compiled

METHOD = "each load needs the address that the last one brought: random order in twice the second-level cache"
TOLD = None


async def run(bench: Bench) -> Samples:
    chase = compiled(CHASE, 2)
    size = min(2 * cache_bytes(2), cache_bytes(3) // 2)  # more of it may be in the hands of others who share it
    chain = Chain(size)

    def walk(n: int) -> None:
        chain.at = chase(chain.at, n)

    walk(len(chain))  # once around, so that what has room in the cache is there
    found = bench.batches(walk)
    return Samples(found.seconds, found.batch, f"through {size >> 10:,} KiB")
