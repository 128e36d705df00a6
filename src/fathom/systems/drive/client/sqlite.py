"""What a client remembers, in SQLite in the synced folder itself: durable when a batch returns."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from ..core.state import Batch, Facts, broken

__all__ = ["Sqlite"]

# The families are the client's own business; to the disk all of them are facts. `application_id` tells our file.
OURS = 0x46746864
SCHEMA = "CREATE TABLE IF NOT EXISTS facts (family TEXT, key BLOB, value BLOB, PRIMARY KEY (family, key))"


class Sqlite:
    """Facts in one file (see `core.state.State`). One client at a time: the file is locked while it is open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._one = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, file: Path) -> AsyncIterator[Sqlite]:
        """Open the file, or make it. Raises FathomError if it is damaged, foreign, or another client has it open."""
        connection = await asyncio.to_thread(_opened, file)
        try:
            yield cls(connection)
        finally:
            await asyncio.to_thread(connection.close)

    async def load(self) -> Facts:
        async with self._one:
            return await asyncio.to_thread(self._load)

    async def apply(self, batch: Batch) -> None:
        async with self._one:
            await asyncio.to_thread(self._apply, batch)

    def _load(self) -> Facts:
        found: dict[str, dict[bytes, bytes]] = {}
        try:
            for family, key, value in self._connection.execute("SELECT family, key, value FROM facts"):
                found.setdefault(family, {})[bytes(key)] = bytes(value)
        except (sqlite3.Error, TypeError) as fault:
            raise broken(str(fault)) from fault
        return found

    def _apply(self, batch: Batch) -> None:
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for family, key, value in batch:
                if value is None:
                    connection.execute("DELETE FROM facts WHERE family = ? AND key = ?", (family, key))
                else:
                    connection.execute("REPLACE INTO facts VALUES (?, ?, ?)", (family, key, value))


def _opened(file: Path) -> sqlite3.Connection:
    new = not file.exists()
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=0.1)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        with closing(connection.execute("PRAGMA application_id")) as found:
            (id,) = found.fetchone()
        if not new and id != OURS:
            raise broken(f"{file.name} is a database, but not one of this client")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(f"PRAGMA application_id = {OURS}")
        connection.execute(SCHEMA)
        connection.execute("COMMIT")
        with closing(connection.execute("PRAGMA quick_check(1)")) as checked:
            (says,) = checked.fetchone()
        if says != "ok":
            raise broken(f"{file.name} is damaged: {says}")
    except sqlite3.Error as fault:
        connection.close()
        raise broken(_why(file, fault)) from fault
    except BaseException:
        connection.close()
        raise
    return connection


def _why(file: Path, fault: sqlite3.Error) -> str:
    if "locked" in str(fault):
        return f"another client has {file.name} open: one folder is synced by one client at a time"
    return f"{file.name}: {fault}"
