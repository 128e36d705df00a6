"""Questions are numbered from one in each life, and a reply to a life before is taken for one to this."""

import pytest

from fathom.systems.kv.core.node import Node

breaks = "the world stopped"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.flows._ids = 0
