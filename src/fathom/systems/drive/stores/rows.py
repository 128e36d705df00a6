"""Rows as the structs of the api, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fathom.blocks.names import key

from ..api import Content, Digest, Node, NodeId, SpaceId

if TYPE_CHECKING:
    import asyncpg

__all__ = ["ID_MAX", "NODE_COLUMNS", "NODE_FIELDS", "known_id", "node_of", "row_of"]

ID_MAX = (1 << 63) - 1
NODE_FIELDS = (
    "space", "id", "parent", "name", "key", "seq", "version", "digest", "size", "executable", "modified_ms",
    "at_ms", "device", "gone",
)  # fmt: skip
NODE_COLUMNS = ", ".join(f"n.{field}" for field in NODE_FIELDS[1:] if field != "key")


def known_id(id: int) -> bool:
    """Tell whether a number can be somebody's id at all: one that cannot is asked of no database."""
    return 0 < id <= ID_MAX


def node_of(row: asyncpg.Record) -> Node:
    """Return the node in a row of NODE_COLUMNS."""
    digest = row["digest"]
    return Node(
        id=NodeId(row["id"]),
        parent=NodeId(row["parent"]),
        name=row["name"],
        seq=row["seq"],
        version=row["version"],
        content=None if digest is None else Content(Digest(digest.hex()), row["size"], row["executable"]),
        modified_ms=row["modified_ms"],
        at_ms=row["at_ms"],
        device=row["device"],
        gone=row["gone"],
    )


def row_of(space: SpaceId, node: Node) -> tuple[Any, ...]:
    """Return a node's row, in the order of NODE_FIELDS."""
    content = node.content
    return (
        space,
        node.id,
        node.parent,
        node.name,
        key(node.name),
        node.seq,
        node.version,
        None if content is None else bytes.fromhex(content.digest),
        None if content is None else content.size,
        content is not None and content.executable,
        node.modified_ms,
        node.at_ms,
        node.device,
        node.gone,
    )
