"""The real timeline with one thing planted at a time: the lab has to name the operation and the resource."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fathom.cli.trust.experiment import Experiment, Once, Row, Said, Wants, Workshop
from fathom.cli.trust.known import HERE, PACE, Known, drawn, maker, void, without
from fathom.design import System
from fathom.engines.keeper import Keeper
from fathom.lab.differences import differences
from fathom.lab.run import Ended
from fathom.lab.runs import Finding
from fathom.systems import find

DEFAULT = "on-write"
FANS = 40  # as many as the dive has: a message to each
MORE_CPU = 0.2
PARTS_S = {"set-up": 60.0, "census": 20.0, "duel": 45.0, "record": 4.0}
BUDGET_S = 240.0


@dataclasses.dataclass(frozen=True)
class Planted:
    """One thing that an approach does beside what on-write does, and where it must be found."""

    approach: str
    row: Row
    op: str
    measure: str
    more: int | None = None  # exactly so many more per operation


def _planted(approach: str, truth: str, op: str, measure: str, wants: Wants, more: int | None = None) -> Planted:
    row = Row(
        name=f"large-{approach.removeprefix('plus-')}",
        truth=f"the timeline, with {truth}",
        counts=f"named, and only {op}'s {measure}" if more is None else f"named, as {more} more {measure} per {op}",
        short=dataclasses.replace(wants, tries=1),
        full=wants,
    )
    return Planted(approach, row, op, measure, more)


PLANTED = (
    _planted("plus-query", "one more query per post", "post", "statements", Wants(8, least=1), more=1),
    _planted("plus-message", "one more message per follower", "post", "messages", Wants(8, least=1), more=FANS),
    _planted("plus-sleep", "5 ms more for every home", "home", "p50", Wants(8, least=1)),
    _planted("plus-cpu", "20 % more CPU per home", "home", "cpu_s", Wants(8, least=0.5)),
)
ROWS = tuple(each.row for each in PLANTED)


def copied(folder: Path) -> System:
    """Lay what is planted over a copy of the timeline, and return that: the product has none of it."""
    place = folder / "timeline"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(find("timeline").folder, place, ignore=ignored)
    shutil.rmtree(place / "dives")
    shutil.copytree(HERE / "planted", place, ignore=ignored, dirs_exist_ok=True)
    return System.at(place)


@asynccontextmanager
async def ready(shop: Workshop) -> AsyncIterator[Once]:
    async with Keeper.open() as keeper:
        system = copied(keeper.folder)
        known = Known(maker(keeper, system, "fanout"), shop)

        async def once(number: int, seed: int) -> tuple[dict[str, Said], str | None]:
            alone = await _dive(known, system, [DEFAULT], seed, race=False)
            home = next((f for f in alone.findings if (f.how, f.op, f.measure) == ("cpu", "home", "cpu_s")), None)
            without(alone)
            if void(alone) or home is None or home.value is None:
                return experiment.void(void(alone) or "what a home costs was not told"), None
            more = {"more_us": f"{1e6 * home.value * MORE_CPU:.1f}"}
            ended = await _dive(known, system, [DEFAULT, *(each.approach for each in PLANTED)], seed, settings=more)
            if why := void(ended):
                return experiment.void(why), without(ended)
            said = {each.row.name: judge(each, ended.findings) for each in PLANTED}
            return said, (without(ended) if all(it.happened for it in said.values()) else str(ended.folder))

        yield once


async def _dive(
    known: Known,
    system: System,
    only: Sequence[str],
    seed: int,
    *,
    race: bool = True,
    settings: dict[str, str] | None = None,
) -> Ended:
    plan = drawn(system, "town", only, known.shop, seed, row="large", race=race, budget_s=BUDGET_S, settings=settings)
    parts = {name: seconds for name, seconds in PARTS_S.items() if race or name != "duel"}
    return await known.dive(dataclasses.replace(plan, pace=dataclasses.replace(PACE, slice_s=0.3), parts_s=parts))


def judge(planted: Planted, found: Sequence[Finding]) -> Said:
    """Say whether the lab named what was planted; a count exactly, anything else as the only one of its kind."""
    told = [d for d in differences(found, DEFAULT) if d.approach == planted.approach]
    says = "; ".join(map(str, told)) or "nothing was named"
    named = [d for d in told if (d.op, d.measure) == (planted.op, planted.measure) and d.more]
    counted = {(d.op, d.measure) for d in told if d.exact and d.measure != "bytes"}
    if planted.more is not None:
        more = _more(planted, found)
        happened = bool(named) and more == planted.more and counted == {(planted.op, planted.measure)}
        return Said(happened, f"{'no' if more is None else f'{more:+g}'} {planted.measure} per {planted.op}: {says}")
    others = {d.op for d in told if d.measure == planted.measure} - {planted.op, "mix"}
    return Said(bool(named) and not counted and not others, says)


def _more(planted: Planted, found: Sequence[Finding]) -> float | None:
    """Return how many more an operation takes than the default's, where both are exact."""
    counts = {
        f.approach: f.value
        for f in found
        if (f.how, f.part, f.op, f.measure) == ("count", "census", planted.op, planted.measure) and f.exact
    }
    mine, theirs = counts.get(planted.approach), counts.get(DEFAULT)
    return None if mine is None or theirs is None else mine - theirs


experiment = Experiment("large", ROWS, 90.0, ready, in_short=False)
