"""Each dive in short, on few people and a service in this process: its laws tell the controls from what is right.

What it costs, and what becomes of it under faults, is asked by the dives at length (`make long`).
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from fathom.design import Choice
from fathom.history import History, laws_of
from fathom.lab.body import Contender, Recorder
from fathom.lab.dive import Turn, decision_of, read
from fathom.systems.timeline.api import Timeline

from .brief import TIMELINE
from .world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.slow]

LAWS = laws_of(TIMELINE.room("laws"))


class Short(NamedTuple):
    """A dive as it is asked here: its people and posts, how many turns at once, and what the approaches are told."""

    name: str
    point: int
    constants: dict[str, int]
    at_once: int = 4
    knobs: dict[str, Any] = {}  # noqa: RUF012 - never changed


IDS = Short("ids", 5_000, {"LASTS_MS": 120})
PAGING = Short(
    "paging", 30, {"AUTHORS": 6, "READERS": 4, "MORE": 30, "JUDGED": 60, "WALK_PAGES": 6, "WALK_POSTS": 4}, 6
)
RANKING = Short("ranking", 8, {"READERS": 4, "AUTHORS": 8, "FOLLOWED": 4, "POSTS": 120})
SOME_STARS = {"AUTHORS": 6, "FANS": 4, "CROWDED": 3, "STAR_FANS": 300}
CELEBRITIES = Short("celebrities", 30, SOME_STARS, knobs={"chunk": 10, "limit": 15})
LIKES = Short("counters", 20, {"CROWD": 64, "READERS": 4, "POSTS": 5})
RUSH = Short("stampede", 24, {"READERS": 60, "AUTHORS": 10, "POSTS": 400, "LIKED": 40}, 60)

RIGHT = [
    (IDS, "snowflake"),
    (PAGING, "keyset"),
    (RANKING, "chronological"),
    (RANKING, "personal"),
    (CELEBRITIES, "lossy"),
    (LIKES, "row-lock"),
    (RUSH, "lease"),
]
WRONG = [
    (IDS, "sequence"),
    (IDS, "time-random"),
    (PAGING, "offset"),
    (PAGING, "time-cursor"),
    (CELEBRITIES, "fifo"),
    (LIKES, "read-then-write"),
    (RUSH, "none"),
]


async def dived(world: World, short: Short, answer: str) -> History:
    """Lay out a dive's data, have its operations asked several at once, then have all look; return what was seen."""
    kind = read(TIMELINE, short.name)
    question = decision_of(TIMELINE, kind)
    known = question.approach(answer).knobs()
    choice = Choice(answer, {knob: value for knob, value in short.knobs.items() if knob in known})
    with pytest.MonkeyPatch.context() as patch:
        for constant, value in short.constants.items():
            assert value < getattr(sys.modules[kind.__module__], constant), "in short it is less of all"
            patch.setattr(sys.modules[kind.__module__], constant, value)
        dive: Any = kind()
        beside = replace(world.stores)
        approach = question.build(choice, beside)
        swept: dict[str, Any] = {kind.swept or "": (short.point,)}
        await dive.prepare(beside, approach, **swept)
        if kind.without_load():
            _, history = await dive.trial(approach, Turn("7", 0, kind.swept, short.point))
            return history
        how: dict[str, Any] = {"approach": answer} if question.name == "fanout" else {question.name: answer}
        knobs = {"knobs" if question.name == "fanout" else "turned": choice.knobs}
        async with world.open(**how, **knobs) as timeline:
            body: Any = SimpleNamespace()
            contender = Contender(answer, answer, body, dive, timeline, Recorder(Timeline))

            async def turn(op: Any, number: int) -> None:
                asked = Turn(f"7/{op.name}", number, kind.swept, short.point)
                said = await contender.ask(op, asked, f"{op.name}/{number}")
                for probe in (probe for probe in kind.probes.values() if probe.after is op):
                    async with asyncio.timeout(20):
                        while not await contender.ask(probe, asked, f"{probe.name}/{number}", said):
                            pass

            numbers = range(short.at_once)
            await asyncio.gather(*(turn(op, number) for number in numbers for op in kind.operations.values()))
            await timeline.settled()
            who = await contender.looks(short.point)
            return contender.recorder.history(dive.given(who), contender.recorder.calls)


def broken(history: History) -> set[str]:
    return {name for name, law in LAWS.items() if list(law(history))}


def named(cases: list[tuple[Short, str]]) -> list[str]:
    return [f"{short.name}-{answer}" for short, answer in cases]


@pytest.mark.parametrize(("short", "answer"), RIGHT, ids=named(RIGHT))
async def test_what_is_right_keeps_every_law_in_its_dive(world: World, short: Short, answer: str):
    assert broken(await dived(world, short, answer)) == set()


@pytest.mark.parametrize(("short", "answer"), WRONG, ids=named(WRONG))
async def test_every_control_of_a_dive_breaks_the_law_that_it_is_there_for(world: World, short: Short, answer: str):
    control: Any = decision_of(TIMELINE, read(TIMELINE, short.name)).approach(answer)
    assert control.breaks.__name__ in broken(await dived(world, short, answer))
