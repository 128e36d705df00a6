"""4 KB read from anywhere on the disk."""

from __future__ import annotations

import os
import random

from ..bench import Bench, Samples
from ..disk import aligned, cold_file
from ..table import Told

METHOD = (
    "reads of 4 KiB at random places in 64 MiB, past the page cache (O_DIRECT); a virtual disk may have one below it"
)
TOLD = Told.boner(150e-6)
SIZE, PIECES, SEED = 4096, 16_384, 7


async def run(bench: Bench) -> Samples:
    buffer, dice = aligned(SIZE), random.Random(SEED)
    with cold_file(bench.folder, SIZE * PIECES) as fd:
        return bench.each(lambda: os.preadv(fd, [buffer], dice.randrange(PIECES) * SIZE))
