"""A new process, from its start to its end."""

from __future__ import annotations

import os
import shutil

from ..bench import Bench, NotHere, Samples

METHOD = "posix_spawn of `true`, and waiting for its end"
TOLD = None


async def run(bench: Bench) -> Samples:
    program = shutil.which("true")
    if program is None:
        raise NotHere("there is no program `true` on the PATH")
    return bench.each(lambda: os.waitpid(os.posix_spawn(program, ["true"], {}), 0))
