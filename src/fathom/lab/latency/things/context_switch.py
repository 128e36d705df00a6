"""From one process to another on the same core."""

from __future__ import annotations

import os

from ..bench import Bench, Samples
from ..peer import GONE, answering
from ..table import Told

METHOD = "half of a byte's way to a process on the same core and back, through two pipes; reading and writing included"
TOLD = Told.sigoure(4.3e-6)


async def run(bench: Bench) -> Samples:
    theirs, ours = os.pipe(), os.pipe()
    try:
        with answering(theirs[0], ours[1], bench.placement.generator):

            def switch(n: int) -> None:
                for _ in range(n):
                    os.write(theirs[1], b"p")
                    if not os.read(ours[0], 1):
                        raise ConnectionResetError(GONE)

            found = bench.batches(switch)
    finally:
        for end in (theirs[1], ours[0]):
            os.close(end)
    return Samples([took / 2 for took in found.seconds], 2 * found.batch)
