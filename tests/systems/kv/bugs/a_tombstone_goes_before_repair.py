"""A tombstone is forgotten when it is old, whether or not every owner has it (ScyllaDB #23712, riak_kv #311)."""

from fathom.systems.kv.core.graves import is_tombstone
from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    def look(key, record):  # type: ignore[no-untyped-def]
        if is_tombstone(record, node.wall_ms):
            node.replica.keep(key, None, record)

    node.graves.look = look  # type: ignore[method-assign]
