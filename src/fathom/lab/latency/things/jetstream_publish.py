"""A message of 100 bytes, acknowledged by NATS JetStream."""

from __future__ import annotations

from fathom.engines.nats import Nats

from ..bench import Bench, Samples

METHOD = "publish to a stream in a file and wait for its acknowledgement, one at a time; each is fsynced before it"
TOLD = None


async def run(bench: Bench) -> Samples:
    broker = await bench.client(Nats)
    await broker.stream("latency", ["latency.sent"], work=False)
    return await bench.each_awaited(lambda turn: broker.publish("latency.sent", b"m" * 100))
