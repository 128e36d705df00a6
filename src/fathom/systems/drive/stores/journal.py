"""What was done to a space, in order and without a gap; and which edits need not be done again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ..api import Edit, Node, Outcome, SpaceId
from .accounts import hashed
from .events import Kind
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.database import Session

__all__ = ["Change", "Done", "Journal", "digest_of"]

_FORGET = """
    WITH oldest AS (
        SELECT seq, at_ms FROM journal WHERE space = $1 ORDER BY seq LIMIT $3
    ), kept AS (
        SELECT coalesce(min(seq), 9223372036854775807) AS first FROM oldest WHERE at_ms > $2
    ), told AS (
        DELETE FROM journal USING kept
        WHERE space = $1 AND seq < kept.first AND seq <= (SELECT max(seq) FROM oldest) RETURNING seq
    ), raised AS (
        UPDATE spaces SET floor = (SELECT max(seq) FROM told) WHERE id = $1 AND EXISTS (SELECT FROM told)
    ), keys AS (
        DELETE FROM done WHERE space = $1 AND key IN (
            SELECT key FROM done WHERE space = $1 AND at_ms <= $2 ORDER BY at_ms LIMIT $3
        ) RETURNING key
    )
    SELECT greatest((SELECT count(*) FROM told), (SELECT count(*) FROM keys))
"""
_encode = msgspec.json.Encoder().encode
_node = msgspec.json.Decoder(Node).decode
_outcome = msgspec.json.Decoder(Outcome).decode


class Done(NamedTuple):
    """An edit that was done: what it was, by its digest, and what became of it."""

    edit: bytes
    outcome: Outcome


class Change(NamedTuple):
    """What the journal says: a node as it is after a change, and what became of it."""

    node: Node
    kind: Kind


def digest_of(edit: Edit) -> bytes:
    """Return what tells an edit from another one with the same key."""
    return hashed(_encode(edit).decode())


class Journal:
    """The journals of spaces, and the keys of their edits, which are kept for as long as what the journal tells."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def after(self, space: SpaceId, seq: int, head: int, limit: int) -> list[Node]:
        """Return what was changed after a number, by no change above the head that the caller knows."""
        return [change.node for change in await self.changes(space, seq, head, limit)]

    async def changes(self, space: SpaceId, seq: int, head: int, limit: int) -> list[Change]:
        """Return the changes after a number, none above the head that the caller knows."""
        db = await self._shards.of(space)
        rows = await db.fetch(
            "SELECT node, kind FROM journal WHERE space = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
            space,
            seq,
            head,
            limit,
        )
        return [Change(_node(row["node"]), row["kind"]) for row in rows]

    async def append(self, tx: Session, space: SpaceId, changes: Sequence[Change]) -> None:
        """Add changes, whose numbers the caller has drawn under the lock of the space."""
        await tx.copy(
            "journal",
            ("space", "seq", "node", "kind", "at_ms"),
            [(space, node.seq, _encode(node).decode(), kind, node.at_ms) for node, kind in changes],
        )

    async def done(self, tx: Session | None, space: SpaceId, keys: Iterable[str]) -> dict[str, Done]:
        """Return the edits with these keys that were done before."""
        by_hash = {hashed(key): key for key in keys}
        rows = await (tx or await self._shards.of(space)).fetch(
            "SELECT key, edit, outcome FROM done WHERE space = $1 AND key = ANY($2::bytea[])", space, list(by_hash)
        )
        return {by_hash[row["key"]]: Done(row["edit"], _outcome(row["outcome"])) for row in rows}

    async def remember(self, tx: Session, space: SpaceId, edits: Sequence[tuple[Edit, Outcome]], now_ms: int) -> None:
        """Keep what became of edits that have keys."""
        await tx.copy(
            "done",
            ("space", "key", "edit", "outcome", "at_ms"),
            [(space, hashed(edit.key), digest_of(edit), _encode(outcome).decode(), now_ms) for edit, outcome in edits],
        )

    async def forget(self, tx: Session, space: SpaceId, before_ms: int, most: int) -> int:
        """Let go of the oldest changes, as far as they are as old as this, and of keys; return how many went.

        What goes is the beginning of the journal, whatever a clock that stood still or went back has written on it.
        """
        return await tx.fetchval(_FORGET, space, before_ms, most)
