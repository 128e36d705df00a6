"""A few people in the demo who write down all that they do and see, so that the laws can be held against it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from fathom.errors import FathomError, Refusal
from fathom.history import History, Law, proof, tried
from fathom.lab.body import Recorder
from fathom.web.control import Lamp, Proof

if TYPE_CHECKING:
    from fathom.web.served import Served

    from .crowd import Cohort, Demo

__all__ = ["Witnesses", "lamps_of"]

PACE_S = 2.0  # between two things that one of them does, on average
JUDGE_S = 4.0  # between two looks at what all of them saw
SETTLE_S = 5.0  # what was accepted has taken effect by then, or is judged later
CALLS_MAX = 2_000  # a history that is longer takes long to judge: a new cohort begins another
PROOFS_MAX = 3
STAYS_S = 60.0  # a broken law's lamp stays red at least so long
AGAIN_S = 1.0

_TROUBLE = (Refusal, FathomError, TimeoutError, OSError)


class Witnesses:
    """Cohort after cohort, each in a world of its own: nobody else follows them, and they follow nobody else."""

    def __init__(
        self, demo: Demo, served: Served, laws: Mapping[str, Law], seed: int, told: Callable[[str, str], None]
    ) -> None:
        self._demo, self._served, self._laws, self._told = demo, served, laws, told
        self._dice = random.Random(f"{seed}/witnesses")
        self.lamps = tuple(_lamp(name, law, "waiting") for name, law in laws.items())
        self.judged_at: float | None = None  # on the loop's clock
        self.paused = ""
        self._red_since: dict[str, float] = {}

    async def watching(self) -> None:
        """Go on until cancelled, or until the demo's own code breaks."""
        while True:
            with suppress(*_TROUBLE):
                await self._epoch()
            await asyncio.sleep(AGAIN_S)

    async def _epoch(self) -> None:
        """One cohort's time, from joining until its history is long enough."""
        if self.paused:
            return
        recorder = Recorder(self._served.system.protocol)
        async with self._served.client() as client:
            cohort = await self._demo.cohort(client, self._dice)
            resting = _Resting()
            lives = [
                asyncio.create_task(self._life(recorder.beside(client, f"{who}"), cohort, who, resting))
                for who in cohort.members
            ]
            try:
                while len(recorder.calls) < CALLS_MAX and not self.paused:
                    await asyncio.sleep(JUDGE_S)
                    for life in lives:
                        if life.done():
                            life.result()  # none of them ends by itself: without them a lamp would say nothing
                    async with resting.looking():
                        await self._judge(recorder, client, cohort)
            finally:
                for life in lives:
                    life.cancel()
                await asyncio.gather(*lives, return_exceptions=True)

    async def _life(self, client: Any, cohort: Cohort, who: Any, resting: _Resting) -> None:
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / PACE_S))
            async with resting.acting():
                with suppress(*_TROUBLE):
                    await cohort.act(client, who, self._dice)

    async def _judge(self, recorder: Recorder, client: Any, cohort: Cohort) -> None:
        """Let all take a last look for now, and hold the laws against what was seen."""
        try:
            await self._served.settled(SETTLE_S)
        except _TROUBLE:
            self.lamps = tuple(
                lamp if lamp.state == "broken" else _lamp(lamp.law, self._laws[lamp.law], "waiting")
                for lamp in self.lamps
            )
            return
        recorder.calls[:] = [call for call in recorder.calls if not call.final]
        for number, who in enumerate(cohort.members):
            with suppress(*_TROUBLE):
                await cohort.look(recorder.beside(client, f"look/{number}", changes=False, final=True), who)
        self._hold(recorder.history(None, recorder.calls))

    def _hold(self, history: History) -> None:
        now = self.judged_at = asyncio.get_running_loop().time()
        before = {lamp.law: lamp for lamp in self.lamps}
        found: list[Lamp] = []
        for lamp in lamps_of(self._laws, history):
            if lamp.state == "broken":
                if lamp.law not in self._red_since:
                    self._told(f"{lamp.law.replace('_', ' ')}: broken", "law")
                self._red_since[lamp.law] = now
            elif now - self._red_since.get(lamp.law, -STAYS_S) < STAYS_S:
                found.append(before[lamp.law])
                continue
            else:
                self._red_since.pop(lamp.law, None)
            found.append(lamp)
        self.lamps = tuple(found)


def lamps_of(laws: Mapping[str, Law], history: History) -> list[Lamp]:
    """Return a lamp for each law, held against a history; a broken one has its proof in words."""
    found: list[Lamp] = []
    for name, law in laws.items():
        broken = list(law(history))
        n = tried(law, history)
        state = "broken" if broken else "kept" if n else "untried"
        proofs = tuple(
            Proof(says=it.says, steps=tuple(step.says for step in proof(law, it, history)))
            for it in broken[:PROOFS_MAX]
        )
        found.append(_lamp(name, law, state, n, proofs))
    return found


def _lamp(name: str, law: Law, state: Any, tried: int = 0, proofs: tuple[Proof, ...] = ()) -> Lamp:
    says = (law.__doc__ or name).strip().partition("\n")[0]
    return Lamp(law=name, says=says, state=state, tried=tried, proofs=proofs)


class _Resting:
    """Many act at once, or one looks while all the others rest."""

    def __init__(self) -> None:
        self._acting = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._gate = asyncio.Lock()

    @asynccontextmanager
    async def acting(self) -> AsyncIterator[None]:
        async with self._gate:
            self._acting += 1
            self._idle.clear()
        try:
            yield
        finally:
            self._acting -= 1
            if not self._acting:
                self._idle.set()

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        async with self._gate:
            await self._idle.wait()
            yield
