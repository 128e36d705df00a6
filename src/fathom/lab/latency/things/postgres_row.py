"""A row of PostgreSQL, got by its primary key."""

from __future__ import annotations

from fathom.engines.postgres import Postgres

from ..bench import Bench, Samples
from ..rows import LOOK, ROWS, filled

METHOD = (
    "a prepared statement over one TCP connection on loopback, one at a time, 10,000 rows; the server on another core"
)
TOLD = None


async def run(bench: Bench) -> Samples:
    database = await bench.client(Postgres)
    await filled(database)
    return await bench.each_awaited(lambda turn: database.fetchrow(LOOK, turn % ROWS))
