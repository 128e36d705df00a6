"""A network that delays, reorders, doubles, loses, and is cut one way or both."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from typing import Any

import msgspec

from fathom.sim.world import MS, US, World

__all__ = ["Network", "Weather"]

Receive = Callable[[str, Any], Any]  # sender, body
Ends = tuple[str, str]  # from, to


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """How the network treats every message. Times in nanoseconds, shares from 0 to 1.

    A delay is `base_ns` and an exponential of mean `spread_ns`; `late` of them take `late_times` as long. The
    defaults are a data centre's: 0.25 ms on average one way, one in a thousand much later (FoundationDB's simulator
    has the same shape: 0.999 of latencies short, the others in a tail up to 100 ms; TigerBeetle's adds an
    exponential to a minimum). Delays are drawn for each message, so messages overtake each other.
    """

    base_ns: int = 100 * US
    spread_ns: int = 150 * US
    late: float = 0.001
    late_times: int = 100
    lost: float = 0.0
    doubled: float = 0.0


class Network:
    """Carries messages between named ends; every direction of every pair is its own link.

    Links fail in three ways: *cut* (lost while it lasts, also what was under way), *clogged* (held back, and let go
    all at once when it ends, as what lies in a socket's buffer) and *slow*. Who receives is looked up on arrival: what
    was under way to a node that crashed finds nobody or, if it was long enough under way, the next life.
    """

    __slots__ = ("_clogged", "_cut", "_dice", "_receive", "_slow", "_troubled", "_world", "weather")

    def __init__(self, world: World, weather: Weather | None = None) -> None:
        self._world = world
        self._dice = world.dice("network").random
        self._receive: dict[str, Receive] = {}
        self._cut: set[Ends] = set()  # only ever asked, never walked: its order is not the same in every process
        self._clogged: dict[Ends, list[Any]] = {}
        self._slow: dict[Ends, int] = {}
        self._troubled = False
        self.weather = weather or Weather()

    def join(self, name: str, receive: Receive) -> None:
        """Let messages to `name` end in `receive(sender, body)`."""
        self._receive[name] = receive

    def send(self, sender: str, to: str, body: Any) -> None:
        """Send a message, which may be lost, late, doubled and overtaken.

        Two dice for each message, whatever its fate: so a little more loss leaves all other delays as they were.
        """
        dice, weather = self._dice, self.weather
        fate, delay_ns = dice(), int(weather.base_ns - log(1.0 - dice()) * weather.spread_ns)
        if fate < weather.lost:
            self._world.reached("a message was lost")
            return
        if self._troubled:
            ends = sender, to
            if ends in self._cut:
                self._world.reached("a message was sent into a cut")
                return
            delay_ns *= self._slow.get(ends, 1)
        fate -= weather.lost
        if fate < weather.doubled:
            self._world.reached("a message was doubled")
            self._world.at(delay_ns + int(delay_ns * 9 * fate / weather.doubled), self._arrive, sender, to, body)
        elif fate > 1 - weather.lost - weather.late:
            delay_ns *= weather.late_times
        self._world.at(delay_ns, self._arrive, sender, to, body)

    def call(self, sender: str, to: str, take: Callable[..., Any], *args: Any) -> None:
        """Let `take(*args)` happen at the other end, once or (cut) never: a client's connection, which does not
        reorder or double."""
        ends = sender, to
        if ends not in self._cut:
            delay_ns = int(self.weather.base_ns - log(1.0 - self._dice()) * self.weather.spread_ns)
            self._world.at(delay_ns * self._slow.get(ends, 1), self._connected, ends, take, args)

    def _arrive(self, sender: str, to: str, body: Any) -> None:
        if self._troubled:
            ends = sender, to
            if ends in self._cut:
                self._world.reached("a message was under way when its link was cut")
                return
            if ends in self._clogged:
                self._clogged[ends].append(body)
                return
        self._receive[to](sender, body)

    def _connected(self, ends: Ends, take: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if ends in self._clogged:  # asked again until the clog is over; the clogs of a schedule end
            self._world.at(10 * MS, self._connected, ends, take, args)
        elif ends not in self._cut:
            take(*args)

    # Links --------------------------------------------------------------------------------------------------------

    def cut(self, sender: str, to: str) -> None:
        """Lose whatever goes this way from now on; the other way is another link."""
        self._cut.add((sender, to))
        self._trouble()

    def clog(self, sender: str, to: str) -> None:
        """Hold back whatever arrives this way from now on."""
        self._clogged.setdefault((sender, to), [])
        self._trouble()

    def slow(self, sender: str, to: str, times: int) -> None:
        """Let everything this way take so many times as long; 1 is as usual."""
        if times == 1:
            self._slow.pop((sender, to), None)
        else:
            self._slow[sender, to] = times
        self._trouble()

    def heal(self, sender: str, to: str) -> None:
        """End the cut this way, if there is one."""
        self._cut.discard((sender, to))
        self._trouble()

    def unclog(self, sender: str, to: str) -> None:
        """Let what was held back this way arrive now, in its order."""
        for body in self._clogged.pop((sender, to), ()):
            self._world.reached("a message came out of a clog")
            self._world.at(0, self._arrive, sender, to, body)
        self._trouble()

    def heal_all(self) -> None:
        """End all cuts, clogs and slowness; the weather stays."""
        self._cut.clear()
        self._slow.clear()
        for ends in list(self._clogged):
            self.unclog(*ends)
        self._trouble()

    def _trouble(self) -> None:
        self._troubled = bool(self._cut or self._clogged or self._slow)
