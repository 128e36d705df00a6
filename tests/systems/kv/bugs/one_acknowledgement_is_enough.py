"""A write is done once one replica has it, whatever was asked for (riak_kv #1835: a quorum option that is ignored)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "TODO"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    kept = node.coordinator._kept
    patch.setattr(node.coordinator, "_kept", lambda replies, owners, w, pw, ins: kept(replies, owners, 1, 0, ins))
