"""Chunks: how large each is, where it lies, and whether it can be counted on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..api import Digest, SpaceId, UserId
from .rows import known_id
from .shards import Shards
from .spaces import no_such_space

if TYPE_CHECKING:
    import asyncpg

    from fathom.engines.database import Session

__all__ = ["Chunks", "Known", "Lies", "State", "Usable"]

# live: it is there. condemned: it is there, and nothing has needed it since. quarantined: it is damaged or lost.
State = Literal["live", "condemned", "quarantined"]

_USABLE = """
    SELECT wanted AS digest, c.size, c.state = 'live' AS live,
        EXISTS (SELECT FROM leases l WHERE l.session = $3 AND l.digest = wanted) AS leased,
        EXISTS (SELECT FROM parts p WHERE p.space = $1 AND p.digest = wanted AND p.node <> ALL($4::bigint[])) AS used
    FROM unnest($2::bytea[]) AS wanted, LATERAL (
        SELECT size, state FROM chunks c WHERE c.space = $1 AND c.digest = wanted LIMIT 1) AS c
"""
_READ = """
    SELECT c.size, c.state, c.pack, c.start,
        EXISTS (SELECT FROM parts p WHERE p.space = s.id AND p.digest = $3) AS used
    FROM spaces s LEFT JOIN chunks c ON c.space = s.id AND c.digest = $3 WHERE s.id = $1 AND s.owner = $2
"""
_HEAL = """
    UPDATE chunks c SET state = 'live', condemned_ms = NULL, pack = $3, start = new.start
    FROM unnest($2::bytea[], $4::bigint[]) AS new (digest, start)
    WHERE c.space = $1 AND c.digest = new.digest AND c.state = 'quarantined'
"""


class Lies(NamedTuple):
    """Where a chunk lies: in which pack, and where in it."""

    digest: bytes
    size: int
    pack: str
    start: int


class Known(NamedTuple):
    """What is known of a chunk that somebody wants to use."""

    size: int
    state: State


class Usable(NamedTuple):
    """What a commit has to know of a chunk: whether it is there, leased by its session, and in some file."""

    size: int
    live: bool
    leased: bool
    used: bool


class Chunks:
    """The chunks of spaces. Each space has its own, also those that another one has."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def known(self, tx: Session, space: SpaceId, digests: Iterable[bytes]) -> dict[bytes, Known]:
        """Return what is known of those of these chunks of which anything is."""
        rows = await tx.fetch(
            "SELECT digest, size, state FROM chunks WHERE space = $1 AND digest = ANY($2::bytea[])",
            space,
            list(digests),
        )
        return {row["digest"]: Known(row["size"], row["state"]) for row in rows}

    async def live(self, space: SpaceId, digests: Sequence[bytes]) -> set[bytes]:
        """Return which of these chunks are there, as far as one can tell without a lock."""
        rows = await (await self._shards.of(space)).fetch(
            "SELECT digest FROM chunks WHERE space = $1 AND digest = ANY($2::bytea[]) AND state = 'live'",
            space,
            digests,
        )
        return {row["digest"] for row in rows}

    async def usable(
        self, tx: Session, space: SpaceId, digests: Sequence[bytes], session: int, but: Sequence[int]
    ) -> dict[Digest, Usable]:
        """Return what a commit has to know of these chunks; files that it purges (`but`) are not counted."""
        rows = await tx.fetch(_USABLE, space, digests, session, but)
        return {
            Digest(row["digest"].hex()): Usable(row["size"], row["live"], row["leased"], row["used"]) for row in rows
        }

    async def revive(self, tx: Session, space: SpaceId, digests: Sequence[bytes]) -> None:
        """Have condemned chunks live again."""
        await tx.execute(
            "UPDATE chunks SET state = 'live', condemned_ms = NULL"
            " WHERE space = $1 AND digest = ANY($2::bytea[]) AND state = 'condemned'",
            space,
            digests,
        )

    async def add(self, tx: Session, space: SpaceId, chunks: Sequence[Lies]) -> None:
        """Keep chunks that were not there."""
        await tx.copy(
            "chunks",
            ("space", "digest", "size", "state", "pack", "start"),
            [(space, it.digest, it.size, "live", it.pack, it.start) for it in chunks],
        )

    async def heal(self, tx: Session, space: SpaceId, pack: str, chunks: Sequence[Lies]) -> None:
        """Have quarantined chunks live again, where they lie now."""
        await tx.execute(_HEAL, space, [it.digest for it in chunks], pack, [it.start for it in chunks])

    async def find(self, user: UserId, space: SpaceId, digest: bytes) -> asyncpg.Record:
        """Return where a chunk lies (nothing, if it is not there), and whether a file has it."""
        row = None
        if known_id(space) and known_id(user):
            row = await (await self._shards.of(space)).fetchrow(_READ, space, user, digest)
        if row is None:
            raise no_such_space()
        return row

    async def quarantine(self, tx: Session, space: SpaceId, chunks: Sequence[Lies]) -> int:
        """Count no longer on chunks, if they still lie there; return how many these are."""
        return await tx.execute(
            "UPDATE chunks c SET state = 'quarantined'"
            " FROM unnest($2::bytea[], $3::text[], $4::bigint[]) AS bad (digest, pack, start)"
            " WHERE c.space = $1 AND c.digest = bad.digest AND c.pack = bad.pack AND c.start = bad.start"
            " AND c.state <> 'quarantined'",
            space,
            [it.digest for it in chunks],
            [it.pack for it in chunks],
            [it.start for it in chunks],
        )

    async def acquit(self, tx: Session, space: SpaceId, chunks: Sequence[Lies]) -> int:
        """Count again on chunks that turned out to be whole; return how many were in quarantine."""
        return await tx.execute(
            "UPDATE chunks c SET state = 'live', condemned_ms = NULL"
            " FROM unnest($2::bytea[], $3::text[]) AS good (digest, pack)"
            " WHERE c.space = $1 AND c.digest = good.digest AND c.pack = good.pack AND c.state = 'quarantined'",
            space,
            [it.digest for it in chunks],
            [it.pack for it in chunks],
        )

    async def within(self, space: SpaceId, pack: str) -> list[Lies]:
        """Return the chunks that lie in a pack, in their order."""
        rows = await (await self._shards.of(space)).fetch(
            "SELECT digest, size, pack, start FROM chunks WHERE pack = $1 AND space = $2 ORDER BY start", pack, space
        )
        return [Lies(*row) for row in rows]

    async def move(self, tx: Session, space: SpaceId, old: str, new: str, starts: dict[bytes, int]) -> int:
        """Have chunks lie in another pack, if they still lie in the old one; return how many."""
        return await tx.execute(
            "UPDATE chunks c SET pack = $3, start = moved.start"
            " FROM unnest($4::bytea[], $5::bigint[]) AS moved (digest, start)"
            " WHERE c.space = $1 AND c.pack = $2 AND c.digest = moved.digest",
            space,
            old,
            new,
            list(starts),
            list(starts.values()),
        )
