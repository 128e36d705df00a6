"""What a commit asks does not grow with how much there is, whether the planner has looked at the tables or not."""

from __future__ import annotations

import pytest

from fathom.systems.drive.api import ROOT, Drop, Make, Move

from .world import Somebody, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

MANY = 20_000
_MANY = (
    "INSERT INTO nodes SELECT $1, n, 1, 'f' || n, 'f' || n, n, 1, sha256('x'), 1, 0, 0, '', false"
    " FROM generate_series(10, $2::integer + 9) AS n"
)


# As if nobody had ever looked at the table: the database may be another test's, where somebody has; nobody does now.
_UNSEEN = (
    "ALTER TABLE nodes SET (autovacuum_enabled = false)",
    "DELETE FROM pg_statistic WHERE starelid = 'nodes'::regclass",
    "UPDATE pg_class SET relpages = 0, reltuples = -1 WHERE oid = 'nodes'::regclass"
    " OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'nodes'::regclass)",
)


async def touched(world: World) -> int:
    """Return how many rows of nodes have been read by anybody, whole table or by an index."""
    await world.stores.truth.client.report()
    return await world.sql(
        "SELECT sum(seq_tup_read) + sum(idx_tup_fetch) FROM pg_stat_user_tables WHERE relname = 'nodes'"
    )


@pytest.mark.parametrize("analyzed", ["never", "when it was nearly empty", "since"])
async def test_a_folder_of_20_000_files_costs_a_commit_no_more_than_an_empty_one(world: World, analyzed: str):
    async with world.open() as drive:
        ann = await Somebody.joins(drive)
        (folder,) = await ann.do(Make(parent=ROOT, name="big"))
        for statement in _UNSEEN:
            await world.sql(statement)
        if analyzed == "when it was nearly empty":
            await world.sql("ANALYZE nodes")
        await world.sql(_MANY, ann.space, MANY)
        await world.sql("UPDATE spaces SET last_id = $1", 2 * MANY)
        if analyzed == "since":
            await world.sql("ANALYZE nodes")
        before = await touched(world)
        await ann.do(
            Make(parent=folder.id, name="one more"),
            Move(node=folder.id, parent=ROOT, name="bigger"),
            Make(parent=ROOT, name="beside"),
        )
        assert (await ann.commit([Drop(node=folder.id)]))[0].code == "conflict"
        assert [it.name for it in await ann.at(["bigger", "F777"])] == ["bigger", "f777"]
        assert len((await ann.listing(folder.id, "f5", 10)).nodes) == 10
        assert await touched(world) - before < 100
