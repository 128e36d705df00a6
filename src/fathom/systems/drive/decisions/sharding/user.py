"""All that is somebody's lies together: a commit is one transaction, and whoever has much makes one database full."""

from __future__ import annotations

from ...api import NodeId, SpaceId
from ...stores.shards import shard_of
from . import Sharding


class User(Sharding):
    """By space; a shard that grows too large moves to a database of its own."""

    serves = True

    def shard(self, space: SpaceId, folder: NodeId, node: NodeId) -> int:
        return shard_of(space)
