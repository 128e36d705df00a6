"""A node that lost its disk counts its dots from one again, as the same actor (riak_kv #679)."""

import pytest

from fathom.blocks import dotted
from fathom.systems.kv.core.node import Node

breaks = "of b's:"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(dotted.Siblings, "update", _again)


def _again(self, context, actor, value, *, above=0):  # type: ignore[no-untyped-def]
    return _REAL(self, context, dotted.Actor(actor.node, 1), value)


_REAL = dotted.Siblings.update
