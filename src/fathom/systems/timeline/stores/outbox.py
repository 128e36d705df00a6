"""What was accepted and has not yet taken effect everywhere: rows of the same transaction as what they announce."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, NamedTuple

from fathom.engines.engine import EngineError
from fathom.engines.ledger import RESIDUAL, charging
from fathom.engines.postgres import Postgres

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["STRAY_S", "Entry", "Kind", "Outbox"]

log = logging.getLogger("fathom.timeline.outbox")

Kind = Literal["post", "delete", "edge", "tally"]
STRAY_S = 5.0  # what was asked for so long ago is committed by now, or never will be, also if its answer was lost
FLUSH_ROWS = 256  # rows that are done are removed together: this many at a time …
FLUSH_S = 0.2  # … or after this long
RETRY_MAX_S = 5.0  # while the truth does not let them be removed


class Entry(NamedTuple):
    """One row: `who` did what to `what` (a post; of an edge, the author that a reader follows or not)."""

    seq: int
    kind: Kind
    who: int
    what: int
    at_ms: int


class Outbox:
    """The rows not yet done, in memory as in the table: the table is for the next process, should this one die.

    A row is *shown* once Redis agrees with it (deletes, edges, likes, an author's own post); a post's is *delivered*
    once its followers have it, whichever comes first; then it is *done*. Rows are removed in batches; to remove one
    late only costs some repetition after a crash.
    """

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self.pending: dict[int, Entry] = {}
        self.unshown: dict[int, Entry] = {}
        self._delivered: set[int] = set()  # and not yet shown
        self._done: list[int] = []
        self._full = asyncio.Event()
        self._waiting: list[tuple[set[int], asyncio.Future[None]]] = []

    @property
    def _db(self) -> Database:
        return self._truth.client

    def took(self, entries: Iterable[Entry]) -> None:
        """Keep in mind rows that are committed."""
        for entry in entries:
            self.pending[entry.seq] = entry
            self.unshown[entry.seq] = entry

    def shown(self, entry: Entry) -> None:
        """Redis agrees with it. For all but posts that is all there is to do."""
        self.unshown.pop(entry.seq, None)
        if entry.kind != "post" or entry.seq in self._delivered:
            self._delivered.discard(entry.seq)
            self._finish(entry.seq)

    def delivered(self, seq: int) -> None:
        """A post's followers have it."""
        if seq in self.unshown:
            self._delivered.add(seq)
        else:
            self._finish(seq)

    def undelivered(self) -> list[int]:
        """Return the posts whose followers may not have them yet."""
        return [seq for seq, entry in self.pending.items() if entry.kind == "post" and seq not in self._delivered]

    def _finish(self, seq: int) -> None:
        if self.pending.pop(seq, None) is None:
            return
        self._done.append(seq)
        if len(self._done) >= FLUSH_ROWS:
            self._full.set()
        if self._waiting:
            for seqs, future in self._waiting:
                seqs.discard(seq)
                if not seqs and not future.done():
                    future.set_result(None)

    async def settled(self) -> None:
        """Return when every row that is pending now is done."""
        seqs = set(self.pending)
        if not seqs:
            return
        waiting = (seqs, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            await waiting[1]
        finally:
            self._waiting.remove(waiting)

    # The table

    async def standing(self, kind: Kind, who: int, what: int) -> Entry | None:
        """Return the row of a change that was already made when somebody asked for it again, if it is not yet done.

        Its answer may have been lost, and then nobody here knows of it.
        """
        row = await self._db.fetchrow(
            "SELECT seq, kind, who, what, at_ms FROM outbox WHERE kind = $1 AND who = $2 AND what = $3"
            " ORDER BY seq DESC LIMIT 1",
            kind,
            who,
            what,
        )
        return None if row is None or row["seq"] in self._done else Entry(*row)

    async def load(self, under_way_ms: tuple[int, int] = (1, 0), most: int = 10_000) -> list[Entry]:
        """Return the oldest rows that nobody here knows: left by a crash, or by an answer that was lost.

        Not those of a span of time, whose calls may be under way. Later ones are from before a clock stepped back.
        """
        rows = await self._db.fetch(
            "SELECT seq, kind, who, what, at_ms FROM outbox WHERE at_ms NOT BETWEEN $1 AND $2"
            " AND seq <> ALL($3::bigint[]) ORDER BY seq LIMIT $4",
            *under_way_ms,
            [*self.pending, *self._done],
            most,
        )
        known = self.pending.keys() | set(self._done)  # what was taken meanwhile, too
        return [Entry(*row) for row in rows if row["seq"] not in known]

    async def remove_done(self) -> None:
        """Remove the rows that are done, in batches, for as long as this runs."""
        with charging(RESIDUAL):
            pause_s = FLUSH_S
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_S):
                        await self._full.wait()
                try:
                    await self.flush()
                except Exception as failure:  # whatever PostgreSQL says (its disk is full, it is a standby): they stay
                    if not isinstance(failure, EngineError):
                        log.exception("what is done could not be removed from the outbox now")
                    await asyncio.sleep(pause_s)  # nobody tells when it can be
                    pause_s = min(2 * pause_s, RETRY_MAX_S)
                else:
                    pause_s = FLUSH_S

    async def flush(self) -> None:
        """Remove the rows that are done now."""
        self._full.clear()
        while self._done:
            batch = self._done[: 4 * FLUSH_ROWS]
            await self._db.execute("DELETE FROM outbox WHERE seq = ANY($1::bigint[])", batch)
            del self._done[: len(batch)]
