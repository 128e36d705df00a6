"""What comes late replaces what is there (riak_kv #847: a late hint over a key that was made again)."""

from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    replica = node.replica

    def take(key, record, *, inherit=False):  # type: ignore[no-untyped-def]
        old, _ = replica.seen(key)
        if old != record:
            replica.keep(key, record, old)
        return True

    replica.take = take  # type: ignore[method-assign]
