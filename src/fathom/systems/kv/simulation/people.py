"""Clients in a simulated world: each asks one thing after another, remembers what it was told, and gives up in time."""

from __future__ import annotations

from random import Random
from typing import Any

from fathom.history import Op, Outcome
from fathom.sim.host import Gone
from fathom.sim.world import MS, S

from ..core.calls import Change, Failure, Found, Get, Put, Reshape, Reshaped, Scan, Scanned, Wrote
from ..core.topology import PLACEMENTS, Member, Placement, Topology
from .cluster import Cluster

__all__ = ["Client", "Operator", "Story"]

WEIGHTS = (50, 30, 20, 10, 6, 6, 3)  # of what is asked
PATIENCE_MS = 700  # longer than the deadline of a request


class Story:
    """What was asked and answered, by everybody, in the order in which it began."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.keys: dict[int, bytes] = {}  # op → its key
        self.over: dict[int, frozenset[bytes]] = {}  # op → the values that it wrote over knowingly
        self.seen: dict[tuple[bytes, bytes], frozenset[bytes]] = {}  # key, context → the values that were read with it
        self.stamps: dict[int, int] = {}  # op → the stamp that a write was given


class Client:
    """One session. `keys` by semantics; values are unique, so that each can be found again."""

    def __init__(
        self, name: str, cluster: Cluster, story: Story, dice: Random, keys: dict[str, list[bytes]], ops: int
    ) -> None:
        self.name, self._cluster, self._story, self._dice = name, cluster, story, dice
        self._keys, self._left, self._made = keys, ops, 0
        self._contexts: dict[bytes, bytes] = {}  # the last context read of a key
        self._known: dict[bytes, Any] = {}  # the last value read of a register
        self._asking: int | None = None
        self.done = False

    def begin(self) -> None:
        self._cluster.world.at(self._dice.randrange(600, 800) * MS, self._next)

    def _next(self) -> None:
        if not self._left:
            self.done = True
            return
        self._left -= 1
        kind = self._dice.choices(("cas", "siblings", "lww", "sloppy", "count", "text", "list"), WEIGHTS)[0]
        if kind == "list":
            self._ask(Scan(limit=100), "list", None, b"")
        else:
            getattr(self, f"_{'lww' if kind == 'sloppy' else kind}")(self._dice.choice(self._keys[kind]))

    # What is asked ---------------------------------------------------------------------------------------------------

    def _value(self) -> bytes:
        self._made += 1
        return f"{self.name}.{self._made}".encode()

    def _cas(self, key: bytes) -> None:
        what = self._dice.random()
        if what < 0.4:
            self._ask(Get(key=key), "read", None, key)
        elif what < 0.7:
            value = self._value()
            self._ask(Change(key=key, how="set", given=(value, 0)), "write", value.decode(), key)
        elif what < 0.95:
            value, old = self._value(), self._known.get(key)
            self._ask(
                Change(key=key, how="swap", given=(old, value, 0)), "cas", (old and old.decode(), value.decode()), key
            )
        else:
            self._ask(Change(key=key, how="delete"), "write", None, key)

    def _siblings(self, key: bytes) -> None:
        what = self._dice.random()
        context = self._contexts.get(key, b"") if self._dice.random() < 0.7 else b""
        if what < 0.45:
            self._ask(Get(key=key), "look", None, key)
        elif what < 0.92:
            value = self._value()
            self._ask(Put(key=key, value=value, context=context), "put", value.decode(), key, context)
        elif context:
            self._ask(Put(key=key, value=None, context=context), "forget", None, key, context)
        else:
            self._ask(Get(key=key), "look", None, key)

    def _lww(self, key: bytes) -> None:
        if self._dice.random() < 0.5:
            self._ask(Get(key=key), "get", None, key)
        else:
            value = None if self._dice.random() < 0.1 else self._value()
            self._ask(Put(key=key, value=value), "store", value and value.decode(), key)

    def _count(self, key: bytes) -> None:
        self._ask(Change(key=key, how="increment", given=(1,)), "count", None, key)

    def _text(self, key: bytes) -> None:
        text = self._value() + b";"
        self._ask(Change(key=key, how="append", given=(text,)), "text", text.decode(), key)

    def looks(self, key: bytes) -> None:
        """Read a register once more, when all is over."""
        self._ask(Get(key=key), "read", None, key)

    # Asking ----------------------------------------------------------------------------------------------------------

    def _ask(self, call: Any, what: str, asked: Any, key: bytes, context: bytes = b"") -> None:
        story, world = self._story, self._cluster.world
        index = len(story.ops)
        story.ops.append(
            Op(index=index, caller=self.name, call=what, asked=asked, start_s=world.now_ns / S, outcome=Outcome.UNKNOWN)
        )
        story.keys[index] = key
        if context:
            story.over[index] = story.seen.get((key, context), frozenset())
        self._asking = index
        host = self._cluster.hosts[self._dice.choice(self._cluster.members)]
        host.ask(call, lambda answer: self._told(index, key, call, answer), client=self.name)
        world.at(PATIENCE_MS * MS, self._gives_up, index)

    def _gives_up(self, index: int) -> None:
        if self._asking == index:
            self._asking = None
            self._cluster.world.at(self._dice.randrange(1, 60) * MS, self._next)

    def _told(self, index: int, key: bytes, call: Any, answer: Any) -> None:
        if self._asking != index:
            return
        story, world = self._story, self._cluster.world
        self._asking = None
        op = story.ops[index]
        outcome, said = self._read(key, call, op, answer)
        story.ops[index] = Op(
            index=index, caller=op.caller, call=op.call, asked=op.asked, answer=said, start_s=op.start_s,
            end_s=world.now_ns / S, outcome=outcome,
        )  # fmt: skip
        if isinstance(answer, Wrote | Found) and answer.version:
            story.stamps[index] = answer.version
        rest_ms = 60 if outcome is Outcome.OK else 250  # who was turned away does not come again at once
        world.at(self._dice.randrange(1, rest_ms) * MS, self._next)

    def _read(self, key: bytes, call: Any, op: Op, answer: Any) -> tuple[Outcome, Any]:
        if answer is Gone.REFUSED:
            return Outcome.FAILED, None
        if answer is Gone.BROKEN:
            return Outcome.UNKNOWN, None
        if isinstance(answer, Failure):
            return Outcome.UNKNOWN if answer.unknown else Outcome.FAILED, answer.code
        if isinstance(answer, Found):
            if op.call == "look":
                self._contexts[key] = answer.context
                seen = self._story.seen
                seen[key, answer.context] = seen.get((key, answer.context), frozenset()) | frozenset(answer.values)
                return Outcome.OK, sorted(value.decode() for value in answer.values)
            value = answer.values[0] if answer.values else None
            self._known[key] = value
            return Outcome.OK, value and value.decode()
        if op.call == "cas":
            return Outcome.OK, bool(answer.result)
        if op.call in ("count", "text"):
            return Outcome.OK, answer.result
        if isinstance(answer, Scanned):
            return Outcome.OK, answer.keys
        return Outcome.OK, None


class Operator:
    """Somebody who lets a node go and another one come, and gives the command again until it is done.

    `places`: who also has the slots placed otherwise, while all members stay.
    """

    def __init__(self, cluster: Cluster, dice: Random, changes: int, *, places: bool = False) -> None:
        self._cluster, self._dice, self._left, self._places = cluster, dice, changes, places
        self._every_ms = 300 if changes > 2 else 3_000
        self._wanted: Reshape | None = None
        self.done = changes == 0

    def begin(self) -> None:
        if not self.done:
            self._cluster.world.at(self._dice.randrange(500, 3_000) * MS, self._next)

    def last(self) -> None:
        """Begin nothing more; what is under way is seen to its end."""
        self._left = 0

    @property
    def left(self) -> list[str]:
        return [] if self.done else ["the operator's command is not done"]

    def _next(self) -> None:
        topology = self._cluster.topology
        if self._wanted is None:
            if not self._left:
                self.done = True
                return
            self._left -= 1
            others: list[Placement] = [how for how in PLACEMENTS if how != topology.placement]
            if self._places and self._dice.random() < 0.5:
                self._wanted = Reshape(placement=self._dice.choice(others))
            else:
                self._wanted = Reshape(members=self._moved(topology))
        whom = self._cluster.hosts[self._dice.choice([member.node for member in topology.members])]
        ended = topology.ended
        under_way = Reshape(members=ended.members, placement=ended.placement) if topology.then else self._wanted
        whom.ask(under_way, self._told, client="operator")
        self._cluster.world.at(self._every_ms * MS, self._next)

    def _moved(self, topology: Topology) -> tuple[Member, ...]:
        spare = [name for name in self._cluster.hosts if name not in topology.nodes]
        members = list(topology.members)
        for _ in range(self._dice.choice((1, 2))):
            members.pop(self._dice.randrange(len(members)))
            if spare:
                come = spare.pop(self._dice.randrange(len(spare)))
                members.append(Member(node=come, rack=f"r{self._dice.randrange(3)}"))
        return tuple(sorted(members, key=lambda member: member.node))

    def _told(self, answer: Any) -> None:
        if isinstance(answer, Reshaped) and answer.done:
            self._wanted = None
