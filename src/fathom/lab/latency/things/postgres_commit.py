"""A row added to PostgreSQL, and durable before it goes on."""

from __future__ import annotations

from fathom.engines.postgres import Postgres

from ..bench import Bench, Samples
from ..rows import ADD, BODY, ROWS, filled

METHOD = "one INSERT of 100 bytes a transaction, fsync and synchronous_commit on, one at a time over loopback"
TOLD = None


async def run(bench: Bench) -> Samples:
    database = await bench.client(Postgres)
    await filled(database)
    warm = ROWS + 1_000  # below it lie those that warm it up
    return await bench.each_awaited(lambda turn: database.execute(ADD, warm + turn, BODY))
