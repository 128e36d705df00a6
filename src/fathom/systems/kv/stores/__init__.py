"""What the store stands on: nodes, each a process of its own with a disk of its own."""

from __future__ import annotations

from dataclasses import dataclass

from .cluster import Cluster
from .nodes import Node

__all__ = ["Cluster", "Node", "Stores"]


@dataclass
class Stores:
    """The nodes of one cluster, founded by the service that finds all of them empty."""

    n1: Node
    n2: Node
    n3: Node
    n4: Node | None = None
    n5: Node | None = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Those that there are."""
        return tuple(node for node in (self.n1, self.n2, self.n3, self.n4, self.n5) if node is not None)

    @property
    def cluster(self) -> Cluster:
        """All of them, as their operator asks them."""
        return Cluster(self.nodes)
