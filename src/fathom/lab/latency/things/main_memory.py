"""A load that main memory must answer."""

from __future__ import annotations

from ..bench import Bench, Samples
from ..caches import cache_bytes, chased
from ..table import Told

METHOD = (
    "each load needs the address that the last one brought: "
    "random order in eight times the last cache (at most 512 MiB)"
)
TOLD = Told.dean(100e-9)


async def run(bench: Bench) -> Samples:
    return chased(bench, min(8 * cache_bytes(3), 512 << 20))
