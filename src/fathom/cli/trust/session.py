"""Carries experiments out, try by try: as many as are wanted, void ones anew, and no longer than there is time."""

from __future__ import annotations

import asyncio
import datetime
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from fathom.cli.trust.answers import Answers
from fathom.cli.trust.experiment import Experiment, Once, Tally, Try, Workshop
from fathom.errors import FathomError
from fathom.lab.machine import busy

__all__ = ["Session", "tallies"]

VOID_MAX = 1.0  # so many times as many tries as are wanted may be void; then the machine is not one to measure on
VOID_LEAST = 3
CALM, CALM_LOOKS = 0.1, 3  # so many seconds in a row others use less than this share of all cores


@dataclass
class Session:
    """What is to be carried out, where the answers go, and until when."""

    experiments: Sequence[Experiment]
    full: bool
    seed: int
    answers: Answers
    shop: Workshop
    tell: Callable[[str], None]
    ends_s: float = float("inf")  # on the monotonic clock
    wait_s: float = 60.0  # for a calm machine, after a try that was void
    code: Callable[[], str] | None = None  # which state of the code lies there now

    async def run(self) -> None:
        for experiment in self.experiments:
            await self._carry_out(experiment)

    async def _carry_out(self, experiment: Experiment) -> None:
        """Try until there are enough tries that told something; the outcome of none of them decides how many."""
        while self._left(experiment):
            async with AsyncExitStack() as up:
                once: Once | None = None
                while self._left(experiment):
                    if time.monotonic() + experiment.try_s > self.ends_s:
                        self.tell(f"{experiment.name}: no time is left for {self._left(experiment)} more")
                        return
                    self._same_code()
                    if self._disturbed(experiment):
                        await self._calm()
                    once = once or await up.enter_async_context(experiment.ready(self.shop))
                    if not await self._try(experiment, once):
                        break  # something of it broke: it is brought up anew

    def _left(self, experiment: Experiment) -> int:
        """Return how many tries are still wanted; none where too many were void."""
        wanted = experiment.tries(self.full)
        made = self.answers.of(experiment.name)
        told = sum(1 for it in made if any(said.happened is not None for said in it.said.values()))
        if len(made) - told > max(VOID_LEAST, VOID_MAX * wanted):
            return 0
        return max(0, wanted - told)

    def _disturbed(self, experiment: Experiment) -> bool:
        """Whether the last try told nothing: most likely because others use the machine."""
        made = self.answers.of(experiment.name)
        return bool(made) and all(said.happened is None for said in made[-1].said.values())

    async def _calm(self) -> None:
        """Wait until the machine is left alone, or for as long as may be waited: nothing of ours runs now."""
        ends_s = min(self.ends_s, time.monotonic() + self.wait_s)
        self.tell(f"waiting for a calm machine, {self.wait_s:.0f} s at most")
        looks = 0
        while looks < CALM_LOOKS and time.monotonic() < ends_s:
            before = busy()
            await asyncio.sleep(1.0)
            after = busy()
            if before is None or after is None:
                return
            used_s = after.since(before).busy_s
            looks = looks + 1 if used_s < CALM * (os.cpu_count() or 1) else 0

    def _same_code(self) -> None:
        """Refuse to go on when the code was changed meanwhile: services started now would be of the new one."""
        if self.code is not None and self.code() != self.answers.code:
            raise FathomError(
                "the code has changed since this began",
                why="answers of two states of the code prove nothing about either",
                fix="run it in a clone that nobody works in; the answers so far are kept for this code",
            )

    async def _try(self, experiment: Experiment, once: Once) -> bool:
        made = self.answers.of(experiment.name)
        number = max((it.number for it in made), default=0) + 1
        seed = 1_000 * self.seed + number
        began, sound = time.monotonic(), True
        try:
            said, folder = await once(number, seed)
        except FathomError as broke:
            said, folder, sound = experiment.void(f"{broke.what}: {broke.why}"), None, False
        it = Try(
            experiment=experiment.name,
            number=number,
            seed=seed,
            at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            took_s=round(time.monotonic() - began, 2),
            said=said,
            code=self.answers.code,
            machine=self.answers.machine,
            kept=folder,
        )
        self.answers.add(it)
        self._say(experiment, it)
        return sound

    def _say(self, experiment: Experiment, it: Try) -> None:
        if all(said.happened is None for said in it.said.values()):
            self.tell(f"{experiment.name}: {next(iter(it.said.values())).says}")
            return
        for tally in tallies([experiment], self.answers, self.full):
            said = it.said[tally.row.name]
            sofar = f"{tally.row.counts} {tally.k} of {tally.n} ({tally.wants.tries} wanted)"
            self.tell(f"{tally.row.name}: {said.says}; {sofar}" + (f", {tally.void} void" if tally.void else ""))


def tallies(experiments: Sequence[Experiment], answers: Answers, full: bool) -> list[Tally]:
    """Count every row of some experiments."""
    return [Tally.of(row, answers.of(experiment.name), full) for experiment in experiments for row in experiment.rows]
