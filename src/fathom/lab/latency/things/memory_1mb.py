"""A megabyte read from main memory, from front to back."""

from __future__ import annotations

import itertools

import numpy as np

from ..bench import Bench, Samples
from ..caches import cache_bytes
from ..table import Told

METHOD = "numpy sums 1,000,000 bytes after the other, through eight times the last cache (at most 512 MiB)"
TOLD = Told.dean(250e-6)
SIZE = 1_000_000


async def run(bench: Bench) -> Samples:
    pieces = min(8 * cache_bytes(3), 512 << 20) // SIZE
    memory = np.ones(pieces * SIZE // 8, dtype=np.uint64)
    rows = itertools.cycle(memory.reshape(pieces, -1))
    return bench.each(lambda: next(rows).sum())
