"""A call into the kernel that does next to nothing."""

from __future__ import annotations

from ..bench import Bench, Samples
from ..native import GETPID, compiled
from ..table import Told

METHOD = "getpid by the syscall instruction, in a loop of machine code"
TOLD = Told.sigoure(105e-9)


async def run(bench: Bench) -> Samples:
    ask = compiled(GETPID, 1, linux=True)
    return bench.batches(ask)
