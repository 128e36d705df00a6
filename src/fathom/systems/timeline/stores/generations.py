"""Which approach makes the feeds, and which feeds are its: a new generation when they cannot be believed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from fathom.engines.postgres import Postgres

from ..api import UserId

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["Generations", "Trust"]


# Never used before, not even by data that were since replaced by a backup of theirs: Redis may still know those.
_NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_NEXT = f"""
    INSERT INTO generations (generation, approach, knobs)
    SELECT greatest(coalesce(max(generation), 0) + 1, {_NOW_MS}), $1, $2 FROM generations RETURNING generation
"""


class Trust(NamedTuple):
    """The Redis that was last used: its run, our connection to it by its number, and the era of the copies in it."""

    run: str
    client: int
    era: int


class Generations:
    """The generations of feeds, and the approaches that hear of every change now.

    `targets` are those, oldest first; the last one serves, or is about to. Each is told of every post and edge from
    the moment it is in this list. What was committed before that moment it finds in the truth when it first looks,
    because it first looks later; so nothing falls between.
    """

    def __init__(self, truth: Postgres) -> None:
        self._truth = truth
        self.targets: list[Any] = []

    @property
    def _db(self) -> Database:
        return self._truth.client

    async def of(self, approach: object) -> int:
        """Return the generation that an approach goes on with: the newest, if it was made by the same one."""
        name, knobs = _named(approach)
        row = await self._db.fetchrow(
            "SELECT generation, approach, knobs FROM generations ORDER BY generation DESC LIMIT 1"
        )
        if row is not None and (row["approach"], row["knobs"]) == (name, knobs):
            return row["generation"]
        return await self.next(approach)

    async def next(self, approach: object) -> int:
        """Begin a generation, with no feed in it yet."""
        return await self._db.fetchval(_NEXT, *_named(approach))

    async def end(self) -> None:
        """Let nobody go on with the newest generation: the next service that is opened begins another."""
        await self._db.fetchval(_NEXT, "", "")

    async def old(self, current: int) -> list[int]:
        """Return the generations whose feeds nobody reads any more, and that are still to be removed."""
        rows = await self._db.fetch(
            "SELECT generation FROM generations WHERE generation < $1 AND NOT retired ORDER BY generation", current
        )
        return [row[0] for row in rows]

    async def retire(self, generation: int) -> None:
        """Its feeds are removed: forget its stars too."""
        await self._db.execute("DELETE FROM stars WHERE generation = $1", generation)
        await self._db.execute("UPDATE generations SET retired = true WHERE generation = $1", generation)

    # Stars, of one generation

    async def stars(self, generation: int) -> dict[UserId, str]:
        """Return every author whose posts are pulled, or are about to be, or were until now."""
        rows = await self._db.fetch("SELECT author, mode FROM stars WHERE generation = $1", generation)
        return {row[0]: row[1] for row in rows}

    async def mode(self, generation: int, author: UserId) -> str | None:
        """Return how an author's posts are found: None (pushed), 'rising', 'star' or 'falling'."""
        return await self._db.fetchval(
            "SELECT mode FROM stars WHERE generation = $1 AND author = $2", generation, author
        )

    async def famous(self, fame: int, generation: int) -> list[UserId]:
        """Return the authors with so many followers who are not stars yet."""
        rows = await self._db.fetch(
            "SELECT user_id FROM counts WHERE followers >= $1"
            " AND NOT EXISTS (SELECT FROM stars WHERE generation = $2 AND author = user_id)",
            fame,
            generation,
        )
        return [row[0] for row in rows]

    async def classify(self, generation: int, fame: int) -> None:
        """Let everyone with so many followers be a star of a generation that has no feed yet."""
        await self._db.execute(
            "INSERT INTO stars (generation, author, mode) SELECT $1, user_id, 'star' FROM counts WHERE followers >= $2"
            " ON CONFLICT DO NOTHING",
            generation,
            fame,
        )

    async def set_mode(self, generation: int, author: UserId, mode: str | None) -> None:
        """Change how an author's posts are found; None: they are pushed."""
        if mode is None:
            await self._db.execute("DELETE FROM stars WHERE generation = $1 AND author = $2", generation, author)
            return
        await self._db.execute(
            "INSERT INTO stars (generation, author, mode) VALUES ($1, $2, $3)"
            " ON CONFLICT (generation, author) DO UPDATE SET mode = $3",
            generation,
            author,
            mode,
        )

    # Which Redis we last used

    async def trusted(self) -> Trust:
        """Return what is known of the Redis that was last used."""
        row = await self._db.fetchrow("SELECT redis_run, redis_client, era FROM trust")
        assert row is not None
        return Trust(*row)

    async def trust(self, it: Trust) -> None:
        """Keep which Redis is used from now on."""
        await self._db.execute("UPDATE trust SET redis_run = $1, redis_client = $2, era = $3", *it)

    async def next_era(self) -> int:
        """Begin an era: no copy of a post that was made before is believed."""
        return await self._db.fetchval(f"UPDATE trust SET era = greatest(era + 1, {_NOW_MS}) RETURNING era")


def _named(approach: object) -> tuple[str, str]:
    """Return an approach's name and knobs, to tell it from another when the service is opened again."""
    knobs = {
        field.name: getattr(approach, field.name)
        for field in dataclasses.fields(approach)  # pyright: ignore[reportArgumentType]
        if "knob" in field.metadata
    }
    return type(approach).__module__.rpartition(".")[2], msgspec.json.encode(knobs, order="sorted").decode()
