"""A cluster in a world without faults, stepped by hand."""

from __future__ import annotations

from typing import Any

import pytest

from fathom.sim.world import MS, World
from fathom.systems.kv.core.calls import Reshape, Reshaped
from fathom.systems.kv.core.node import Node
from fathom.systems.kv.core.replica import Replica
from fathom.systems.kv.simulation.cluster import Cluster


def noted(patch: pytest.MonkeyPatch, handler: str) -> list[tuple[str, Any]]:
    """Return a list that every replica adds to, its name and what it was asked, before this handler of it goes on."""
    asked: list[tuple[str, Any]] = []
    goes_on = getattr(Replica, handler)

    def note(replica: Replica, sender: str, body: Any) -> None:
        asked.append((replica._node.me, body))
        goes_on(replica, sender, body)

    patch.setattr(Replica, handler, note)
    return asked


class Town:
    """A cluster in a world without faults, and somebody who asks it one thing after another."""

    def __init__(self, **how: Any) -> None:
        self.world = World(1)
        self.cluster = Cluster(self.world, **how)
        self.run(1_500)

    def run(self, ms: int) -> None:
        self.world.run(self.world.now_ns + ms * MS)

    def node(self, name: str) -> Node:
        machine = self.cluster.hosts[name].machine
        assert isinstance(machine, Node)
        return machine

    def ask(self, name: str, call: Any, ms: int = 1_000) -> Any:
        told: list[Any] = []
        self.cluster.hosts[name].ask(call, told.append)
        for _ in range(ms):
            self.run(1)
            if told:
                return told[0]
        raise AssertionError("no answer")

    def become(self, call: Reshape, by: str = "n1", times: int = 20) -> Any:
        """Give a command until it is done; return the last answer."""
        answer: Any = None
        for _ in range(times):
            answer = self.ask(by, call, 10_000)
            if isinstance(answer, Reshaped) and answer.done:
                break
            self.run(50)
        return answer

    def restart(self, name: str) -> None:
        self.cluster.hosts[name].crash()
        self.cluster.hosts[name].start()

    def owners(self, key: bytes) -> tuple[str, ...]:
        return self.cluster.topology.owners_of(key).all
