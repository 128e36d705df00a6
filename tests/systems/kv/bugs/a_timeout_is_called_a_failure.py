"""Who does not hear in time is told that nothing was done, and then it is there (Cassandra's write timeouts)."""

import pytest

from fathom.systems.kv.core.calls import Failure
from fathom.systems.kv.core.node import Node

breaks = "refused"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    node.coordinator.late = lambda says: Failure(code="timeout", says=says)  # type: ignore[method-assign]
