"""A payment provider's book: what was charged, refunded and is to be called back, on the disk before it is said."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from fathom.errors import Refusal

from .faults import Behaviour
from .messages import Ask, Charge, Event, Kind, Listener, Refund, Totals

__all__ = ["Book", "Due"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS charges (
    number      INTEGER PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL,
    minor       INTEGER NOT NULL CHECK (minor >= 0),
    currency    TEXT NOT NULL,
    reference   TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('succeeded', 'declined', 'voided')),
    refunded    INTEGER NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND minor),
    at_ms       INTEGER NOT NULL,
    trace       TEXT NOT NULL,
    CHECK (refunded = 0 OR status = 'succeeded')
) STRICT;
CREATE INDEX IF NOT EXISTS charges_by_reference ON charges (reference, number);
CREATE TABLE IF NOT EXISTS refunds (
    number      INTEGER PRIMARY KEY,
    key         TEXT NOT NULL UNIQUE,
    fingerprint BLOB NOT NULL,
    charge      INTEGER NOT NULL REFERENCES charges,
    minor       INTEGER NOT NULL CHECK (minor > 0),
    at_ms       INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS callbacks (
    number INTEGER PRIMARY KEY,
    event  INTEGER NOT NULL REFERENCES events,
    due_ms INTEGER NOT NULL,
    tries  INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS callbacks_by_due ON callbacks (due_ms);
CREATE TABLE IF NOT EXISTS behaviour (one INTEGER PRIMARY KEY CHECK (one = 1), told BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS listeners (name TEXT PRIMARY KEY, url TEXT NOT NULL) STRICT;
"""
CHARGE = "number, key, minor, currency, reference, status, refunded, at_ms, trace"
VOID = hashlib.sha256(b"void").digest()  # the fingerprint of what was never asked for


class Due(NamedTuple):
    """A callback that is to be sent now: its number, how often it was tried, and the event as it is signed."""

    number: int
    tries: int
    body: bytes


