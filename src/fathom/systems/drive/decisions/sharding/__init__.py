"""By what are the rows of a drive spread over databases: by whose they are, by folder, or by file?

A commit locks its space's row, and is one transaction of one database: so a space's rows lie together, and this is the
only answer that a service is opened with. The others are there to be counted. Rows lie as they lie: nothing takes over
while there are any.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from fathom.design import Decision
from fathom.errors import FathomError

from ...api import NodeId, SpaceId

__all__ = ["Sharding"]


class Sharding(Decision):
    """From what a row is about to one of 1,024 logical shards, whole ones of which lie in a database."""

    default = "user"

    serves: ClassVar[bool] = False  # whether a service can be opened with it

    @abstractmethod
    def shard(self, space: SpaceId, folder: NodeId, node: NodeId) -> int:
        """Return where the rows of a node lie that is in this folder."""

    async def adopt(self, previous: Any) -> None:
        """Refuse to take over: every row would have to be carried."""
        raise FathomError(
            f"{type(self).__name__} cannot take over while there are rows",
            why="every row lies where the key of its time says, and a commit is one transaction of one database",
            fix="leave sharding=user; what the others would cost is counted by: fathom dive drive sharding",
        )
