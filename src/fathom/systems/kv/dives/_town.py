"""A cluster in a simulated world, founded as an answer wants it: no bytes, no CPU, and time that costs nothing."""

from __future__ import annotations

from random import Random

from fathom.blocks.machine import Store
from fathom.sim.world import MS, S, World

from ..core.node import Node
from ..core.topology import Member
from ..decisions import Founding
from ..simulation.cluster import Cluster

__all__ = ["Town"]

NODES, RACKS = 5, 3


class Town(Cluster):
    """Five nodes with the knobs that they would have on real machines. Times are seconds of the world."""

    def __init__(self, seed: str, founding: Founding) -> None:
        def make(name: str, store: Store, dice: Random) -> Node:
            return Node(name, store, dice, founding.knobs)

        members = [Member(node=f"n{at + 1}", rack=f"r{at % RACKS}") for at in range(NODES)]
        super().__init__(World(seed), spare=0, make=make, founding=founding.topology("town", members))

    def until(self, second: float) -> None:
        """Let the world go on until then."""
        self.world.run(round(second * S))

    @property
    def now_s(self) -> float:
        return self.world.now_ns / S

    @property
    def nodes(self) -> dict[str, Node]:
        """Those that are alive."""
        return {name: host.machine for name, host in self.hosts.items() if isinstance(host.machine, Node)}

    def counted(self, what: str) -> int:
        """Return how often something happened to those that are alive."""
        return sum(node.counts.get(what, 0) for node in self.nodes.values())

    def starve(self, name: str, mean_ms: float) -> None:
        """Let each event of a node wait for its CPU."""
        self.hosts[name].process.starve(round(mean_ms * MS))

    def part(self, some: tuple[str, ...]) -> None:
        """Cut these off from all others, both ways."""
        for one in some:
            for other in (name for name in self.hosts if name not in some):
                self.network.cut(one, other)
                self.network.cut(other, one)
