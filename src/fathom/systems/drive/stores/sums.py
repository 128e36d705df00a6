"""Whether everything adds up: what is said twice, in the tables and in the object store, is compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from fathom.engines.objects import Objects

from ..api import Chunk, Content, Digest, Node, SpaceId
from ..model.checks import content_of
from .rows import NODE_COLUMNS, node_of
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.bucket import Bucket
    from fathom.engines.database import Session

__all__ = ["Sums"]

# Each names what does not agree, one row a fault; nothing comes back where all does.
_FAULTS = (
    "SELECT 'used is ' || s.used || ', and its chunks have ' || sum.bytes || ' bytes' FROM spaces s, LATERAL ("
    " SELECT coalesce(sum(c.size), 0) AS bytes FROM chunks c WHERE c.space = s.id) AS sum"
    " WHERE s.id = $1 AND s.used <> sum.bytes",
    "SELECT 'session ' || s.id || ' keeps room for ' || s.reserved || ' bytes, and its leases say ' || sum.bytes"
    " FROM sessions s, LATERAL (SELECT coalesce(sum(l.size), 0) AS bytes FROM leases l"
    " WHERE l.session = s.id AND l.reserved) AS sum WHERE s.space = $1 AND s.reserved <> sum.bytes",
    "SELECT 'room is kept for chunk ' || encode(l.digest, 'hex') || ', which is there' FROM leases l"
    " JOIN chunks c ON c.space = l.space AND c.digest = l.digest WHERE l.space = $1 AND l.reserved",
    "SELECT 'session ' || l.session || ' is gone, and leases ' || count(*) || ' chunks' FROM leases l"
    " WHERE l.space = $1 AND NOT EXISTS (SELECT FROM sessions s WHERE s.id = l.session) GROUP BY l.session",
    "SELECT 'file ' || p.node || ' refers to chunk ' || encode(p.digest, 'hex') || ', which ' ||"
    " coalesce('is ' || c.state, 'is not known') FROM parts p LEFT JOIN chunks c"
    " ON c.space = p.space AND c.digest = p.digest WHERE p.space = $1 AND c.state IS DISTINCT FROM 'live'"
    " GROUP BY p.node, p.digest, c.state",
    "SELECT 'file ' || p.node || ' says that chunk ' || encode(p.digest, 'hex') || ' has ' || p.size || ' bytes, not '"
    " || c.size FROM parts p JOIN chunks c ON c.space = p.space AND c.digest = p.digest"
    " WHERE p.space = $1 AND c.size <> p.size GROUP BY p.node, p.digest, p.size, c.size",
    "SELECT 'a session leases chunk ' || encode(c.digest, 'hex') || ', which is condemned' FROM chunks c"
    " JOIN leases l ON l.space = c.space AND l.digest = c.digest"
    " JOIN sessions s ON s.id = l.session AND s.expires_ms > $2 WHERE c.space = $1 AND c.state = 'condemned'",
    "SELECT 'version ' || p.version || ' of file ' || p.node || ' has chunks, and is not there' FROM parts p"
    " WHERE p.space = $1 AND NOT EXISTS (SELECT FROM versions v"
    " WHERE v.space = p.space AND v.node = p.node AND v.version = p.version) GROUP BY p.node, p.version",
    "SELECT 'file ' || v.node || ' has versions, and is not there' FROM versions v"
    " WHERE v.space = $1 AND NOT EXISTS (SELECT FROM nodes n WHERE n.space = v.space AND n.id = v.node)"
    " GROUP BY v.node",
    "SELECT 'file ' || n.id || ' is at version ' || n.version || ', which is not kept, or holds something else'"
    " FROM nodes n WHERE n.space = $1 AND n.digest IS NOT NULL AND NOT EXISTS (SELECT FROM versions v"
    " WHERE v.space = n.space AND v.node = n.id AND v.version = n.version AND v.digest = n.digest)",
    "SELECT 'the journal has ' || count(*) || ' changes from ' || s.floor || ' up to ' || max(j.seq) ||"
    " ', and its head is ' || s.head FROM spaces s JOIN journal j ON j.space = s.id WHERE s.id = $1 GROUP BY s.id"
    " HAVING count(*) <> s.head - s.floor OR max(j.seq) <> s.head OR min(j.seq) <> s.floor + 1",
    "SELECT 'the journal has nothing from ' || floor || ' up to its head, ' || head FROM spaces s"
    " WHERE id = $1 AND floor <> head AND NOT EXISTS (SELECT FROM journal WHERE space = s.id)",
    "SELECT 'chunk ' || encode(c.digest, 'hex') || ' lies in pack ' || c.pack || ', which is not kept' FROM chunks c"
    " LEFT JOIN packs p ON p.id = c.pack WHERE c.space = $1 AND p.state IS DISTINCT FROM 'kept'",
)
_HELD = "SELECT v.node, v.version, v.digest, v.size FROM versions v WHERE v.space = $1 ORDER BY v.node, v.version"
_PARTS = "SELECT node, version, digest, size FROM parts WHERE space = $1 ORDER BY node, version, position"


class Sums:
    """The books of a space, gone through in one snapshot; for each fault a sentence."""

    def __init__(self, shards: Shards, files: Objects) -> None:
        self._shards, self._files = shards, files

    @property
    def _bucket(self) -> Bucket:
        return self._files.client

    async def faults(self, space: SpaceId, now_ms: int) -> list[str]:
        """Return what does not agree. What is being written or deleted meanwhile is no fault."""
        found: list[str] = []
        db = await self._shards.of(space)
        async with db.transaction(isolation="repeatable read", within_s=60.0) as tx:
            for query in _FAULTS:
                given = (space, now_ms) if "$2" in query else (space,)
                found += [row[0] for row in await tx.fetch(query, *given)]
            found += [it async for it in self._contents(tx, space)]
            found += [it async for it in self._tree(tx, space)]
            packs = {
                row["id"]: row["size"]
                for row in await tx.fetch("SELECT id, size FROM packs WHERE space = $1 AND state = 'kept'", space)
            }
        for id, size in packs.items():
            there = await self._bucket.size(f"spaces/{space}/packs/{id}")
            if there == size:
                continue
            kept = await db.fetchval("SELECT true FROM packs WHERE id = $1 AND state = 'kept'", id)
            if kept:  # it was not given up meanwhile
                found.append(f"pack {id} has {size} bytes, and its object {there if there is not None else 'is lost'}")
        return found

    async def _contents(self, tx: Session, space: SpaceId) -> AsyncIterator[str]:
        """What a version is said to hold is what its chunks are."""
        chunks: dict[tuple[int, int], list[Chunk]] = {}
        for row in await tx.fetch(_PARTS, space):
            chunks.setdefault((row["node"], row["version"]), []).append(Chunk(Digest(row["digest"].hex()), row["size"]))
        for row in await tx.fetch(_HELD, space):
            held = content_of(chunks.get((row["node"], row["version"]), []))
            if held != Content(Digest(row["digest"].hex()), row["size"]):
                yield f"version {row['version']} of file {row['node']} is not what its chunks are"

    async def _tree(self, tx: Session, space: SpaceId) -> AsyncIterator[str]:
        """What is there is what the journal says last of it."""
        last: dict[int, Node] = {}
        for row in await tx.fetch("SELECT node FROM journal WHERE space = $1 ORDER BY seq", space):
            node = _node(row["node"])
            last[node.id] = node
        floor = await tx.fetchval("SELECT floor FROM spaces WHERE id = $1", space)  # what was before is not told
        rows: list[Any] = await tx.fetch(f"SELECT {NODE_COLUMNS} FROM nodes n WHERE n.space = $1", space)
        for node in map(node_of, rows):
            told = last.pop(node.id, None)
            if told != node and (told is not None or node.seq > floor):
                yield f"the journal says something else of {node.id} than what is there"
        for node in last.values():
            if not node.gone:
                yield f"{node.id} is not there, and the journal does not say that it went to the trash"


_node = msgspec.json.Decoder(Node).decode
