"""A node that lost its disk counts its dots from one again, as the same actor (riak_kv #679)."""

from fathom.blocks import dotted
from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    dotted.Siblings.update = _again  # type: ignore[method-assign]


def unseed() -> None:
    dotted.Siblings.update = _REAL  # type: ignore[method-assign]


def _again(self, context, actor, value, *, above=0):  # type: ignore[no-untyped-def]
    return _REAL(self, context, dotted.Actor(actor.node, 1), value)


_REAL = dotted.Siblings.update
