"""What is in one folder lies together: a page is one question, and what goes to another folder has to be carried."""

from __future__ import annotations

from ...api import NodeId, SpaceId
from ...stores.shards import shard_of
from . import Sharding


class Folder(Sharding):
    """By the folder that a node is in."""

    def shard(self, space: SpaceId, folder: NodeId, node: NodeId) -> int:
        return shard_of(space, folder)
