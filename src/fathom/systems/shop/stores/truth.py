"""The shop's PostgreSQL: one that can prepare transactions, and whose log of changes can be read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from fathom.engines.postgres import OwnPostgres, Postgres

if TYPE_CHECKING:
    from fathom.engines.keeper import Keeper

__all__ = ["SETTINGS", "Truth"]

# What PostgreSQL leaves out unless it is told before it starts: preparing transactions needs memory that is shared, and
# decoding needs rows told more fully in the log. Whoever uses neither pays a little for the second.
# Those who wait for each other in a circle wait until somebody looks for circles: a second, unless it is told.
SETTINGS = {
    "max_prepared_transactions": "64",
    "wal_level": "logical",
    "max_slot_wal_keep_size": "1GB",
    "deadlock_timeout": "100ms",
}


class Truth(Postgres):
    """A PostgreSQL, ours or another's; ours has what two of the shop's approaches need."""

    @classmethod
    def start(
        cls,
        keeper: Keeper,
        *,
        name: str = "postgres",
        folder: Path | None = None,
        cores: set[int] | None = None,
        buffers: str = "128MB",
        connections: int = 100,
        settings: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[OwnPostgres]:
        """Start one of our own, with `SETTINGS`."""
        return Postgres.start(
            keeper,
            name=name,
            folder=folder,
            cores=cores,
            buffers=buffers,
            connections=connections,
            settings={**SETTINGS, **(settings or {})},
        )
