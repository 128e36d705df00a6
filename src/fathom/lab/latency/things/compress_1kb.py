"""A kilobyte of JSON, compressed."""

from __future__ import annotations

import zlib

import msgspec

from ..bench import Bench, Samples
from ..table import Told
from .json_1kb import PAGE

METHOD = "zlib at level 1 on a page of a dozen posts, in a loop of Python; the table speaks of Snappy, which packs less"
TOLD = Told.dean(3e-6)
LEVEL = 1


async def run(bench: Bench) -> Samples:
    text = msgspec.json.encode(PAGE)

    def pack(n: int) -> None:
        for _ in range(n):
            zlib.compress(text, LEVEL)

    found = bench.batches(pack)
    return Samples(found.seconds, found.batch, f"{len(text):,} to {len(zlib.compress(text, LEVEL)):,} bytes")
