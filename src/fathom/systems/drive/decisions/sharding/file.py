"""Each file lies by itself: no database is fuller than another, and a page of a folder is asked of all of them."""

from __future__ import annotations

from ...api import NodeId, SpaceId
from ...stores.shards import shard_of
from . import Sharding


class File(Sharding):
    """By the node's own id, which never changes."""

    def shard(self, space: SpaceId, folder: NodeId, node: NodeId) -> int:
        return shard_of(space, node)
