"""4 KB appended to a file, and on the disk before it goes on."""

from __future__ import annotations

import os
import tempfile

from ..bench import Bench, Samples
from ..disk import on_disk
from ..table import Told

METHOD = "a write of 4 KiB at the end of a file, and fsync; what returns in under 0.2 ms has no disk's flush behind it"
TOLD = Told.napkin(5e-3)
BLOCK = bytes(4096)


async def run(bench: Bench) -> Samples:
    on_disk(bench.folder)
    with tempfile.TemporaryFile(dir=bench.folder, buffering=0) as file:
        fd = file.fileno()

        def append() -> None:
            os.write(fd, BLOCK)
            os.fsync(fd)

        return bench.each(append)
