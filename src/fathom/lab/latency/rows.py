"""The table of rows that PostgreSQL is asked for by key, and that rows are added to."""

from __future__ import annotations

from fathom.engines.database import Database

__all__ = ["ADD", "BODY", "LOOK", "ROWS", "filled"]

ROWS = 10_000
BODY = "v" * 100
LOOK = "SELECT body FROM looked_up WHERE id = $1"
ADD = "INSERT INTO looked_up (id, body) VALUES ($1, $2)"


async def filled(database: Database) -> None:
    """Make the table afresh, with rows 0 to ROWS - 1."""
    await database.execute("DROP TABLE IF EXISTS looked_up")
    await database.execute("CREATE TABLE looked_up (id bigint PRIMARY KEY, body text NOT NULL)")
    await database.copy("looked_up", ["id", "body"], ((n, BODY) for n in range(ROWS)))
    await database.execute("ANALYZE looked_up")
