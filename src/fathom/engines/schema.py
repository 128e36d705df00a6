"""Schemas that grow by steps: files of SQL in their order, each done once and whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

from fathom.engines.database import Database
from fathom.errors import FathomError

__all__ = ["migrate", "steps"]

Step = tuple[str, str]  # its name, and its SQL


def steps(package: str) -> list[Step]:
    """Return the migrations of a package in their order: migrations/0001_first.sql, 0002_… ValueError for a gap."""
    files = sorted(
        (file for file in resources.files(package).joinpath("migrations").iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    found: list[Step] = []
    for number, file in enumerate(files, 1):
        if not re.fullmatch(rf"{number:04d}_[a-z_]+\.sql", file.name):
            raise ValueError(f"{file.name} is not the migration number {number}")
        found.append((file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")))
    return found


async def migrate(database: Database, wanted: Sequence[Step], lock: int) -> int:
    """Bring a schema up to date, one transaction a step; return its version. Safe to call at any time.

    `lock` is the number of an advisory lock: whoever migrates the same data at the same time waits.
    """
    async with database.session(within_s=60.0) as session:
        await session.execute("SELECT pg_advisory_lock($1)", lock)
        try:
            await session.execute(
                "CREATE TABLE IF NOT EXISTS migrations (version integer PRIMARY KEY, name text NOT NULL)"
            )
            version = await session.fetchval("SELECT coalesce(max(version), 0) FROM migrations")
            if version > len(wanted):
                raise FathomError(
                    f"these data have schema version {version}",
                    why=f"this Fathom knows versions up to {len(wanted)}: a newer one has used them",
                    fix="use that newer Fathom, or restore a backup made before it",
                )
            for number, (name, script) in enumerate(wanted[version:], version + 1):
                await session.execute(f"BEGIN; {script}; INSERT INTO migrations VALUES ({number}, '{name}'); COMMIT")
        finally:
            await session.execute("SELECT pg_advisory_unlock($1)", lock)
    return len(wanted)