class Book:
    """One SQLite file. Every method is one transaction, durable when it returns; `now_ms` is the provider's clock.

    Whoever kills the process at any point finds either all of a method or nothing of it.
    """

    def __init__(self, folder: Path, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "book.sqlite3", isolation_level=None)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    # Charges

    def charge(
        self, key: str, ask: Ask, *, declined: bool, copies: int = 1, held_s: float = 0.0, trace: str = ""
    ) -> tuple[Charge, bool]:
        """Charge, once for each key; return it, and whether it was there before.

        Its event is called back so many times, no sooner than in `held_s`. Raises Refusal: `conflict` where the key was
        voided, `invalid` where it was used for something else.
        """
        fingerprint = _fingerprint(ask)
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if (there := self._found("key = ?", key)) is not None:
                if there.status == "voided":
                    raise Refusal("conflict", "this key was voided: nothing is ever charged under it")
                if self._one("SELECT fingerprint FROM charges WHERE key = ?", key)[0] != fingerprint:
                    raise Refusal("invalid", "this key was used for another charge")
                return there, True
            status = "declined" if declined else "succeeded"
            made = self._made(key, fingerprint, ask, status, trace)
            self._tell("charge.declined" if declined else "charge.succeeded", made, copies, held_s)
            return made, False

    def void(self, key: str) -> Charge:
        """Return what became of a key. If nothing did, nothing ever will: it is voided by this."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            there = self._found("key = ?", key)
            return there or self._made(key, VOID, Ask(minor=0, currency="", reference=""), "voided")

    def charges(self, where: str, value: str) -> list[Charge]:
        """Return the charges of a `key`, an `id` or a `reference`, the oldest first, at most 1,000."""
        column = {"key": "key = ?", "id": "number = ?", "reference": "reference = ?"}[where]
        wanted: str | int = _number(value) if where == "id" else value
        rows = self._db.execute(f"SELECT {CHARGE} FROM charges WHERE {column} ORDER BY number LIMIT 1000", (wanted,))
        return [_charge(row) for row in rows]

    def refund(
        self, charge: str, key: str, minor: int | None, *, copies: int = 1, held_s: float = 0.0
    ) -> tuple[Refund, bool]:
        """Give back some of a charge or what is left of it, once for each key; return it, and whether it was there.

        Raises Refusal: `not-found`, `conflict` where less is left, `invalid` where the key was for something else.
        """
        fingerprint = hashlib.sha256(f"{charge}/{minor}".encode()).digest()
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._one("SELECT number, charge, minor, at_ms, fingerprint FROM refunds WHERE key = ?", key)
            if row is not None:
                if row[4] != fingerprint:
                    raise Refusal("invalid", "this key was used for another refund")
                return Refund(id=f"re_{row[0]}", key=key, charge=f"ch_{row[1]}", minor=row[2], at_ms=row[3]), True
            of = self._found("number = ?", _number(charge))
            if of is None or of.status != "succeeded":
                raise Refusal("not-found", "there is no such charge that succeeded")
            left = of.minor - of.refunded
            back = left if minor is None else minor
            if not 0 < back <= left:
                raise Refusal("conflict", f"of this charge {left} are left to give back")
            now = self._now_ms()
            self._db.execute("UPDATE charges SET refunded = refunded + ? WHERE number = ?", (back, _number(charge)))
            number = self._db.execute(
                "INSERT INTO refunds (key, fingerprint, charge, minor, at_ms) VALUES (?, ?, ?, ?, ?)",
                (key, fingerprint, _number(charge), back, now),
            ).lastrowid
            changed = msgspec.structs.replace(of, refunded=of.refunded + back)
            self._tell("charge.refunded", changed, copies, held_s)
            return Refund(id=f"re_{number}", key=key, charge=charge, minor=back, at_ms=now), False

    def refunds(self, charge: str) -> list[Refund]:
        """Return what went back of a charge, the oldest first."""
        rows = self._db.execute(
            "SELECT number, key, charge, minor, at_ms FROM refunds WHERE charge = ? ORDER BY number", (_number(charge),)
        )
        return [
            Refund(id=f"re_{row[0]}", key=row[1], charge=f"ch_{row[2]}", minor=row[3], at_ms=row[4]) for row in rows
        ]

    def totals(self) -> list[Totals]:
        """Return what was charged and given back in sum, by currency."""
        rows = self._db.execute(
            "SELECT currency, count(*), sum(minor),"
            " (SELECT count(*) FROM refunds JOIN charges AS of ON of.number = refunds.charge"
            "  WHERE of.currency = charges.currency), sum(refunded)"
            " FROM charges WHERE status = 'succeeded' GROUP BY currency ORDER BY currency"
        )
        return [Totals(currency=r[0], charges=r[1], charged=r[2], refunds=r[3], refunded=r[4]) for r in rows]

    # Callbacks

    def events(self, after: int, most: int) -> list[Event]:
        """Return what happened after an event, in order: the same as is called back."""
        rows = self._db.execute("SELECT body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, most))
        return [msgspec.json.decode(body, type=Event) for (body,) in rows]

    def due(self, most: int) -> list[Due]:
        """Return the callbacks that are to be sent by now, the longest overdue first."""
        rows = self._db.execute(
            "SELECT number, tries, (SELECT body FROM events WHERE seq = event) FROM callbacks"
            " WHERE due_ms <= ? ORDER BY due_ms, number LIMIT ?",
            (self._now_ms(), most),
        )
        return [Due(*row) for row in rows]

    def next_due_ms(self) -> int | None:
        """Return when the next callback is due (Unix ms); None: there is none."""
        return self._one("SELECT min(due_ms) FROM callbacks")[0]

    def told(self, heard: Sequence[int], unheard: Sequence[tuple[int, int]]) -> None:
        """Keep which callbacks were heard, and when (Unix ms) those are due again that were not."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM callbacks WHERE number = ?", [(number,) for number in heard])
            again = [(due_ms, number) for number, due_ms in unheard]
            self._db.executemany("UPDATE callbacks SET tries = tries + 1, due_ms = ? WHERE number = ?", again)

    def let_pass(self) -> int:
        """Let the time pass until all callbacks are due; return how many waited."""
        with self._db:
            return self._db.execute(
                "UPDATE callbacks SET due_ms = ? WHERE due_ms > ?", (self._now_ms(), self._now_ms())
            ).rowcount

    def again(self, seq: int) -> bool:
        """Call an event back once more; return whether there is such an event."""
        with self._db:
            return bool(
                self._db.execute(
                    "INSERT INTO callbacks (event, due_ms) SELECT seq, ? FROM events WHERE seq = ?",
                    (self._now_ms(), seq),
                ).rowcount
            )

    @property
    def waiting(self) -> int:
        """How many callbacks nobody has heard yet."""
        return self._one("SELECT count(*) FROM callbacks")[0]

    def listen(self, listener: Listener) -> None:
        """Call this one back from now on."""
        with self._db:
            self._db.execute(
                "INSERT INTO listeners VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET url = excluded.url",
                (listener.name, listener.url),
            )

    def listeners(self) -> list[Listener]:
        return [Listener(name=name, url=url) for name, url in self._db.execute("SELECT * FROM listeners ORDER BY name")]

    # How it misbehaves

    def behaviour(self) -> Behaviour:
        """Return how it was last told to misbehave."""
        row = self._one("SELECT told FROM behaviour")
        return Behaviour() if row is None else msgspec.json.decode(row[0], type=Behaviour)

    def behave(self, behaviour: Behaviour) -> None:
        """Misbehave so also after the next start; what was to befall the next charges is of this life alone."""
        told = msgspec.json.encode(msgspec.structs.replace(behaviour, next=[]))
        with self._db:
            self._db.execute(
                "INSERT INTO behaviour VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET told = ?", (told,) * 2
            )

    # ------------------------------------------------------------------------------------------------------------------

    def _one(self, query: str, *values: object):
        return self._db.execute(query, values).fetchone()

    def _found(self, where: str, value: str | int) -> Charge | None:
        row = self._one(f"SELECT {CHARGE} FROM charges WHERE {where}", value)
        return None if row is None else _charge(row)

    def _made(self, key: str, fingerprint: bytes, ask: Ask, status: str, trace: str = "") -> Charge:
        number = self._db.execute(
            "INSERT INTO charges (key, fingerprint, minor, currency, reference, status, at_ms, trace)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (key, fingerprint, ask.minor, ask.currency, ask.reference, status, self._now_ms(), trace),
        ).lastrowid
        assert number is not None
        return self.charges("id", f"ch_{number}")[0]

    def _tell(self, kind: Kind, charge: Charge, copies: int, held_s: float) -> None:
        now = self._now_ms()
        seq = self._one("SELECT coalesce(max(seq), 0) + 1 FROM events")[0]
        body = msgspec.json.encode(Event(seq=seq, kind=kind, charge=charge, at_ms=now))
        self._db.execute("INSERT INTO events VALUES (?, ?)", (seq, body))
        due = [(seq, now + int(held_s * 1_000))] * copies
        self._db.executemany("INSERT INTO callbacks (event, due_ms) VALUES (?, ?)", due)


def _charge(row: tuple[int, str, int, str, str, str, int, int, str]) -> Charge:
    return msgspec.convert(dict(zip(Charge.__struct_fields__, (f"ch_{row[0]}", *row[1:]), strict=True)), Charge)


def _number(id: str) -> int:
    """Return the number in `ch_7`; 0, which is no charge's, for what is no id."""
    number = id.partition("_")[2]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else 0


def _fingerprint(ask: Ask) -> bytes:
    """Return what tells one wish from another that comes with the same key."""
    return hashlib.sha256(msgspec.json.encode(ask, order="sorted")).digest()
