"""Last write wins by the clock on the wall (aphyr, "The trouble with timestamps"; Garage #543)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "and lost"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.stamp = lambda: node.now.wall_ms << 16  # type: ignore[method-assign]
