"""A tombstone is forgotten when it is old, whether or not every owner has it (ScyllaDB #23712, riak_kv #311)."""

import pytest

from fathom.systems.kv.core.graves import is_tombstone
from fathom.systems.kv.core.node import Node

breaks = "holds a write that is older than the acknowledged"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    def look(key, record):  # type: ignore[no-untyped-def]
        if is_tombstone(record, node.wall_ms):
            node.replica.keep(key, None, record)

    patch.setattr(node.graves, "look", look)
