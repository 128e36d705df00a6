"""A round trip between two machines of one data centre."""

from __future__ import annotations

from ..bench import Bench, NotHere, Samples
from ..table import Told

METHOD = "not at all on one machine: loopback is the part of it that is the kernel's"
TOLD = Told.dean(500e-6)


async def run(bench: Bench) -> Samples:
    raise NotHere("it needs a second machine, and a network between; loopback is the part of it that is the kernel's")
