"""A register on several nodes (Attiya, Bar-Noy and Dolev, 1995), two seeded bugs of it, and a town of clients."""

from __future__ import annotations

from contextlib import suppress
from random import Random
from typing import Any

import msgspec

from fathom.blocks.machine import Corrupt, Effects, Event, Message, Now, Request, Start, Store, Tick
from fathom.sim.clock import Clock
from fathom.sim.host import Gone, Host
from fathom.sim.network import Network, Weather
from fathom.sim.world import MS, World

Stamp = tuple[int, int, str]  # how many before it, dice (a crash forgets which were used), who
NEVER: Stamp = (0, 0, "")
RETRY_MS, GIVE_UP_MS = 40, 800


class Ask(msgspec.Struct, frozen=True, array_like=True, tag=True):
    op: int


class Told(msgspec.Struct, frozen=True, array_like=True, tag=True):
    op: int
    stamp: Stamp
    value: bytes


class Keep(msgspec.Struct, frozen=True, array_like=True, tag=True):
    op: int
    stamp: Stamp
    value: bytes


class Kept(msgspec.Struct, frozen=True, array_like=True, tag=True):
    op: int


class Open:
    """A call that is not answered yet: first it asks a majority what there is, then lets a majority keep it."""

    def __init__(self, value: bytes | None, until_ms: int, asked: Any) -> None:
        self.value, self.until_ms, self.asked = value, until_ms, asked
        self.newest: tuple[Stamp, bytes] = (NEVER, b"")
        self.heard: dict[str, None] = {}  # in order, unlike a set


class Register:
    """Linearizable as long as no disk comes back empty. A call is bytes to write, or None to read; the answer is
    what was written or read, with its stamp."""

    def __init__(self, name: str, nodes: tuple[str, ...], store: Store, dice: Random) -> None:
        self.name, self.nodes, self.store, self.dice = name, nodes, store, dice
        self.majority = len(nodes) // 2 + 1
        self.open: dict[int, Open] = {}
        self.made = 0

    def acknowledged(self) -> int:
        """The ticket that an acknowledgement waits for."""
        return self.made

    def step(self, now: Now, event: Event, /) -> Effects:
        effects = Effects()
        match event:
            case Message(sender, body):
                with suppress(Corrupt):  # who cannot tell what it has says nothing, and another majority must do
                    self.take(sender, body, effects)
            case Request(id, value):
                self.open[id] = Open(value, now.mono_ms + GIVE_UP_MS, Ask(id))
                self.spread(self.open[id].asked, effects)
                effects.wake_ms = now.mono_ms + RETRY_MS
            case Tick() | Start():
                self.open = {id: one for id, one in self.open.items() if one.until_ms > now.mono_ms}
                for one in self.open.values():
                    self.spread(one.asked, effects)
                if self.open:
                    effects.wake_ms = now.mono_ms + RETRY_MS
        return effects

    def spread(self, body: Any, effects: Effects) -> None:
        effects.sends += [(node, body, 0) for node in self.nodes]

    def here(self) -> tuple[Stamp, bytes]:
        stored = self.store.get("data", b"register")
        return msgspec.msgpack.decode(stored, type=tuple[Stamp, bytes]) if stored else (NEVER, b"")

    def take(self, sender: str, body: Any, effects: Effects) -> None:
        if body.__class__ is Ask:
            # what may be taken back must not be told of: so this waits as well
            effects.sends.append((sender, Told(body.op, *self.here()), self.acknowledged()))
        elif body.__class__ is Keep:
            if body.stamp > self.here()[0]:
                effects.batch.append(("data", b"register", msgspec.msgpack.encode((body.stamp, body.value))))
                self.made += 1
            effects.sends.append((sender, Kept(body.op), self.acknowledged()))
        elif (one := self.open.get(body.op)) is not None:
            self.hear(body, one, sender, effects)

    def hear(self, body: Any, one: Open, sender: str, effects: Effects) -> None:
        if (body.__class__ is Told) is not (one.asked.__class__ is Ask):
            return  # late
        one.heard[sender] = None
        if body.__class__ is Told:
            one.newest = max(one.newest, (body.stamp, body.value))
        if len(one.heard) < self.majority:
            return
        if body.__class__ is Kept:
            effects.answers.append((body.op, (one.asked.stamp, one.asked.value), 0))
            del self.open[body.op]
            return
        stamp, value = one.newest
        if one.value is not None:
            stamp, value = (stamp[0] + 1, self.dice.getrandbits(32), self.name), one.value
        one.asked, one.heard = Keep(body.op, stamp, value), {}
        self.spread(one.asked, effects)


class Hasty(Register):
    """The bug: it acknowledges what its disk has not."""

    def acknowledged(self) -> int:
        return 0


class Few(Register):
    """The bug: half of the nodes are enough for it, and two halves need not meet."""

    def __init__(self, name: str, nodes: tuple[str, ...], store: Store, dice: Random) -> None:
        super().__init__(name, nodes, store, dice)
        self.majority = len(nodes) // 2


class Town:
    """Nodes with a register, and clients that each ask some node, one call after another."""

    def __init__(
        self,
        seed: int | str,
        machine: type[Register] = Register,
        *,
        nodes: int = 5,
        clients: int = 4,
        ops: int = 60,
        pause_ms: int = 30,
        weather: Weather | None = None,
        lies: bool = False,
        watch: Any = None,
    ) -> None:
        self.world = World(seed, watch=watch)
        self.network = Network(self.world, weather)
        self.names = tuple(f"n{number}" for number in range(1, nodes + 1))
        dice = self.world.dice("town")
        self.hosts = {name: self._host(name, machine, dice, lies) for name in self.names}
        self.dice, self.left, self.pause_ns = dice, ops, pause_ms * MS
        self.acknowledged: Stamp = NEVER  # the highest that anybody has been told
        self.answers = 0
        self.broken: list[str] = []
        for host in self.hosts.values():
            host.start()
        for number in range(clients):
            self.world.at(number * MS, self._ask, f"c{number}")

    def _host(self, name: str, machine: type[Register], dice: Random, lies: bool) -> Host:
        clock = Clock(self.world, offset_ms=dice.randint(-50, 50), drift_ppm=dice.randint(-100, 100))
        birth = lambda store, own: machine(name, self.names, store, own)  # noqa: E731
        return Host(self.world, self.network, name, birth, clock=clock, lies=lies)

    def _ask(self, client: str) -> None:
        if not self.left:
            return
        self.left -= 1
        value = b"%d" % self.left if self.dice.random() < 0.5 else None
        before = self.acknowledged
        turn = [True]  # an answer and a deadline: whichever is first

        def ended(answer: Any) -> None:
            if turn.pop() if turn else False:
                if isinstance(answer, tuple):
                    self._heard(answer[0], before, client)
                self.world.at(int(self.dice.random() * 2 * self.pause_ns), self._ask, client)

        self.hosts[self.dice.choice(self.names)].ask(value, ended, client=client)
        self.world.at(1_000 * MS, ended, Gone.BROKEN)

    def _heard(self, stamp: Stamp, before: Stamp, client: str) -> None:
        """The law: whoever asks after an acknowledgement hears of nothing older."""
        self.answers += 1
        if stamp < before:
            self.broken.append(f"{client} hears of {stamp}, after {before} was acknowledged")
        self.acknowledged = max(self.acknowledged, stamp)

    def run(self, until_ms: int = 20_000) -> Town:
        self.world.run(until_ms * MS)
        return self
