"""Replicas find out that they differ, and one of them is not told (weaviate #3762)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "the owners of"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    def bring(peer, slots, theirs):  # type: ignore[no-untyped-def]
        return
        yield

    patch.setattr(node.repair, "_bring", bring)
