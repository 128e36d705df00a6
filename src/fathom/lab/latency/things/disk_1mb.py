"""A megabyte read from the disk, from front to back."""

from __future__ import annotations

import itertools
import os

from ..bench import Bench, Samples
from ..disk import aligned, cold_file
from ..table import Told

METHOD = "reads of 1 MiB in order, past the page cache (O_DIRECT); a virtual disk may have a cache below it"
TOLD = Told.boner(1e-3)
SIZE, PIECES = 1 << 20, 64


async def run(bench: Bench) -> Samples:
    buffer, places = aligned(SIZE), itertools.cycle(range(0, SIZE * PIECES, SIZE))
    with cold_file(bench.folder, SIZE * PIECES) as fd:
        return bench.each(lambda: os.preadv(fd, [buffer], next(places)))
