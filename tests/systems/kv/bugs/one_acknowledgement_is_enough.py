"""A write is acknowledged by one fewer than was asked for (riak_kv #1835: a quorum option that is ignored)."""

from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    coordinator, kept = node.coordinator, node.coordinator._kept
    coordinator._kept = lambda replies, owners, w, pw, ins: kept(replies, owners, 1, 0, ins)  # type: ignore[method-assign]
