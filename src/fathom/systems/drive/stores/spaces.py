"""Spaces, and the lock by which everything that changes one of them happens after another.

**Who locks what.** Whoever changes anything of a space (nodes, versions, journal, chunks, packs, sessions, leases)
first locks the space's own row, in the same transaction, and keeps it until the commit. So no two wait for each other
in a circle: there is one lock, and it is the first.

* A commit locks `FOR NO KEY UPDATE`: its number in the journal is the head that it has read, plus one. The next one can
  read the head only after this one's commit, so numbers have no gaps and rise in the order of the commits; a reader who
  sees a head sees all that is before it.
* `begin` and `give` lock the same way. A weaker lock would not do: two sessions that begin at once would both see the
  room that there is for one of them, and two packs would both count a chunk that they have in common. What is slow,
  reading a pack and having it on disk, is done before, without a lock.
* The collector locks `FOR UPDATE` for the short steps in which it decides: what it looked for without a lock it asks
  again under it. So between its question and its deletion nobody can begin a session, or commit a manifest.

Each statement after the lock is one of its own: under *read committed* it sees all that was committed before it began,
hence before the lock was granted. (A look within the statement that locks may be older than that.)

Those of one process that want the same space wait for each other before they take a connection: else a space that many
write to would have all connections wait for its lock, and other spaces for a connection. What is right does not hang on
that, since another process may have the lock as well.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from fathom.errors import Refusal

from ..api import SpaceId, UserId
from .rows import known_id
from .shards import Shards

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Session

__all__ = ["Held", "Look", "Place", "Spaces", "no_such_space"]

EPOCH_BYTES = 9
TURN_S = 10.0

# Whatever lets go of a chunk changes the row (a purge), or begins with a session, or with a chunk that is condemned.
_LOOK = """
    SELECT xmin::text AS row, EXISTS (SELECT FROM sessions WHERE space = $1)
        OR EXISTS (SELECT FROM chunks WHERE space = $1 AND condemned_ms IS NOT NULL)
        OR EXISTS (SELECT FROM packs WHERE space = $1 AND state <> 'kept') AS busy
    FROM spaces WHERE id = $1
"""
_COLUMNS = "id, owner, epoch, quota, used, head, last_id, floor"


class Place(NamedTuple):
    """A space's own row."""

    id: SpaceId
    owner: UserId
    epoch: str
    quota: int
    used: int
    head: int
    last_id: int
    floor: int  # the newest change that is not told any more


class Look(NamedTuple):
    """What the collector sees of a space: which version of its row there is, and whether anything else is going on."""

    row: str
    quiet: bool


class Held(NamedTuple):
    """A transaction that has the lock of a space, and the row as it is."""

    tx: Session
    place: Place


def no_such_space() -> Refusal:
    return Refusal("not-found", "there is no such space")


class Spaces:
    """The spaces' own rows."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._turns: WeakValueDictionary[SpaceId, asyncio.Lock] = WeakValueDictionary()

    async def ensure(self, space: SpaceId, owner: UserId, quota: int) -> Place:
        """Return a space that the directory knows; make it if it is not there yet."""
        db = await self._shards.of(space)
        await db.execute(
            "INSERT INTO spaces (id, owner, epoch, quota) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
            space,
            owner,
            secrets.token_urlsafe(EPOCH_BYTES),
            quota,
        )
        return await self.of(owner, space)

    async def of(self, user: UserId, space: SpaceId) -> Place:
        """Return a space that somebody may use."""
        row = None
        if known_id(space) and known_id(user):
            db = await self._shards.of(space)
            row = await db.fetchrow(f"SELECT {_COLUMNS} FROM spaces WHERE id = $1 AND owner = $2", space, user)
        if row is None:
            raise no_such_space()
        return Place(*row)

    @asynccontextmanager
    async def changing(self, user: UserId, space: SpaceId) -> AsyncIterator[Held]:
        """Lock a space that somebody may use for the length of a transaction, so that it can be changed."""
        if not (known_id(space) and known_id(user)):
            raise no_such_space()
        async with self._turn(space), (await self._shards.of(space)).transaction() as tx:
            row = await tx.fetchrow(
                f"SELECT {_COLUMNS} FROM spaces WHERE id = $1 AND owner = $2 FOR NO KEY UPDATE", space, user
            )
            if row is None:
                raise no_such_space()
            yield Held(tx, Place(*row))

    @asynccontextmanager
    async def collecting(self, space: SpaceId) -> AsyncIterator[Session]:
        """Lock a space for the length of a transaction, against everybody."""
        async with self._turn(space), (await self._shards.of(space)).transaction() as tx:
            await tx.execute("SELECT FROM spaces WHERE id = $1 FOR UPDATE", space)
            yield tx

    @asynccontextmanager
    async def _turn(self, space: SpaceId) -> AsyncIterator[None]:
        """Wait for all others here who want this space."""
        turn = self._turns.get(space)
        if turn is None:
            turn = self._turns[space] = asyncio.Lock()
        try:
            async with asyncio.timeout(TURN_S):
                await turn.acquire()
        except TimeoutError:
            raise Refusal("unavailable", "too many write to this space at once, try again", retry_s=1.0) from None
        try:
            yield
        finally:
            turn.release()

    async def look(self, space: SpaceId) -> Look:
        """Return whether anything can have come to be needed no more since another look."""
        row = await (await self._shards.of(space)).fetchrow(_LOOK, space)
        return Look("", quiet=False) if row is None else Look(row["row"], not row["busy"])

    async def went_on(self, tx: Session, space: SpaceId, head: int, last_id: int) -> None:
        await tx.execute("UPDATE spaces SET head = $2, last_id = $3 WHERE id = $1", space, head, last_id)

    async def takes(self, tx: Session, space: SpaceId, size: int) -> None:
        """Count bytes that came, or went; none, if chunks only lie elsewhere now: the collector sees that, too."""
        await tx.execute("UPDATE spaces SET used = used + $2 WHERE id = $1", space, size)

    async def all(self) -> list[SpaceId]:
        found: list[asyncpg.Record] = []
        for db in self._shards.all():
            found += await db.fetch("SELECT id FROM spaces ORDER BY id")
        return [SpaceId(row["id"]) for row in found]

    async def set_back(self) -> None:
        """Give every space another epoch, after a backup was restored: cursors of before are worth nothing.

        Nor are marks: the stream of events may have been told more than there is now, and that under the same numbers.
        """
        for db in self._shards.all():
            await db.execute("UPDATE spaces SET epoch = $1 || '-' || id, told = -1", secrets.token_urlsafe(EPOCH_BYTES))
