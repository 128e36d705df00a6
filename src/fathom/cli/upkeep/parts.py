"""The parts of a system that is up, engines and service: kept alive, broken on request, and healed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Literal

from fathom.cli import voice
from fathom.engines.engine import Engine, Killable, Pausable
from fathom.errors import EXIT_BROKE, FathomError, nearest
from fathom.web.control import HARMS, SERVICE, HarmKind

if TYPE_CHECKING:
    from fathom.engines.link import Link
    from fathom.web.served import Served

__all__ = ["Kept", "Parts"]

SLOW_S = 0.05  # later, each way
LASTS_S_MAX = 600.0
RETURNS_MAX = 5  # so often within RETURNS_S may something die and be started again; then it is given up
RETURNS_S = 60.0

Broken = Literal["up", "down", "paused", "slow", "cut"]
_STATE: dict[HarmKind, Broken] = {"kill": "down", "pause": "paused", "slow": "slow", "cut": "cut", "wipe": "down"}


class Kept:
    """One part: what runs, the link that leads to it, and what is wrong with it on purpose."""

    def __init__(self, name: str, body: Any, *, kind: str, link: Link | None = None, spared: str = "") -> None:
        self.name, self.body, self.kind, self.link, self.spared = name, body, kind, link, spared
        self.state: Broken = "up"
        self.heals_at: float | None = None  # on the loop's clock
        self.turn = asyncio.Lock()
        self.healing: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return "the service" if self.name == SERVICE else f"{self.name} ({self.kind})"

    @property
    def alive(self) -> bool:
        if not isinstance(self.body, Engine):
            return self.body.alive
        return bool(self.body.processes()) or not isinstance(self.body, Killable)  # what has no process cannot end

    @property
    def cannot(self) -> dict[str, str]:
        """What cannot be done to it, and why."""
        found: dict[str, str] = {}
        if not isinstance(self.body, Killable):
            found |= dict.fromkeys(("kill", "wipe"), "it is not ours to end")
        elif self.name == SERVICE:
            found["wipe"] = "a service keeps no data; its engines do"
        elif self.spared:
            found["wipe"] = self.spared
        if not isinstance(self.body, Pausable):
            found["pause"] = "it cannot be stopped in its tracks"
        if self.link is None:
            found |= dict.fromkeys(("slow", "cut"), "no link leads to it that could be made so")
        return found

    @property
    def can(self) -> tuple[HarmKind, ...]:
        cannot = self.cannot
        return tuple(what for what in HARMS if what not in cannot)


class Parts:
    """All parts of one system. `told` hears what was done, in words."""

    def __init__(
        self,
        served: Served,
        engines: Mapping[str, Engine],
        links: Mapping[str, Link] | None = None,
        spared: Mapping[str, str] | None = None,
        told: Callable[[str, str], None] = lambda what, kind: None,
    ) -> None:
        links, spared = links or {}, spared or {}
        self.told = told
        self.by_name = {
            name: Kept(name, engine, kind=engine.kind, link=links.get(name), spared=spared.get(name, ""))
            for name, engine in engines.items()
        }
        self.by_name[SERVICE] = Kept(SERVICE, served, kind=SERVICE)
        self._returns: list[float] = []

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Parts]:
        """End with the block what would have healed later."""
        try:
            yield self
        finally:
            for part in self.by_name.values():
                if part.healing is not None:
                    part.healing.cancel()

    # Keeping alive

    async def look_after(self) -> None:
        """Start again what has ended without being told to, where its data lies."""
        for part in self.by_name.values():
            if part.state == "up" and isinstance(part.body, Killable) and not part.alive:
                async with part.turn:
                    if part.state == "up" and not part.alive:
                        await self._again(part)

    async def _again(self, part: Kept) -> None:
        now = asyncio.get_running_loop().time()
        self._returns = [*(at for at in self._returns if now - at < RETURNS_S), now]
        if len(self._returns) > RETURNS_MAX:
            raise FathomError(
                f"{part} ends again and again",
                why=f"{len(self._returns)} times within {RETURNS_S:g} s something of it ended",
                fix="see whether memory and disk suffice; the data is whole",
                code=EXIT_BROKE,
            )
        voice.note(f"{part} has ended: starting it again")
        self.told(f"{part.name} has ended", "harm")
        await part.body.restart()
        voice.note(f"{part} is back")
        self.told(f"{part.name} is back", "heal")

    # Breaking

    async def harm(self, name: str, what: HarmKind, lasts_s: float | None) -> None:
        """Break a part; it heals after `lasts_s`, or when it is told to. A wiped one is back, and empty, at once."""
        part = self._part(name)
        if what in part.cannot:
            raise FathomError(f"{part} cannot be given a {what}", why=part.cannot[what], fix=_instead(part))
        if lasts_s is not None and not 0 < lasts_s <= LASTS_S_MAX:
            raise FathomError(
                f"a {what} cannot last {lasts_s:g} s", why=f"it lasts up to {LASTS_S_MAX:g}", fix="say for example 4"
            )
        async with part.turn:
            if part.state != "up":
                raise FathomError(f"{part} is {part.state} already", why="one harm at a time", fix="heal it first")
            part.state = _STATE[what]
            try:
                await self._do(part, what)
            except BaseException:
                part.state = "up"
                raise
            self.told(f"{what} {part.name}", "harm")
            voice.note(f"{part}: {what}")
            if what == "wipe":
                part.state = "up"
                self.told(f"{part.name} is back, empty", "heal")
            elif lasts_s is not None:
                part.heals_at = asyncio.get_running_loop().time() + lasts_s
                part.healing = asyncio.create_task(self._heal_later(part, lasts_s))

    async def _do(self, part: Kept, what: HarmKind) -> None:
        match what:
            case "kill":
                await part.body.kill()
            case "wipe":
                await part.body.kill()
                await part.body.restart(wiped=True)
            case "pause":
                await part.body.pause()
            case "slow":
                assert part.link is not None
                await part.link.set(latency_s=SLOW_S)
            case "cut":
                assert part.link is not None
                await part.link.set(black_hole=True)

    async def _heal_later(self, part: Kept, lasts_s: float) -> None:
        await asyncio.sleep(lasts_s)
        async with part.turn:  # whoever has it before ends this: it is for one harm, and no later one
            part.healing = None
            try:
                await self._mend(part)
            except FathomError as told:
                voice.note(f"{part} could not be healed: {told.what}")
                self.told(f"{part.name} could not be healed", "harm")

    async def heal(self, name: str) -> None:
        """Make a part whole: start it where its data lies, let it go on, or mend its link. A whole one stays so."""
        part = self._part(name)
        async with part.turn:
            if part.healing is not None:
                part.healing.cancel()
                part.healing = None
            await self._mend(part)

    async def _mend(self, part: Kept) -> None:
        """Make a part whole, for whoever has its turn."""
        part.heals_at = None
        if part.state == "up":
            return
        if part.state in ("slow", "cut"):
            assert part.link is not None
            await part.link.heal()
        elif part.state == "paused" and part.alive:
            await part.body.resume()
        else:
            await part.body.restart()
        part.state = "up"
        self.told(f"{part.name} is back", "heal")
        voice.note(f"{part} is back")

    def _part(self, name: str) -> Kept:
        if name in self.by_name:
            return self.by_name[name]
        raise FathomError(
            f"there is no part '{name}'",
            why=f"the parts are {', '.join(self.by_name)}",
            fix=nearest(name, self.by_name, "say one of these"),
        )


def _instead(part: Kept) -> str:
    return f"say one of {', '.join(part.can)}" if part.can else "nothing can be done to it from here"
