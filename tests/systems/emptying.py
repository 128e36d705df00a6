"""A database that a test has used, as it was before: that takes a hundredth of what a new one does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import asyncpg

__all__ = ["emptied", "shape"]

# What a test may have changed besides rows: then the database is not used again.
SHAPE = """
    SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
        (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_constraint)
"""
# Somebody who was killed may still write.
ALONE = "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"
# Few rows are deleted sooner than a table is truncated, which takes new files for it and each of its indexes.
EMPTY = """
    SET session_replication_role = replica; SET lock_timeout = '2s';
    DO $$ DECLARE it record; BEGIN
        FOR it IN SELECT oid::regclass AS name, pg_relation_size(oid) AS bytes FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> ALL ('{%s}')
                AND pg_relation_size(oid) > 0
        LOOP
            IF it.bytes > 65536 THEN EXECUTE 'TRUNCATE ' || it.name || ' CASCADE';
            ELSE EXECUTE 'DELETE FROM ' || it.name; END IF;
        END LOOP;
        PERFORM pg_clear_attribute_stats('public', tablename, attname, inherited)
            FROM pg_stats WHERE schemaname = 'public';
        PERFORM pg_clear_relation_stats('public', relname) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') AND relpages > 0;
        PERFORM setval(seqrelid, seqstart, false) FROM pg_sequence;
    END $$; %s
"""


async def shape(url: str) -> tuple[int, ...]:
    """Return what there is but rows, as numbers that tell whether it was changed."""
    connection = await asyncpg.connect(url)
    try:
        return await _shape(connection)
    finally:
        await connection.close()


async def emptied(url: str, made: tuple[int, ...], *, keeps: Collection[str], fill: str = "") -> bool:
    """Empty a database but for the tables that it `keeps`, and `fill` it; False if it is not what was made any more."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(ALONE, connection.get_server_pid())
        if await _shape(connection) != made:
            return False
        await connection.execute(EMPTY % (",".join(keeps), fill))
    finally:
        await connection.close()
    return True


async def _shape(connection: Any) -> tuple[int, ...]:
    return tuple(await connection.fetchrow(SHAPE))
