"""What comes late replaces what is there (riak_kv #847: a late hint over a key that was made again)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "holds a write that is older than the acknowledged"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    replica = node.replica

    def take(key, record, *, inherit=False):  # type: ignore[no-untyped-def]
        old, _ = replica.seen(key)
        if old != record:
            replica.keep(key, record, old)
        return True

    patch.setattr(replica, "take", take)
