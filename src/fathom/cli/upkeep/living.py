"""A demo: people who use the system, witnesses who watch its laws, and what all of it looks like right now."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from fathom.cli.measuring import is_measured
from fathom.design import Choice, first_line
from fathom.engines.engine import Engine, EngineError
from fathom.errors import EXIT_BROKE, FathomError, Refusal
from fathom.history import laws_of
from fathom.lab.dive import engines_of
from fathom.lab.machine import cpu_s
from fathom.web import control
from fathom.web.control import SERVICE

from .crowd import Crowd, Demo
from .meter import Meter, Reading
from .parts import Kept
from .witnesses import Witnesses

if TYPE_CHECKING:
    from .up import Upkeep

__all__ = ["Living", "living", "settled"]

PING_S = 1.0
TELL_S = 1.0  # for the service to tell of itself: everything else waits as long
MEASURED = "a dive measures on this machine, so there is no traffic"


class Living:
    """The state of a system that people use, looked at now and then."""

    def __init__(self, upkeep: Upkeep, crowd: Crowd, witnesses: Witnesses) -> None:
        self._upkeep, self.crowd, self.witnesses = upkeep, crowd, witnesses
        self._meter = Meter(upkeep.system.name)
        self._measured = True
        self._reading = Reading()
        self._questions: tuple[control.Question, ...] = ()
        self._asked = upkeep.system.decisions
        self._answers_ms: dict[str, float | None] = {}
        self._cpu: dict[str, tuple[float, dict[int, float]]] = {}
        self._used: dict[str, float] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def turn(self, factor: float) -> None:
        self.crowd.turn(factor)
        self._upkeep.told(f"traffic x{factor:g}", "load")

    async def look(self) -> None:
        """See how everything is now: what the service tells, what serves, what each process used.

        What is not told now is not known now: no rate of before stands for one.
        """
        for task in self.tasks:
            if task.done():  # none of them ends by itself
                self._blame(task)
        measured, before = is_measured(), self._measured
        self._measured = measured
        paused = MEASURED if measured and before else ""  # once only it may be another demo that looks
        self.crowd.pause(paused)
        self.witnesses.paused = paused
        reading = Reading(stocks=self._reading.stocks)
        if not paused or not self._questions:  # a page shows no more switches than there were when it was opened
            with contextlib.suppress(FathomError, Refusal, TimeoutError, OSError):
                reading = await self._told()
        self._reading = reading
        if paused:
            self._cpu.clear()
            self._used.clear()
            return
        for part in self._upkeep.parts.by_name.values():
            self._use(part)

    def _blame(self, task: asyncio.Task[None]) -> None:
        """Raise what ended a task; what broke within the demo's own rooms is told as theirs."""
        try:
            task.result()
        except FathomError:
            raise
        except Exception as fault:
            package = self._upkeep.system.package
            ran = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(fault.__traceback__)]
            if not any(f"{module}.".startswith((f"{package}.demo.", f"{package}.laws.")) for module in ran):
                raise
            raise FathomError(
                f"the demo of {self._upkeep.system.name} broke",
                why=f"{type(fault).__name__}: {fault}",
                fix="mend its rooms demo and laws: what people do raises only what their client raises",
                code=EXIT_BROKE,
            ) from fault

    async def _told(self) -> Reading:
        """Return what the service tells of its work, and keep what serves; a harmed one is not asked."""
        served = self._upkeep.served
        if self._upkeep.parts.by_name[SERVICE].state != "up":
            return Reading(stocks=self._reading.stocks)
        async with asyncio.timeout(TELL_S):
            reading = self._meter.read(await served.metrics())
            self.serves(await served.choices())
        return reading

    def serves(self, serving: Mapping[str, Choice]) -> None:
        """Keep which approaches serve now."""
        self._questions = tuple(
            control.Question(
                name=name,
                asks=question.asks,
                serving=serving[name].approach,
                options=tuple(
                    control.Option(name=option, says=first_line(sys.modules[kind.__module__]))
                    for option, kind in question.approaches.items()
                ),
            )
            for name, question in self._asked.items()
        )

    def _use(self, part: Kept) -> None:
        """Find out what a part's processes have used of a core since the last look."""
        now = time.monotonic()
        spent = {pid: used for pid in part.body.processes() if (used := cpu_s(pid)) is not None} if part.alive else {}
        before = self._cpu.get(part.name)
        self._cpu[part.name] = (now, spent)
        if before is not None and now > before[0]:
            grown = sum(used - before[1].get(pid, used) for pid, used in spent.items())
            self._used[part.name] = max(0.0, grown / (now - before[0]))

    async def pinging(self, name: str, engine: Engine) -> None:
        """Ask an engine for nothing, again and again, the way the service asks it. Ends by being cancelled."""
        async with engine.connected(deadline_s=PING_S):  # pyright: ignore[reportCallIssue]
            while True:
                began = time.perf_counter()
                try:
                    async with asyncio.timeout(PING_S):
                        await engine.ping()
                    self._answers_ms[name] = 1_000 * (time.perf_counter() - began)
                except (EngineError, TimeoutError, OSError):
                    self._answers_ms[name] = None
                await asyncio.sleep(PING_S)

    def state(self) -> control.State:
        upkeep, crowd, witnesses = self._upkeep, self.crowd, self.witnesses
        now = asyncio.get_running_loop().time()
        judged_at = witnesses.judged_at
        return control.State(
            system=upkeep.system.name,
            says=upkeep.system.says,
            at_s=round(upkeep.at_s, 3),
            door=upkeep.served.door,
            paused=crowd.paused,
            load=crowd.factor,
            unsent=crowd.unsent,
            flows=crowd.flows(),
            door_per_s=self._reading.door_per_s,
            parts=tuple(self._part(part, now) for part in upkeep.parts.by_name.values()),
            stocks=self._reading.stocks,
            questions=self._questions,
            lamps=witnesses.lamps,
            judged_s=None if judged_at is None else round(upkeep.at_s - (now - judged_at), 3),
            marks=tuple(upkeep.marks),
        )

    def _part(self, part: Kept, now: float) -> control.Part:
        engine = isinstance(part.body, Engine)
        answer_ms = self._answers_ms.get(part.name)
        state = part.state
        if state == "up" and not part.alive:
            state = "down"
        elif state == "up" and engine and part.name in self._answers_ms and answer_ms is None:
            state = "silent"
        unit = part.body.unit if engine else "requests"
        rate = self._reading.work_per_s.get(unit, 0.0) if engine else self._reading.door_per_s
        return control.Part(
            name=part.name,
            kind=part.kind,
            version=part.body.version if engine else f"process {part.body.pid}",
            state=state,
            unit=unit,
            per_s=rate,
            answer_ms=answer_ms,
            cpu=self._used.get(part.name),
            can=part.can,
            cannot=part.cannot,
            heals_in_s=None if part.heals_at is None else round(max(0.0, part.heals_at - now), 1),
        )


