"""A process that crashes, comes back, is paused, and starves: what comes in reaches it later and in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import log
from typing import Any

from fathom.sim.world import World

__all__ = ["Process"]

Handle = Callable[[Any], None]


class Process:
    """One life after another: `born` is called at each start and gives what handles the events of that life.

    Running, it handles an event in the moment it comes. Paused (SIGSTOP, a virtual machine moved, a long collection of
    garbage) events pile up and are handled in their order when it goes on; nothing bounds the pile. Starved of CPU,
    it handles one at a time, each after a drawn delay. Dead, events are lost.
    """

    def __init__(self, world: World, name: str, born: Callable[[], Handle]) -> None:
        self._world = world
        self._born = born
        self._dice = world.dice(f"process/{name}").random
        self._handle: Handle | None = None
        self._inbox: deque[Any] = deque()
        self._starved_ns = 0
        self._turning = False  # a starved process has its next event before it
        self._at_once = False
        self.name = name
        self.alive = False
        self.paused = False
        self.life = 0  # how many ended: what was put down for one life must not happen to the next

    def start(self) -> None:
        """Begin a life, if none is lived."""
        if not self.alive:
            self.alive = True
            self._handle = self._born()
            self._settle()

    def crash(self) -> None:
        """End the life at once: what was waiting for it is lost. A pause ends with it, starving does not."""
        if self._inbox:
            self._world.reached("a process died with events before it")
        self.life += 1
        self.alive = self.paused = self._turning = self._at_once = False
        self._handle = None
        self._inbox.clear()

    def pause(self) -> None:
        """Handle nothing from now on, until `resume`; the dead are not paused."""
        self.paused = self.alive
        self._at_once = False

    def resume(self) -> None:
        """Handle all that has come meanwhile, in order, and go on."""
        if self.paused:
            if len(self._inbox) > 1:
                self._world.reached("a paused process had much to catch up with")
            self.paused = False
            self._pump()

    def starve(self, mean_ns: int) -> None:
        """Take so long (on average, drawn from an exponential) for each event from now on; 0 is as usual."""
        self._starved_ns = mean_ns
        self._settle()

    def take(self, event: Any) -> None:
        """Let an event come to this process."""
        if self._at_once:
            self._handle(event)  # pyright: ignore[reportOptionalCall]: who handles at once is alive
        elif self.alive:
            self._inbox.append(event)
            self._pump()
        else:
            self._world.reached("an event found its process dead")

    def _pump(self) -> None:
        if self.paused or self._turning:
            return
        if self._starved_ns and self._inbox:
            self._turning = True
            delay_ns = int(-log(1.0 - self._dice()) * self._starved_ns)
            self._world.at(delay_ns, self._turn, self.life)
            return
        while self._inbox and not self.paused and self._handle:
            self._handle(self._inbox.popleft())
        self._settle()

    def _turn(self, life: int) -> None:
        if life != self.life:
            return
        self._turning = False
        if not self.paused and self._handle:
            self._handle(self._inbox.popleft())
            self._pump()

    def _settle(self) -> None:
        idle = not self._inbox and not self._turning and not self._starved_ns
        self._at_once = self.alive and not self.paused and idle
