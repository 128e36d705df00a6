"""Sagas as they are written down: after a crash their logs are all that is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

import msgspec

from fathom.blocks.sagas import Entry, Word
from fathom.engines.postgres import Postgres
from fathom.errors import Refusal

from ..api import OrderId

if TYPE_CHECKING:
    from fathom.engines.database import Database, Session

__all__ = ["Kind", "Saga", "Sagas"]

Kind = Literal["place", "settle", "cancel"]


class Saga(msgspec.Struct, kw_only=True):
    """A saga and its log so far. `body` is what its steps need to know."""

    id: int
    kind: Kind
    order: OrderId
    reference: str
    body: bytes
    log: list[Entry] = []


class Sagas:
    """A row for each saga. A word is added only by who has read all before it: of two at one saga, one goes on."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def begin(
        self, kind: Kind, order: OrderId, body: bytes, tx: Session, reference: str = "", log: Sequence[Entry] = ()
    ) -> Saga | None:
        """Begin a saga with what `tx` does already; None: it was begun before."""
        id = await tx.fetchval(
            "INSERT INTO sagas (kind, order_id, reference, body, log) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (order_id, kind, reference) DO NOTHING RETURNING id",
            kind,
            order,
            reference,
            body,
            _words(log),
        )
        if id is None:
            return None
        return Saga(id=id, kind=kind, order=order, reference=reference, body=body, log=list(log))

    async def note(self, saga: Saga, entry: Entry, tx: Session | None = None, *, ended: str | None = None) -> None:
        """Add a word. Refuse with `conflict` if somebody else has gone on with this saga meanwhile."""
        noted = await (tx or self._db).execute(
            "UPDATE sagas SET log = log || $3::text, ended = $4, at = clock_timestamp()"
            " WHERE id = $1 AND cardinality(log) = $2 AND ended IS NULL",
            saga.id,
            len(saga.log),
            " ".join(entry),
            ended,
        )
        if not noted:
            raise Refusal("conflict", "somebody else is at this order: look at it again", retry_s=1.0)
        saga.log.append(entry)

    async def left(self, older_s: float, most: int = 100) -> list[Saga]:
        """Return sagas that have not ended, and that nobody has gone on with for so long."""
        rows = await self._db.fetch(
            "SELECT id, kind, order_id, reference, body, log FROM sagas WHERE ended IS NULL"
            " AND at <= clock_timestamp() - $1 * interval '1 second' ORDER BY at LIMIT $2",
            older_s,
            most,
        )
        return [
            Saga(
                id=row["id"],
                kind=row["kind"],
                order=OrderId(row["order_id"]),
                reference=row["reference"],
                body=row["body"],
                log=[_entry(words) for words in row["log"]],
            )
            for row in rows
        ]

    async def unfinished(self) -> int:
        """Return how many sagas have not ended."""
        return await self._db.fetchval("SELECT count(*) FROM sagas WHERE ended IS NULL")

    async def forget_old(self, kept_s: float = 86_400.0, most: int = 1_000) -> int:
        """Forget sagas that ended so long ago; return how many."""
        return await self._db.execute(
            "DELETE FROM sagas WHERE id IN (SELECT id FROM sagas WHERE ended IS NOT NULL"
            " AND at < now() - $1 * interval '1 second' LIMIT $2)",
            kept_s,
            most,
        )


def _words(log: Sequence[Entry]) -> list[str]:
    return [" ".join(entry) for entry in log]


def _entry(words: str) -> Entry:
    word, _, step = words.partition(" ")
    return cast("Word", word), step
