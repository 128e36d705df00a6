"""A write is done once one replica has it, whatever was asked for (riak_kv #1835: a quorum option that is ignored)."""

import pytest

from fathom.sim.schedule import Fault
from fathom.systems.kv.core.node import Node

breaks = "was acknowledged, nobody who had read it wrote over it, and it is gone"


def faults(seed: int) -> list[Fault]:
    """Part a node from the others, and lose what it alone has."""
    return [Fault(1_000, "split", ("n1",), for_ms=2_000), Fault(2_900, "wipe", ("n1",), for_ms=400)]


def seed(node: Node, patch: pytest.MonkeyPatch) -> None:
    kept = node.coordinator._kept
    patch.setattr(node.coordinator, "_kept", lambda replies, owners, w, pw, ins: kept(replies, owners, 1, 0, ins))
