"""Last write wins by the clock on the wall (aphyr, "The trouble with timestamps"; Garage #543)."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "TODO"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node, "stamp", lambda: node.now.wall_ms << 16)
