"""The SHA-256 of a megabyte."""

from __future__ import annotations

import hashlib

import numpy as np

from ..bench import Bench, Samples

METHOD = "hashlib on 1,000,000 random bytes that lie in a cache"
TOLD = None
SIZE = 1_000_000


async def run(bench: Bench) -> Samples:
    data = np.random.default_rng(7).bytes(SIZE)
    return bench.each(lambda: hashlib.sha256(data).digest())
