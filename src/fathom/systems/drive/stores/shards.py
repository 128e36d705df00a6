"""Which database a space's tables lie in: 1,024 logical shards, and a map that says where each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from fathom.engines.postgres import Postgres
from fathom.errors import FathomError, nearest

from ..api import SpaceId

if TYPE_CHECKING:
    from fathom.engines.database import Database

__all__ = ["SHARDS", "Shards", "shard_of"]

SHARDS = 1_024  # for good: a space belongs to one of them by its id, and more databases take over whole shards


def shard_of(space: SpaceId, *within: int) -> int:
    """Return the logical shard that a space belongs to; or would, something within it.

    >>> shard_of(SpaceId(1)), shard_of(SpaceId(2)), shard_of(SpaceId(1), 7)
    (690, 109, 789)
    """
    key = b"".join(number.to_bytes(8, "big") for number in (space, *within))
    return int.from_bytes(sha256(key).digest()[:8], "big") % SHARDS


class Shards:
    """The one way to the tables of a space. The map itself lies in the directory, and is read once."""

    def __init__(self, directory: Postgres, places: Mapping[str, Postgres]) -> None:
        self._directory, self._places = directory, places
        self._map: dict[int, str] = {}

    async def of(self, space: SpaceId) -> Database:
        """Return the database in which a space lies."""
        if not self._map:
            rows = await self._directory.client.fetch("SELECT shard, place FROM shards")
            self._map = {row["shard"]: row["place"] for row in rows}
        place = self._map[shard_of(space)]
        if place not in self._places:
            raise FathomError(
                f"shard {shard_of(space)} lies in '{place}', and nobody knows where that is",
                why=f"this drive was opened with {', '.join(self._places)}",
                fix=nearest(place, self._places, "open it with that database too"),
            )
        return self._places[place].client

    def all(self) -> list[Database]:
        """Return every database in which spaces lie."""
        return [place.client for place in self._places.values()]
