"""An engine is gone in the middle of the race: the dive is void, and not one number of it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fathom.cli import records
from fathom.cli.bodies import Embodied
from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.known import Known, drawn, maker, shelf, void, without
from fathom.design import Choice
from fathom.engines.engine import Killable
from fathom.engines.keeper import Keeper
from fathom.lab.body import Bodies
from fathom.lab.run import Ended
from fathom.lab.runs import Run

AFTER = "block 2 of "
BUDGET_S = 30.0
WITHIN_S = 1.2  # a block takes about so long: it may happen anywhere in one

ROW = Row(
    name="stopped",
    truth="one of the Redis is gone from somewhere in the third block on",
    counts="told a number all the same",
    short=Wants(1, most=0),
    full=Wants(10, most=0),
)


class Seen:
    """Bodies that are remembered, so that somebody can lay hands on them."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.up: dict[str, Embodied] = {}

    def __call__(self, choice: Choice, name: str, cores: frozenset[int]) -> AbstractAsyncContextManager[Embodied]:
        return self._seen(choice, name, cores)

    @asynccontextmanager
    async def _seen(self, choice: Choice, name: str, cores: frozenset[int]) -> AsyncIterator[Embodied]:
        async with self._bodies(choice, name, cores) as body:
            self.up[name] = body  # pyright: ignore[reportArgumentType]
            yield self.up[name]


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with Keeper.open() as keeper:

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            seen = Seen(maker(keeper, shelf(), "writing"))
            plan = drawn(shelf(), "stocking", ["once", "twice"], shop, seed, row=ROW.name, budget_s=BUDGET_S)
            dice = random.Random(f"{seed}/gone")
            whose, when_s = dice.choice(plan.order[0]), dice.uniform(0, WITHIN_S)
            gone: list[asyncio.Task[None]] = []

            def tell(line: str) -> None:
                if line.startswith(AFTER) and not gone:
                    gone.append(asyncio.create_task(_kill(seen.up[whose], when_s)))

            ended = await Known(seen, shop).dive(plan, tell)
            if not gone:
                return experiment.void(void(ended) or "the race was over too soon"), without(ended)
            await gone[0]
            said = judge(ended)
            said = Said(said.happened, f"that of {whose} was gone: {said.says}")
            return {ROW.name: said}, (str(ended.folder) if said.happened else without(ended))

        yield once


async def _kill(body: Embodied, when_s: float) -> None:
    """Kill a body's Redis a moment from now: while it is measured, stopped, or made ready."""
    await asyncio.sleep(when_s)
    engine = body.engines["cache"]
    assert isinstance(engine, Killable)
    await engine.kill()


def judge(ended: Ended) -> Said:
    """Say whether the run tells anything: to a person, to a program, or in a file that looks like a result."""
    told = records.as_json(Run(ended.folder), ended.findings)["findings"]
    files = [name for name in ("record.md", "record.html") if (Path(ended.folder) / name).exists()]
    if ended.state == "void" and not told and not files:
        return Said(False, f"void: {ended.why}")
    return Said(True, f"{ended.state}, with {len(told)} numbers and {' and '.join(files) or 'no record'}")


experiment = Experiment("stopped", (ROW,), 25.0, ready)
