"""What files have held: each version with its manifest, whose rows are the references that keep chunks alive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..api import Chunk, Content, Digest, Manifest, Node, NodeId, SpaceId
from .shards import Shards

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Database, Session

__all__ = ["Version", "Versions"]

_COLUMNS = "v.node, v.version, v.cutting, v.seq, v.digest, v.size, v.executable, v.modified_ms, v.at_ms, v.device"
_MANIFEST = """
    SELECT v.cutting, p.digest, p.size
    FROM versions v LEFT JOIN parts p ON p.space = v.space AND p.node = v.node AND p.version = v.version
    WHERE v.space = $1 AND v.node = $2 AND v.version = $3 ORDER BY p.position
"""
_PARTS = """
    SELECT p.node, p.version, p.digest, p.size
    FROM unnest($2::bigint[], $3::bigint[]) AS known (node, version)
    JOIN parts p ON p.space = $1 AND p.node = known.node AND p.version = known.version
    ORDER BY p.node, p.version, p.position
"""
_HOW_MANY = """
    SELECT (
        SELECT count(*) FROM parts p WHERE p.space = $1 AND p.node = known.node AND p.version = known.version
    ) AS parts
    FROM unnest($2::bigint[], $3::bigint[]) WITH ORDINALITY AS known (node, version, nth) ORDER BY nth
"""
_FORGET_OLD = """
    WITH old AS (
        DELETE FROM versions v USING nodes n
        WHERE v.space = $1 AND n.space = v.space AND n.id = v.node AND v.version <> n.version AND (
            SELECT min(later.at_ms) FROM versions later
            WHERE later.space = v.space AND later.node = v.node AND later.version > v.version
        ) <= $2
        RETURNING v.node, v.version
    ), parted AS (
        DELETE FROM parts p USING old WHERE p.space = $1 AND p.node = old.node AND p.version = old.version
    )
    SELECT count(*) FROM old
"""


class Version(NamedTuple):
    """What a file held once; of `node`, what may change later (parent, name, gone) is not told."""

    node: Node
    manifest: Manifest


class Versions:
    """The versions of files. A row in `parts` is a reference: there are no counters of them anywhere."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def of(self, space: SpaceId, id: NodeId) -> list[Node]:
        """Return a file as it was at each version, newest first."""
        db = await self._shards.of(space)
        rows = await db.fetch(
            f"SELECT {_COLUMNS} FROM versions v WHERE v.space = $1 AND v.node = $2 ORDER BY v.version DESC", space, id
        )
        return [_node(row) for row in rows]

    async def manifest(self, space: SpaceId, id: NodeId, version: int) -> Manifest | None:
        rows = await (await self._shards.of(space)).fetch(_MANIFEST, space, id, version)  # at once: it may be purged
        if not rows:
            return None
        chunks = [Chunk(Digest(row["digest"].hex()), row["size"]) for row in rows if row["digest"] is not None]
        return Manifest(cutting=rows[0]["cutting"], chunks=chunks)

    # What a commit asks

    async def how_many(self, space: SpaceId, wanted: Sequence[tuple[int, int]]) -> list[int]:
        """Return of how many chunks each of these versions of these files is; 0 also where there is none."""
        rows = await (await self._shards.of(space)).fetch(
            _HOW_MANY, space, [id for id, _ in wanted], [number for _, number in wanted]
        )
        return [row["parts"] for row in rows]

    async def manifests(self, space: SpaceId, wanted: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Manifest]:
        """Return the manifests of these versions of these files, as far as they are there."""
        found = await self.some(await self._shards.of(space), space, wanted)
        return {(it.node.id, it.node.version): it.manifest for it in found}

    async def some(self, tx: Session | Database, space: SpaceId, wanted: Iterable[tuple[int, int]]) -> list[Version]:
        """Return these versions of these nodes, with their manifests."""
        pairs = list(wanted)
        ids, numbers = [id for id, _ in pairs], [number for _, number in pairs]
        rows = await tx.fetch(
            f"SELECT {_COLUMNS} FROM unnest($2::bigint[], $3::bigint[]) AS known (node, version) JOIN versions v"
            " ON v.space = $1 AND v.node = known.node AND v.version = known.version",
            space,
            ids,
            numbers,
        )
        parts: dict[tuple[int, int], list[Chunk]] = {}
        for row in await tx.fetch(_PARTS, space, ids, numbers) if rows else ():
            parts.setdefault((row["node"], row["version"]), []).append(Chunk(Digest(row["digest"].hex()), row["size"]))
        return [
            Version(_node(row), Manifest(cutting=row["cutting"], chunks=parts.get((row["node"], row["version"]), [])))
            for row in rows
        ]

    async def holders(
        self, tx: Session, space: SpaceId, digests: Sequence[bytes], nodes: Iterable[int]
    ) -> list[tuple[Digest, NodeId]]:
        """Return which of these nodes have which of these chunks."""
        rows = await tx.fetch(
            "SELECT DISTINCT digest, node FROM parts"
            " WHERE space = $1 AND node = ANY($3::bigint[]) AND digest = ANY($2::bytea[])",
            space,
            digests,
            list(nodes),
        )
        return [(Digest(row["digest"].hex()), NodeId(row["node"])) for row in rows]

    async def add(self, tx: Session, space: SpaceId, versions: Sequence[Version]) -> None:
        """Keep versions, and with them the references to their chunks."""
        rows: list[tuple[Any, ...]] = []
        for node, manifest in versions:
            assert node.content is not None
            content = bytes.fromhex(node.content.digest), node.content.size, node.content.executable
            rows.append(
                (space, node.id, node.version, manifest.cutting, node.seq, *content, node.modified_ms, node.at_ms,
                 node.device)
            )  # fmt: skip
        columns = (
            "space", "node", "version", "cutting", "seq", "digest", "size", "executable", "modified_ms", "at_ms",
            "device",
        )  # fmt: skip
        await tx.copy("versions", columns, rows)
        parts = (
            (space, node.id, node.version, position, bytes.fromhex(chunk.digest), chunk.size)
            for node, manifest in versions
            for position, chunk in enumerate(manifest.chunks)
        )
        await tx.copy("parts", ("space", "node", "version", "position", "digest", "size"), parts)

    async def purge(self, tx: Session, space: SpaceId, ids: Iterable[int]) -> None:
        """Let go of all versions of nodes: what only they had can be collected."""
        await tx.execute(
            "WITH gone AS (DELETE FROM parts WHERE space = $1 AND node = ANY($2::bigint[]))"
            " DELETE FROM versions WHERE space = $1 AND node = ANY($2::bigint[])",
            space,
            list(ids),
        )

    async def forget_old(self, tx: Session, space: SpaceId, before_ms: int) -> int:
        """Let go of versions that were replaced by then; return how many."""
        return await tx.fetchval(_FORGET_OLD, space, before_ms)


def _node(row: asyncpg.Record) -> Node:
    return Node(
        id=NodeId(row["node"]),
        parent=NodeId(0),
        name="",
        seq=row["seq"],
        version=row["version"],
        content=Content(Digest(row["digest"].hex()), row["size"], row["executable"]),
        modified_ms=row["modified_ms"],
        at_ms=row["at_ms"],
        device=row["device"],
    )
