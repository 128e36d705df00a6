"""A request that the network doubled is carried out for each copy (a retried increment that counts twice)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "twice"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    coordinator, forwarded = node.coordinator, node.coordinator.forwarded

    def forgets(sender, asked):  # type: ignore[no-untyped-def]
        coordinator._forwards.clear()
        forwarded(sender, asked)

    coordinator.forwarded = forgets  # type: ignore[method-assign]
