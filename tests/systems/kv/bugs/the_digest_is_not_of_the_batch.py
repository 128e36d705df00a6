"""The digest of a slot is written now and then, beside the data (riak_kv #477, riak_core #828)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "keeps are not those of its records"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    write = node.write

    def lazily(family, key, value):  # type: ignore[no-untyped-def]
        if family == "slots" and node.dice.random() < 0.3:
            return node.so_far
        return write(family, key, value)

    patch.setattr(node, "write", lazily)
