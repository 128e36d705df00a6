"""Files and folders as they are now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..api import Node, NodeId, SpaceId
from .rows import ID_MAX, NODE_COLUMNS, NODE_FIELDS, node_of, row_of
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.database import Session

__all__ = ["Nodes"]

_BY_ID = f"SELECT {NODE_COLUMNS} FROM nodes n WHERE n.space = $1 AND n.id > $2 AND n.gone = $4 ORDER BY n.id LIMIT $3"
_WITHIN = (
    f"SELECT n.key, {NODE_COLUMNS} FROM nodes n WHERE n.space = $1 AND n.parent = $2 AND n.key > $3 AND NOT n.gone"
    " ORDER BY n.key LIMIT $4"
)
# LATERAL with LIMIT or OFFSET: each is looked up by an index, whatever the planner takes the number of nodes for.
_ONE = f"LATERAL (SELECT {NODE_COLUMNS} FROM nodes n WHERE n.space = $1 AND n.id = {{id}} LIMIT 1) AS n"
_PATH = f"""
    WITH RECURSIVE way AS (
        SELECT 0 AS depth, 0::bigint AS id
        UNION ALL
        SELECT way.depth + 1, n.id FROM way, LATERAL (
            SELECT id FROM nodes
            WHERE space = $1 AND parent = way.id AND key = ($2::text[])[way.depth + 1] AND NOT gone LIMIT 1) AS n
    )
    SELECT n.* FROM way, {_ONE.format(id="way.id")} ORDER BY way.depth
"""
_WITH_ABOVE = f"""
    WITH RECURSIVE up AS (
        SELECT n.id, n.parent FROM unnest($2::bigint[]) AS asked, {_ONE.format(id="asked")}
        UNION
        SELECT n.id, n.parent FROM up, {_ONE.format(id="up.parent")}
    )
    SELECT n.* FROM up, {_ONE.format(id="up.id")}
"""
_NAMED = f"""
    SELECT n.* FROM unnest($2::bigint[], $3::text[]) AS place (parent, key), LATERAL (
        SELECT {NODE_COLUMNS} FROM nodes n
        WHERE n.space = $1 AND n.parent = place.parent AND n.key = place.key AND NOT n.gone LIMIT 1) AS n
"""
_FOLDERS_BELOW = f"""
    WITH RECURSIVE down AS (
        SELECT folder AS id FROM unnest($2::bigint[]) AS folder
        UNION
        SELECT n.id FROM down, LATERAL (
            SELECT id FROM nodes WHERE space = $1 AND parent = down.id AND digest IS NULL AND NOT gone OFFSET 0) AS n
    )
    SELECT n.* FROM down, {_ONE.format(id="down.id")}
"""
_FILLED = """
    SELECT folder FROM unnest($2::bigint[]) AS folder, LATERAL (
        SELECT FROM nodes n
        WHERE n.space = $1 AND n.parent = folder AND NOT n.gone AND n.id <> ALL($3::bigint[]) LIMIT 1) AS something
"""


class Nodes:
    """The nodes of spaces."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    # Reading

    async def by_id(self, space: SpaceId, after: int, limit: int, *, gone: bool) -> list[Node]:
        """Return those that are there, or in the trash, by id."""
        db = await self._shards.of(space)
        query = _BY_ID.replace("n.gone = $4", "n.gone" if gone else "NOT n.gone")  # so that its index is found
        return [node_of(row) for row in await db.fetch(query, space, after, limit)]

    async def within(self, space: SpaceId, folder: NodeId, after: str, limit: int) -> list[tuple[str, Node]]:
        """Return what is in a folder, each with the key of its name, by that key."""
        rows = await (await self._shards.of(space)).fetch(_WITHIN, space, folder, after, limit)
        return [(row["key"], node_of(row)) for row in rows]

    async def one(self, space: SpaceId, id: NodeId) -> Node | None:
        if not 0 < id <= ID_MAX:
            return None
        db = await self._shards.of(space)
        row = await db.fetchrow(f"SELECT {NODE_COLUMNS} FROM nodes n WHERE n.space = $1 AND n.id = $2", space, id)
        return None if row is None else node_of(row)

    async def at(self, space: SpaceId, keys: Sequence[str]) -> list[Node]:
        """Return what a path of keys leads through, as far as it leads."""
        return [node_of(row) for row in await (await self._shards.of(space)).fetch(_PATH, space, list(keys))]

    # What a commit asks

    async def with_above(self, tx: Session, space: SpaceId, ids: Iterable[int]) -> list[Node]:
        """Return these nodes and all folders above them."""
        return [node_of(row) for row in await tx.fetch(_WITH_ABOVE, space, list(ids))]

    async def named(self, tx: Session, space: SpaceId, places: Collection[tuple[int, str]]) -> list[Node]:
        """Return what is there under these keys in these folders."""
        parents, keys = [parent for parent, _ in places], [key for _, key in places]
        return [node_of(row) for row in await tx.fetch(_NAMED, space, parents, keys)]

    async def folders_below(self, tx: Session, space: SpaceId, ids: Iterable[int]) -> list[Node]:
        """Return these folders and all folders within them."""
        return [node_of(row) for row in await tx.fetch(_FOLDERS_BELOW, space, list(ids))]

    async def filled(self, tx: Session, space: SpaceId, ids: Iterable[int], but: Iterable[int]) -> list[NodeId]:
        """Return those of these folders in which there is something, not counting what is named."""
        return [NodeId(row["folder"]) for row in await tx.fetch(_FILLED, space, list(ids), list(but))]

    async def replace(self, tx: Session, space: SpaceId, old: Iterable[int], new: Iterable[Node]) -> None:
        """Have these nodes in place of those: all go before any comes, so that two can change their names."""
        if known := list(old):
            await tx.execute("DELETE FROM nodes WHERE space = $1 AND id = ANY($2::bigint[])", space, known)
        if rows := [row_of(space, node) for node in new]:
            await tx.copy("nodes", NODE_FIELDS, rows)

    async def all(self, tx: Any, space: SpaceId) -> list[Node]:
        """Return every node of a space, for an audit."""
        rows = await tx.fetch(f"SELECT {NODE_COLUMNS} FROM nodes n WHERE n.space = $1 ORDER BY n.id", space)
        return [node_of(row) for row in rows]

    async def gone_since(self, tx: Session, space: SpaceId, before_ms: int, most: int) -> list[NodeId]:
        """Return what has been in the trash since then or longer."""
        rows = await tx.fetch(
            "SELECT id FROM nodes WHERE space = $1 AND gone AND at_ms <= $2 ORDER BY id LIMIT $3",
            space,
            before_ms,
            most,
        )
        return [NodeId(row["id"]) for row in rows]
