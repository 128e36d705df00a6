"""What programs wrote on files and folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..api import NodeId, SpaceId
from .rows import ID_MAX
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.database import Session

__all__ = ["Properties"]

_OF = """
    SELECT p.node, p.name, p.value FROM properties p WHERE p.space = $1 AND p.node = ANY($2::bigint[])
    AND (p.node = 0 OR EXISTS (SELECT FROM nodes n WHERE n.space = p.space AND n.id = p.node)) ORDER BY p.name
"""


class Properties:
    """Rows of names and values."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def of(
        self, space: SpaceId, ids: Sequence[NodeId], tx: Session | None = None
    ) -> dict[NodeId, dict[str, str]]:
        """Return what is written on some nodes."""
        known = [id for id in ids if 0 <= id <= ID_MAX]
        rows = await (tx or await self._shards.of(space)).fetch(_OF, space, known)
        found: dict[NodeId, dict[str, str]] = {}
        for node, name, value in rows:
            found.setdefault(NodeId(node), {})[name] = value
        return found

    async def write(self, tx: Session, space: SpaceId, node: NodeId, properties: Mapping[str, str]) -> None:
        """Write what has a value, and take away what has none."""
        gone = [name for name, value in properties.items() if not value]
        kept = [(name, value) for name, value in properties.items() if value]
        if gone:
            await tx.execute(
                "DELETE FROM properties WHERE space = $1 AND node = $2 AND name = ANY($3::text[])", space, node, gone
            )
        if kept:
            await tx.execute(
                "INSERT INTO properties (space, node, name, value)"
                " SELECT $1, $2, name, value FROM unnest($3::text[], $4::text[]) AS given (name, value)"
                " ON CONFLICT (space, node, name) DO UPDATE SET value = excluded.value",
                space,
                node,
                [name for name, _ in kept],
                [value for _, value in kept],
            )

    async def purge(self, tx: Session, space: SpaceId, ids: Iterable[int]) -> None:
        await tx.execute("DELETE FROM properties WHERE space = $1 AND node = ANY($2::bigint[])", space, list(ids))
