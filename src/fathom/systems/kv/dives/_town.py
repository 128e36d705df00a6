"""A cluster in a simulated world, founded as an answer wants it: no bytes, no CPU, and time that costs nothing."""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Any, NamedTuple, TypeAlias

from fathom.blocks.machine import Message, Store
from fathom.sim.host import Gone
from fathom.sim.world import MS, S, World

from ..core import messages as m
from ..core.calls import Call, Failure, Found, Wrote
from ..core.node import Node
from ..core.topology import Member
from ..decisions import Founding
from ..simulation.cluster import Cluster

__all__ = ["Answered", "Session", "Town", "ok", "refused"]

NODES, RACKS = 5, 3
ABOUT_MEMBERS = m.Ping, m.Ack, m.PingFor, m.Reached
PATIENCE_MS = 1_500  # of a client: longer than the deadline of a request


class Answered(NamedTuple):
    """What a client was told, or a `Gone`, or nothing in time; and when it had asked and was answered."""

    answer: Any
    asked_s: float
    until_s: float

    @property
    def took_ms(self) -> float:
        return 1_000 * (self.until_s - self.asked_s)


Session: TypeAlias = Generator["float | tuple[str, Call]", Any, None]


def ok(answer: Any) -> bool:
    return isinstance(answer, Found | Wrote)


def refused(answer: Any) -> bool:
    """Whether nothing was done, and nothing will be."""
    return answer is Gone.REFUSED or (isinstance(answer, Failure) and not answer.unknown)


class Town(Cluster):
    """Five nodes with the knobs that they would have on real machines. Times are seconds of the world."""

    def __init__(self, seed: str, founding: Founding) -> None:
        def make(name: str, store: Store, dice: Random) -> Node:
            return Node(name, store, dice, founding.knobs)

        members = [Member(node=f"n{at + 1}", rack=f"r{at % RACKS}") for at in range(NODES)]
        self.messages = 0  # that concern keys: not those that ask who is there
        super().__init__(World(seed, watch=self._see), spare=0, make=make, founding=founding.topology("town", members))

    def _see(self, at_ns: int, what: str, whom: str, about: Any) -> None:
        if isinstance(about, Message) and not isinstance(about.body.body, ABOUT_MEMBERS):
            self.messages += 1

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

    def live(self, name: str, session: Session) -> None:
        """Let a client live: it yields a node and what it asks of it, and is sent what came, or milliseconds to rest.

        A client stands beside the node that it asks: where nodes are cut off from each other, it is not from its own.
        """

        def go_on(answered: Answered | None = None) -> None:
            try:
                wanted = session.send(answered)
            except StopIteration:
                return
            if isinstance(wanted, tuple):
                ask(*wanted)
            else:
                self.world.at(round(wanted * MS), go_on)

        def ask(node: str, call: Call) -> None:
            asked_s, told = self.now_s, list[Any]()

            def hear(answer: Any) -> None:
                if not told:
                    told.append(answer)
                    go_on(Answered(answer, asked_s, self.now_s))

            self.hosts[node].ask(call, hear, client=name)
            self.world.at(PATIENCE_MS * MS, hear, None)

        self.world.at(0, go_on)

    def starve(self, name: str, mean_ms: float) -> None:
        """Let each event of a node wait for its CPU."""
        self.hosts[name].process.starve(round(mean_ms * MS))

    def part(self, some: tuple[str, ...]) -> None:
        """Cut these off from all others, both ways."""
        for one in some:
            for other in (name for name in self.hosts if name not in some):
                self.network.cut(one, other)
                self.network.cut(other, one)

    def heal(self) -> None:
        """Join what was cut, and start what is dead."""
        self.network.heal_all()
        for host in self.hosts.values():
            host.start()
