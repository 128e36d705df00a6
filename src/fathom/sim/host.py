"""Joins a machine with a world: gives it events, applies its batches, and lets go what waited for a sync."""

from __future__ import annotations

import enum
from collections.abc import Callable
from random import Random
from typing import Any

from fathom.blocks.machine import (
    DiskFull,
    Effects,
    Event,
    Machine,
    Message,
    Request,
    Start,
    Store,
    Synced,
    Tick,
)
from fathom.sim.clock import Clock
from fathom.sim.disk import Disk
from fathom.sim.network import Network
from fathom.sim.process import Handle, Process
from fathom.sim.world import S, World

__all__ = ["Birth", "Gone", "Host"]

Birth = Callable[[Store, Random], Machine]  # makes the machine of one life, over what the last one left
Then = Callable[[Any], Any]
RESPAWN_NS = 1 * S  # whoever watches over processes waits so long before it starts one again that ended itself

START, TICK = Start(), Tick()


class Gone(enum.Enum):
    """What a client hears instead of an answer."""

    REFUSED = "nobody was there: nothing was done"
    BROKEN = "it ended before it answered: it may have been done"


class Host:
    """A node: process, clocks, disk and network around one machine after another. It keeps the driver's side of the
    contract in `fathom.blocks.machine`, and says at once where the machine breaks its own."""

    def __init__(
        self, world: World, network: Network, name: str, birth: Birth, *, clock: Clock | None = None, lies: bool = False
    ) -> None:
        self._world = world
        self._birth = birth
        self._dice = world.dice(f"machine/{name}")
        self._machine: Machine | None = None
        self._asked: dict[int, tuple[str, Then]] = {}  # request → client, and what takes the answer
        self._next_id = 0
        self._begin()
        self.name = name
        self.network = network
        self.clock = clock or Clock(world)
        self.disk = Disk(world, name, lies=lies)
        self.disk.synced = self._synced
        self.process = Process(world, name, self._born)
        self._send = network.send
        network.join(name, self._received)

    def _begin(self) -> None:
        """Forget what belongs to one life."""
        self._alarm_ms: int | None = None
        self._made = self._released = 0  # tickets
        self._waiting: list[tuple[int, bool, Any, Any]] = []  # after, is it a send, to or id, body or answer

    # Lives ------------------------------------------------------------------------------------------------------

    @property
    def machine(self) -> Machine | None:
        """The machine of this life, to look at; None when the process is dead."""
        return self._machine

    def start(self) -> None:
        """Begin a life, if none is lived: a new machine over what the disk kept."""
        if not self.process.alive:
            self._note("start")
            self.clock.boot()
            self.process.start()
            self.process.take(START)

    def crash(self) -> None:
        """End the life at once. The disk loses what the dice take; clients find their connections broken."""
        if self.process.alive:
            if self._waiting:
                self._world.reached("a crash came between a write and its acknowledgement")
            self._note("crash", self.disk.crash())
        self.process.crash()
        self._machine = None
        self._begin()
        asked, self._asked = self._asked, {}
        for client, then in asked.values():
            self.network.call(self.name, client, then, Gone.BROKEN)

    def wipe(self) -> None:
        """End the life and lose everything it had stored."""
        self.crash()
        self._note("wipe")
        self.disk.wipe()

    def pause(self) -> None:
        """Handle nothing until `resume`; time goes on."""
        self._note("pause")
        self.process.pause()

    def resume(self) -> None:
        """Catch up with what has come, and go on."""
        self._note("resume")
        self.process.resume()

    def _born(self) -> Handle:
        self._machine = self._birth(self.disk, Random(self._dice.getrandbits(64)))
        return self._step

    # Clients ----------------------------------------------------------------------------------------------------

    def ask(self, call: Any, then: Then, *, client: str = "client") -> None:
        """Send a client's request. `then` is given the answer or a `Gone`, or never called: the client looks at its
        own clock. `client` is its name in the network, so that it can be cut off too."""
        self._next_id += 1
        self.network.call(client, self.name, self._come, self._next_id, call, client, then)

    def _come(self, id: int, call: Any, client: str, then: Then) -> None:
        if self.process.alive:
            self._asked[id] = client, then
            self.process.take(Request(id, call))
        else:
            self.network.call(self.name, client, then, Gone.REFUSED)

    # Events -----------------------------------------------------------------------------------------------------

    def _received(self, sender: str, body: Any) -> None:
        self.process.take(Message(sender, body))

    def _synced(self, ticket: int) -> None:
        self.process.take(Synced(ticket))

    def _ring(self, wake_ms: int) -> None:
        if wake_ms != self._alarm_ms:
            return  # an earlier alarm has rung, or the life that asked for it has ended
        if left_ns := self.clock.wait_ns(wake_ms):  # the clock has slowed down
            self._world.at(left_ns, self._ring, wake_ms)
            return
        self._alarm_ms = None
        self.process.take(TICK)

    def _step(self, event: Event) -> None:
        machine, world = self._machine, self._world
        assert machine is not None, "only the living are stepped"
        world.trace.note(world.now_ns, "step", self.name, event)
        if event.__class__ is Synced:
            self._release(event.ticket)  # pyright: ignore[reportAttributeAccessIssue]: `is` is faster than a match
        try:
            effects = machine.step(self.clock.now(), event)
            if effects.batch:
                world.trace.note(world.now_ns, "batch", self.name, effects.batch)
                self._made = self.disk.apply(effects.batch)
            self._let(effects)
        except DiskFull:
            self.crash()
            world.at(RESPAWN_NS, self._respawn, self.process.life)
        except Exception as broken:
            broken.add_note(f"in {self.name}, at {event!r:.300}")
            raise

    def _let(self, effects: Effects) -> None:
        """Let a step's sends, answers and alarm happen, or wait for their ticket."""
        released = self._released
        for to, body, after in effects.sends:
            if after <= released:
                self._send(self.name, to, body)
            else:
                self._wait(after, True, to, body)
        for id, answer, after in effects.answers:
            if after <= released:
                self._answer(id, answer)
            else:
                self._wait(after, False, id, answer)
        wake_ms = effects.wake_ms
        if wake_ms is not None and (self._alarm_ms is None or wake_ms < self._alarm_ms):
            self._alarm_ms = wake_ms
            self._world.at(self.clock.wait_ns(wake_ms), self._ring, wake_ms)

    def _wait(self, after: int, is_send: bool, whom: Any, what: Any) -> None:
        if after > self._made:
            raise ValueError(f"{self.name} waits for batch {after}, and has made {self._made}: it would wait forever")
        self._waiting.append((after, is_send, whom, what))

    def _release(self, ticket: int) -> None:
        self._released = ticket
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            after, is_send, whom, what = one
            if after > ticket:
                self._waiting.append(one)
            elif is_send:
                self._send(self.name, whom, what)
            else:
                self._answer(whom, what)

    def _answer(self, id: int, answer: Any) -> None:
        asked = self._asked.pop(id, None)
        if asked is None:
            raise ValueError(f"{self.name} answers request {id}, which is not open: {answer!r:.300}")
        client, then = asked
        self._world.trace.note(self._world.now_ns, "answer", self.name, answer)
        self.network.call(self.name, client, then, answer)

    def _respawn(self, life: int) -> None:
        if life == self.process.life:
            self.start()

    def _note(self, what: str, about: Any = None) -> None:
        self._world.trace.note(self._world.now_ns, what, self.name, about)
