"""A value of 100 bytes, got from Redis by its key."""

from __future__ import annotations

from fathom.engines.redis import Redis

from ..bench import Bench, Samples

METHOD = "GET by the client that the systems use, one at a time, over a Unix socket; the server on another core"
TOLD = None
KEYS = 1_000


async def run(bench: Bench) -> Samples:
    redis = await bench.client(Redis)
    for key in range(KEYS):
        await redis("SET", f"key-{key}", b"v" * 100)
    return await bench.each_awaited(lambda turn: redis("GET", f"key-{turn % KEYS}"))
