"""One owner counts as more than half of them: a register is read from, and changed at, whoever answers first."""

import pytest

from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.topology import Owners

breaks = "is not linearizable"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Owners, "majority", lambda self, who: any(node in who for node in self.all))
