"""Who does not hear in time is told that nothing was done, and then it is there (Cassandra's write timeouts)."""

from fathom.systems.kv.core.calls import Failure
from fathom.systems.kv.core.node import Node


def seed(node: Node) -> None:
    node.coordinator.late = lambda says: Failure(code="timeout", says=says)  # type: ignore[method-assign]
