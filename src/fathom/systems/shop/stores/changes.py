"""Events in PostgreSQL's own log of changes: written with the change, and read back in the order of the commits."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from fathom.engines.postgres import Postgres
from fathom.errors import FathomError

from ..api import Order
from .outbox import Telling, telling

if TYPE_CHECKING:
    from fathom.engines.database import Database, Session

__all__ = ["Changes", "Message", "messages"]

PREFIX = "fathom-shop"
PUBLICATION = "shop_events"  # of no table: only messages are wanted
_DECODE = msgspec.json.Decoder(Telling)
_ENCODE = msgspec.json.Encoder().encode
_MESSAGE = struct.Struct(">BQ")  # its flags, and where in the log it is


class Message(NamedTuple):
    """A message of a committed transaction, and the place in the log behind that transaction."""

    prefix: str
    body: bytes
    behind: str


def messages(rows: Iterable[tuple[str, bytes]]) -> list[Message]:
    """Read pgoutput (protocol 1) of whole transactions: a place in the log and a record in each row.

    https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html

    >>> record = b"M" + bytes([1]) + bytes(8) + b"shop" + bytes(1) + (2).to_bytes(4, "big") + b"{}"
    >>> messages([("0/1", b"B"), ("0/2", record), ("0/3", b"C")])
    [Message(prefix='shop', body=b'{}', behind='0/3')]
    """
    found: list[Message] = []
    open_ones: list[tuple[str, bytes]] = []
    for place, record in rows:
        if record[:1] == b"M":
            end = record.index(b"\0", 1 + _MESSAGE.size)
            size = int.from_bytes(record[end + 1 : end + 5], "big")
            open_ones.append((record[1 + _MESSAGE.size : end].decode(), record[end + 5 : end + 5 + size]))
        elif record[:1] == b"C":
            found += [Message(prefix, body, place) for prefix, body in open_ones]
            open_ones.clear()
    return found


class Changes:
    """A replication slot: it remembers how far it was read, and PostgreSQL keeps its log from there on."""

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def slot(self) -> str:
        """Return the slot's name: it is one among those of all databases of the server."""
        database = await self._db.fetchval("SELECT current_database()::text")
        return f"shop_{hashlib.sha256(database.encode()).hexdigest()[:16]}"

    async def there(self) -> bool:
        """Say whether the slot is there."""
        name = await self.slot()
        return await self._db.fetchval("SELECT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)", name)

    async def begin(self) -> None:
        """Make the slot, if there is none. Raises FathomError where the server does not tell of its changes."""
        if await self._db.fetchval("SHOW wal_level") != "logical":
            raise FathomError(
                "changes cannot be captured from this PostgreSQL",
                why="its wal_level is not logical, so its log does not say enough to be decoded",
                fix="set wal_level = logical there and start it again, or choose --approach delivery=outbox",
            )
        if not await self._db.fetchval("SELECT EXISTS (SELECT FROM pg_publication WHERE pubname = $1)", PUBLICATION):
            await self._db.execute(f"CREATE PUBLICATION {PUBLICATION}")
        if not await self.there():
            await self._db.execute("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", await self.slot())

    async def end(self) -> None:
        """Let the slot go: while it is there and nobody reads it, the server keeps all of its log."""
        await self._db.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active",
            await self.slot(),
        )

    async def emit(self, orders: Sequence[Order], at_ms: int, tx: Session) -> None:
        """Write what became of orders into the log of changes, where it counts if `tx` commits. No table has it."""
        await tx.execute(
            "SELECT pg_logical_emit_message(true, $1, t) FROM unnest($2::text[]) AS t",
            PREFIX,
            [_ENCODE(telling(order, at_ms)).decode() for order in orders],
        )

    async def peek(self, most: int = 2_000) -> tuple[list[Telling], str]:
        """Return what was committed and not yet taken, in the order of the commits, and the place behind it."""
        rows = await self._db.fetch(
            "SELECT lsn::text AS place, data FROM pg_logical_slot_peek_binary_changes($1, NULL, $2,"
            " 'proto_version', '1', 'publication_names', $3, 'messages', 'true')",
            await self.slot(),
            most,
            PUBLICATION,
        )
        told = [found for found in messages((row["place"], row["data"]) for row in rows) if found.prefix == PREFIX]
        behind = rows[-1]["place"] if rows else ""
        return [_DECODE.decode(found.body) for found in told], behind

    async def took(self, behind: str) -> None:
        """Let the server forget its log up to a place, if it has not by now."""
        await self._db.execute(
            "SELECT pg_replication_slot_advance(slot_name, $2::text::pg_lsn) FROM pg_replication_slots"
            " WHERE slot_name = $1 AND confirmed_flush_lsn < $2::text::pg_lsn",
            await self.slot(),
            behind,
        )
