"""How far the stream of events was told each space's journal: a mark in the space's row, which follows its head."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from ..api import SpaceId, UserId
from .shards import Shards

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["FIRST", "Mark", "Marks"]

FIRST = SpaceId(0)  # comes before the id of every space
_BEHIND = "SELECT id, owner, epoch, head, told FROM spaces WHERE told < head"


class Mark(NamedTuple):
    """A space of whose journal something is not told: what is after `told`, up to `head`."""

    space: SpaceId
    owner: UserId
    epoch: str
    head: int
    told: int  # -1: the journal was set back, and nothing of it was ever told


class Marks:
    """The marks of all spaces."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def behind(self, spaces: Iterable[SpaceId]) -> list[Mark]:
        """Return those of some spaces that have something to be told."""
        places: defaultdict[Database, list[SpaceId]] = defaultdict(list)
        for space in spaces:
            places[await self._shards.of(space)].append(space)
        found: list[Mark] = []
        for db, there in places.items():
            found += [Mark(*row) for row in await db.fetch(f"{_BEHIND} AND id = ANY($1::bigint[])", there)]
        return found

    async def all_behind(self, after: SpaceId, most: int) -> list[Mark]:
        """Return some of all spaces that have something to be told: by id, those after this one first."""
        found: list[Mark] = []
        for db in self._shards.all():
            rows = await db.fetch(f"{_BEHIND} AND id > $1 ORDER BY id LIMIT $2", after, most)
            found += [Mark(*row) for row in rows]
        return sorted(found)[:most]

    async def move(self, mark: Mark, seq: int) -> None:
        """Say that a journal was told up to this change, unless it was set back meanwhile."""
        db = await self._shards.of(mark.space)
        await db.execute(
            "UPDATE spaces SET told = $3 WHERE id = $1 AND epoch = $2 AND told < $3", mark.space, mark.epoch, seq
        )
