"""Another program burns a core in the middle of the race: the dive is void, or says what it says without it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fathom.cli.trust.comparison import quoted
from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.known import Known, announced, desk, drawn, known, void, without
from fathom.engines.keeper import Child, Keeper
from fathom.lab.differences import differences
from fathom.lab.plan import Plan
from fathom.lab.run import Ended

AFTER = "block 2 of "  # so begins what the lab says when the hog is let loose
BUDGET_S = 24.0  # what is disturbed is done again: not for ever
BURN = "while True: pass"

ROW = Row(
    name="hog",
    truth="another program burns a core from the third block on",
    counts="told what is not true (void, or silent, is right)",
    short=Wants(2, most=0),
    full=Wants(30, most=0),
)


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with known(desk(), "work", shop) as place, Keeper.open() as keeper:

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            rival = ("again", "plus-20")[number % 2]
            plan = drawn(desk(), "beside", ["plain", rival], shop, seed, row=ROW.name, budget_s=BUDGET_S)
            core = _core(shop, number)
            ended, hogged = await _hogged(place, plan, keeper, core)
            if not hogged:
                return experiment.void(void(ended) or "the race was over too soon"), without(ended)
            said = judge(ended, plan, rival)
            where = "on any core" if core is None else f"on core {min(core)}"
            said = Said(said.happened, f"a hog {where}, {plan.default} beside {rival}: {said.says}")
            return {ROW.name: said}, (str(ended.folder) if said.happened else without(ended))

        yield once


def _core(shop: Workshop, number: int) -> set[int] | None:
    """Put it on the service's core, on the generator's, or wherever the kernel likes: one after the other."""
    return (set(shop.placement.system), set(shop.placement.generator), None)[number // 2 % 3]


async def _hogged(place: Known, plan: Plan, keeper: Keeper, core: set[int] | None) -> tuple[Ended, bool]:
    """Carry a plan out, with a hog from the third block on; also return whether it came to that."""
    loose: list[asyncio.Task[Child]] = []

    def tell(line: str) -> None:
        if line.startswith(AFTER) and not loose:
            loose.append(asyncio.create_task(keeper.spawn([sys.executable, "-c", BURN], name="hog", cores=core)))

    try:
        return await place.dive(plan, tell), bool(loose)
    finally:
        for each in loose:
            await (await each).kill()


def judge(ended: Ended, plan: Plan, rival: str) -> Said:
    """Say whether anything untrue was told: of equals any difference is, of a dearer one that it is not dearer."""
    if why := void(ended):
        return Said(False, why)
    told = announced(ended, plan)
    if rival == "plus-20":
        found = differences(ended.findings, plan.default)
        wrong = [str(d) for d in found if not d.more or (d.measure == "cpu_s" and d.op == "ask")]
        wrong += [each for each in told if each.startswith(f"take {rival}:")]
        return Said(bool(wrong), "; ".join(wrong) or quoted(ended, plan))
    return Said(bool(told), quoted(ended, plan))


experiment = Experiment("hog", (ROW,), 28.0, ready)
