"""A node that came back with an empty disk counts at once, as if it had never held anything (riak_kv #679's cause)."""

import pytest

from fathom.systems.kv.core.identity import Identity
from fathom.systems.kv.core.node import Node

breaks = "is not linearizable"


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Identity, "votes", property(lambda self: True, lambda self, votes: None), raising=False)
