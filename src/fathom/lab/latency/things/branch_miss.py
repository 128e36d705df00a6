"""A branch that the processor has foreseen wrongly."""

from __future__ import annotations

import numpy as np

from ..bench import Bench, Samples
from ..native import SUM_IF, compiled
from ..table import Told

METHOD = "a loop that counts the ones among random bits, less the same over sorted bits; half of the random are missed"
TOLD = Told.dean(5e-9)
BITS = 1 << 18  # in the second-level cache, and more than any predictor learns by heart
SEED = 7


async def run(bench: Bench) -> Samples:
    count = compiled(SUM_IF, 2)
    drawn = np.random.default_rng(SEED).integers(0, 2, BITS, dtype=np.uint8)
    ordered = np.sort(drawn)
    assert count(drawn.ctypes.data, BITS) == count(ordered.ctypes.data, BITS)
    base = bench.each(lambda: count(ordered.ctypes.data, BITS))
    least = sorted(base.seconds)[len(base.seconds) // 2]
    found = bench.each(lambda: count(drawn.ctypes.data, BITS))
    return Samples([(took - least) / (BITS / 2) for took in found.seconds], BITS)
