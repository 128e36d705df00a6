"""A system that is up: its engines and its service kept running, and switched on request, until it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fathom.cli import voice
from fathom.cli.place import Place, Running
from fathom.design import Choice, System
from fathom.engines.engine import Engine, Killable
from fathom.engines.keeper import Keeper
from fathom.errors import EXIT_BROKE, FathomError
from fathom.web.served import Served

if TYPE_CHECKING:
    from fathom.web.listen import Listen

__all__ = ["Upkeep", "ask", "up"]

LOOK_S = 0.5
RETURNS_MAX = 5  # so often within RETURNS_S may something die and be started again; then it is given up
RETURNS_S = 60.0
ORDER_BYTES_MAX = 65_536


class Upkeep:
    """The engines and the service of one system."""

    def __init__(self, system: System, place: Place, own: Mapping[str, Engine], served: Served) -> None:
        self.system, self.place, self.own, self.served = system, place, own, served
        self.control = ""
        self._returns: list[float] = []

    async def lasting(self) -> None:
        """Keep everything running: whatever dies is started again, where its data lies. Ends by being cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)  # a child's end is an event of its own keeper's, not of an engine
            for field, engine in self.own.items():
                if isinstance(engine, Killable) and not engine.processes():
                    await self._again(f"{field} ({engine.kind})", engine)
            if not self.served.alive:
                await self._again("the service", self.served)

    async def _again(self, what: str, dead: Killable) -> None:
        now = asyncio.get_running_loop().time()
        self._returns = [*(at for at in self._returns if now - at < RETURNS_S), now]
        if len(self._returns) > RETURNS_MAX:
            raise FathomError(
                f"{what} ends again and again",
                why=f"{len(self._returns)} times within {RETURNS_S:g} s something of {self.system.name}'s ended",
                fix=f"see whether memory and disk suffice; the data is whole in {self.place.folder}",
                code=EXIT_BROKE,
            )
        voice.note(f"{what} has ended: starting it again")
        await dead.restart()
        voice.note(f"{what} is back")

    @asynccontextmanager
    async def listening(self, folder: Path) -> AsyncIterator[None]:
        """Take orders from `fathom switch` on a socket that only this user can reach."""
        self.control = str(folder / "control.sock")
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._order, self.control, limit=ORDER_BYTES_MAX)
        finally:
            os.umask(before)
        async with server:
            yield

    async def _order(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = json.loads(await reader.readline())
            answer = await self._switch(order["decision"], Choice(order["approach"], order["knobs"]))
        except FathomError as told:
            answer = told.as_json()
        except (ValueError, KeyError, TypeError) as unfit:
            answer = FathomError("the order cannot be read", why=str(unfit), fix="use: fathom switch").as_json()
        with contextlib.suppress(OSError):
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _switch(self, decision: str, choice: Choice) -> dict[str, Any]:
        took_s = await self.served.switch(decision, choice)
        self.place.remember(await self.served.choices())
        voice.note(f"{decision} is {choice} now; taking over took {took_s:.2f} s")
        return {"took_s": took_s}


@asynccontextmanager
async def up(
    system: System, place: Place, choices: Mapping[str, Choice], urls: Mapping[str, str], door: Listen | None
) -> AsyncIterator[Upkeep]:
    """Bring a system up on its data: engines of our own (or those at `urls`, by kind), and its service."""
    from fathom.lab.dive import engines_of

    async with Keeper.open() as keeper, AsyncExitStack() as started:
        started.callback(_keep_logs, keeper.folder, place.folder / "logs")
        own: dict[str, Engine] = {}
        where: dict[str, str] = {}
        for field, kind in engines_of(system).items():
            if kind.kind in urls:
                where[field] = urls[kind.kind]
                continue
            voice.note(f"starting {field} ({kind.kind})")
            own[field] = await started.enter_async_context(kind.start(keeper, name=field, folder=place.folder / field))
            where[field] = own[field].where
        voice.note("starting the service")
        try:
            served = await started.enter_async_context(
                Served.start(keeper, system, engines=where, choices=choices, door=door, data=place.folder / "service")
            )
        except FathomError as told:
            if told.code != EXIT_BROKE:
                raise
            fix = f"see what it said: {place.folder / 'logs'}"
            raise FathomError(told.what, why=told.why, fix=fix, code=told.code) from told
        upkeep = Upkeep(system, place, own, served)
        await started.enter_async_context(upkeep.listening(keeper.folder))
        place.remember(await served.choices())
        place.announce(Running(system.name, os.getpid(), upkeep.control, served.door))
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


async def ask(running: Running, decision: str, choice: Choice, within_s: float) -> float:
    """Have a running system switch; return the seconds that the new approach took to take over."""
    order = {"decision": decision, "approach": choice.approach, "knobs": dict(choice.knobs)}
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(running.control)
            writer.write(json.dumps(order).encode() + b"\n")
            line = await reader.readline()
            writer.close()
        answer = json.loads(line)
    except TimeoutError:
        raise FathomError(
            f"{running.system} has not switched within {within_s:g} s",
            why="the new approach is still taking over, or the service hangs",
            fix="look at what fathom up says; the old approach serves until the new one is ready",
            code=EXIT_BROKE,
        ) from None
    except (OSError, ValueError) as lost:
        raise FathomError(
            f"{running.system} cannot be reached",
            why=f"{type(lost).__name__}: {lost}",
            fix="is it just ending? Then start it again: fathom up",
            code=EXIT_BROKE,
        ) from None
    if "error" in answer:
        raise FathomError(answer["error"], why=answer["why"], fix=answer["fix"], code=answer["exit"])
    return answer["took_s"]
