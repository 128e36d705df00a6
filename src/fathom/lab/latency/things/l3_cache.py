"""A load that the third-level cache answers."""

from __future__ import annotations

from ..bench import Bench, Samples
from ..caches import cache_bytes, chased

METHOD = (
    "each load needs the address that the last one brought: "
    "random order in twice the second-level cache, or in half of this one where that is less"
)
TOLD = None


async def run(bench: Bench) -> Samples:
    # more of it may be in the hands of others who share it
    return chased(bench, min(2 * cache_bytes(2), cache_bytes(3) // 2))
