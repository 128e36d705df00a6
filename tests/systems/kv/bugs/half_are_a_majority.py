"""A register is read from whoever answers first."""

from fathom.systems.kv.core import topology
from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    topology.Owners.majority = lambda self, who: len(set(who) & set(self.all)) >= 1  # type: ignore[method-assign]


def unseed() -> None:
    topology.Owners.majority = _REAL  # type: ignore[method-assign]


_REAL = topology.Owners.majority
