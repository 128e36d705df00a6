"""A packet from California to the Netherlands and back."""

from __future__ import annotations

from ..bench import Bench, NotHere, Samples
from ..table import Told

METHOD = "not at all on one machine: light in glass alone needs 89 ms"
TOLD = Told.dean(150e-3)


async def run(bench: Bench) -> Samples:
    raise NotHere("it needs a machine on the other side; light in glass alone needs 89 ms (fathom estimate latency)")
