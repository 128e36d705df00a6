"""A kilobyte of JSON, written from Python objects."""

from __future__ import annotations

import msgspec

from ..bench import Bench, Samples

METHOD = "msgspec's encoder on a page of a dozen small posts, 1 KB when written, in a loop of Python"
TOLD = None
PAGE = [
    {"id": 7_001_440_000_000 + n, "author": f"user-{n}", "likes": 3 * n, "text": "what was said about it"}
    for n in range(12)
]


async def run(bench: Bench) -> Samples:
    encode = msgspec.json.Encoder().encode
    size = len(encode(PAGE))

    def write(n: int) -> None:
        for _ in range(n):
            encode(PAGE)

    found = bench.batches(write)
    return Samples(found.seconds, found.batch, f"{size:,} bytes")
