"""A system that is up: its engines and its service kept running, and changed on request, until it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fathom.cli import voice
from fathom.cli.place import Place, Running
from fathom.design import Choice, System
from fathom.engines.engine import Engine
from fathom.engines.keeper import Keeper
from fathom.engines.link import Link
from fathom.errors import EXIT_BROKE, FathomError
from fathom.web import control
from fathom.web.served import Served

from .orders import Orders
from .parts import Parts

if TYPE_CHECKING:
    from fathom.web.listen import Listen

    from .living import Living

__all__ = ["Upkeep", "up"]

LOOK_S = 0.5
MARKS_MAX = 100


class Upkeep:
    """The engines and the service of one system, and what was done to them."""

    def __init__(
        self,
        system: System,
        place: Place,
        keeper: Keeper,
        served: Served,
        engines: Mapping[str, Engine],
        links: Mapping[str, Link],
        spared: Mapping[str, str],
    ) -> None:
        self.system, self.place, self.keeper, self.served = system, place, keeper, served
        self.doors = {name: engine.door for name, engine in engines.items() if engine.door}
        self.parts = Parts(served, engines, links, spared, self.told)
        self.orders = Orders(self._carry_out, self.state)
        self.marks: deque[control.Mark] = deque(maxlen=MARKS_MAX)
        self.living: Living | None = None  # a demo's people
        self._began = asyncio.get_running_loop().time()

    @property
    def at_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def lasting(self) -> None:
        """Keep everything running: whatever dies is started again, where its data lies. Ends by being cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)  # a child's end is an event of its own keeper's, not of an engine
            await self.parts.look_after()
            if self.living is not None:
                await self.living.look()
                self.orders.tell()

    def told(self, what: str, kind: Any) -> None:
        """Mark that something was done, and let all who watch know at once."""
        self.marks.append(control.Mark(at_s=round(self.at_s, 3), what=what, kind=kind))
        self.orders.tell()

    def state(self) -> control.State:
        if self.living is None:
            raise FathomError(
                f"{self.system.name} does not tell of itself", why="it is up without --demo", fix="fathom up --demo"
            )
        return self.living.state()

    async def _carry_out(self, order: control.Order) -> dict[str, Any]:
        match order:
            case control.Switch(decision, approach, knobs):
                return await self._switch(decision, Choice(approach, knobs))
            case control.Harm(part, what, lasts_s):
                await self.parts.harm(part, what, lasts_s)
            case control.Heal(part):
                await self.parts.heal(part)
            case control.Load(factor) if self.living is not None:
                self.living.turn(factor)
            case _:
                raise FathomError("there is no traffic here", why="it is up without --demo", fix="fathom up --demo")
        return {}

    async def _switch(self, decision: str, choice: Choice) -> dict[str, Any]:
        took_s = await self.served.switch(decision, choice)
        chosen = await self.served.choices()
        self.place.remember(chosen)
        if self.living is not None:
            self.living.serves(chosen)  # a paused one does not ask
        self.told(f"{decision} is {choice} now", "switch")
        voice.note(f"{decision} is {choice} now; taking over took {took_s:.2f} s")
        return {"took_s": took_s}


@asynccontextmanager
async def up(
    system: System,
    place: Place,
    choices: Mapping[str, Choice],
    urls: Mapping[str, str],
    door: Listen | None,
    *,
    linked: bool = False,
    spared: Mapping[str, str] | None = None,
    spare: Collection[str] = (),
) -> AsyncIterator[Upkeep]:
    """Bring a system up on its data: engines of our own (or those at `urls`, by kind or field), and its service.

    `linked`: with a link before each engine, so that it can be made slow or cut off; `spared` says which engines are
    not to be wiped, and why; `spare`, which of those that may be missing are to be there.
    """
    from fathom.web.serve import engines_of

    kinds = engines_of(system)
    kinds |= {field: kind for field, kind in engines_of(system, spare=True).items() if field in spare or field in urls}
    async with Keeper.open() as keeper, AsyncExitStack() as started:
        started.callback(_keep_logs, keeper.folder, place.folder / "logs")
        engines: dict[str, Engine] = {}
        links: dict[str, Link] = {}
        where: dict[str, str] = {}
        for field, kind in kinds.items():
            if field in urls or kind.kind in urls:
                where[field] = urls.get(field) or urls[kind.kind]
                continue
            voice.note(f"starting {field} ({kind.kind})")
            engine = await started.enter_async_context(kind.start(keeper, name=field, folder=place.engine(field)))
            engines[field], where[field] = engine, engine.where
            if linked and "://" in engine.where and not engine.where.startswith("file:"):
                link = await started.enter_async_context(Link.between(keeper, engine.where, name=f"{field}-link"))
                links[field], where[field] = link, link.where
        voice.note("starting the service")
        try:
            served = await started.enter_async_context(
                Served.start(keeper, system, engines=where, choices=choices, door=door, data=place.service)
            )
        except FathomError as told:
            if told.code != EXIT_BROKE:
                raise
            fix = f"see what it said: {place.folder / 'logs'}"
            raise FathomError(told.what, why=told.why, fix=fix, code=told.code) from told
        upkeep = Upkeep(system, place, keeper, served, engines, links, spared or {})
        await started.enter_async_context(upkeep.parts.kept())
        await started.enter_async_context(upkeep.orders.taken(keeper.folder))
        place.remember(await served.choices())
        place.announce(Running(system.name, os.getpid(), upkeep.orders.control, served.door))
        yield upkeep


def _keep_logs(folder: Path, logs: Path) -> None:
    """Keep what engines and service said, of this time and of the time before: the keeper's folder goes with it."""
    before = logs.with_name(f"{logs.name}.before")
    with contextlib.suppress(OSError):
        shutil.rmtree(before, ignore_errors=True)
        if logs.exists():
            logs.rename(before)
        logs.mkdir(mode=0o700)
        for file in folder.glob("*.log*"):
            shutil.copy(file, logs)