async def settled(upkeep: Upkeep, demo: Demo) -> tuple[str, str]:
    """Populate the system; return name and password of somebody who can log in."""
    system, parts = upkeep.system, upkeep.parts.by_name
    async with AsyncExitStack() as stack:
        engines = {name: part.body for name, part in parts.items() if name != SERVICE}
        for engine in engines.values():
            await stack.enter_async_context(engine.connected())
        stores = system.stores(**engines) if system.stores else None
        client = await stack.enter_async_context(upkeep.served.client(deadline_s=30.0))
        return await demo.settle(stores, client)


@asynccontextmanager
async def living(upkeep: Upkeep, demo: Demo, seed: int) -> AsyncIterator[Living]:
    """Let people use a system for the length of a block."""
    system, served = upkeep.system, upkeep.served
    laws = laws_of(system.room("laws")) if system.has("laws") else {}
    crowd = Crowd(demo, served.client(), seed)
    it = Living(upkeep, crowd, Witnesses(demo, served, laws, seed, upkeep.told))
    await it.look()
    upkeep.living = it
    pinged: Mapping[str, type[Engine]] = engines_of(system)
    it.tasks += [asyncio.create_task(crowd.living()), asyncio.create_task(it.witnesses.watching())]
    for name, part in upkeep.parts.by_name.items():
        if name in pinged:
            where = part.link.where if part.link else part.body.where
            it.tasks.append(asyncio.create_task(it.pinging(name, pinged[name].at(where))))
    try:
        yield it
    finally:
        upkeep.living = None
        for task in it.tasks:
            task.cancel()
        await asyncio.gather(*it.tasks, return_exceptions=True)
