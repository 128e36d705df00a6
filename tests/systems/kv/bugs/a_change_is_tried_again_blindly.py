"""Whoever was disturbed proposes again without looking whether it was done (a counter's retry that counts twice)."""

import pytest

from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.records import Content

breaks = "is not linearizable"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Content, "knows", lambda self, op, count: False)
