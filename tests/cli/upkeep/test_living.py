"""What is shown of a demo is how it is now: what is not told is not shown as it was before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.cli.place import Place
from fathom.cli.upkeep import living as rooms
from fathom.cli.upkeep.living import Living
from fathom.cli.upkeep.up import Upkeep
from fathom.design import Choice
from fathom.errors import FathomError
from fathom.systems import find
from fathom.web.control import SERVICE

WITHIN_S = 5.0


class Served:
    """A service that tells of ever more requests."""

    def __init__(self) -> None:
        self.seen = 0
        self.asked = 0
        self.silent = False
        self.chosen = {name: Choice(question.base.default) for name, question in find("timeline").decisions.items()}

    async def metrics(self) -> str:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        self.seen += 1_000
        return f'http_requests_total{{operation="home"}} {self.seen}\ntimeline_pending 7\n'

    async def choices(self) -> dict[str, Choice]:
        return self.chosen

    async def switch(self, decision: str, choice: Choice) -> float:
        self.chosen[decision] = choice
        return 0.1


class Stage:
    """A living demo in which nobody acts, and whether somebody measures beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.measured = False
        self.service = SimpleNamespace(
            name=SERVICE, state="up", alive=True, body=SimpleNamespace(processes=lambda: (1,))
        )
        self.served = Served()
        upkeep: Any = SimpleNamespace(
            system=find("timeline"), served=self.served, parts=SimpleNamespace(by_name={SERVICE: self.service})
        )
        self.crowd: Any = SimpleNamespace(pause=self._pause)
        self.it = Living(upkeep, self.crowd, SimpleNamespace())  # pyright: ignore[reportArgumentType]
        self.paused = ""
        monkeypatch.setattr(rooms, "is_measured", lambda: self.measured)
        monkeypatch.setattr(rooms, "cpu_s", lambda pid: 1.0)

    def _pause(self, why: str) -> None:
        self.paused = why

    async def look(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            await self.it.look()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(rooms, "TELL_S", 0.01)
    return Stage(monkeypatch)


@pytest.mark.parametrize("why", ["it does not answer", "it is paused", "a dive measures"])
async def test_a_rate_of_before_is_not_shown_as_one_of_now(stage: Stage, why: str):
    for _ in range(2):
        await stage.look()
    assert stage.it._reading.door_per_s > 0
    stage.served.silent = why == "it does not answer"
    stage.service.state = "paused" if why == "it is paused" else "up"
    stage.measured = why == "a dive measures"
    asked = stage.served.asked
    for _ in range(2):
        await stage.look()
    reading = stage.it._reading
    assert reading.door_per_s == 0 and [it.name for it in reading.stocks] == ["pending"]
    if why == "it is paused":
        assert stage.served.asked == asked, "what cannot answer is not waited for"
    if why == "a dive measures":
        assert not stage.it._used


async def test_a_demo_that_begins_during_a_dive_has_its_switches(stage: Stage):
    stage.measured = True
    await stage.look()
    assert stage.paused and {it.name for it in stage.it._questions} == set(find("timeline").decisions)
    await stage.look()
    assert stage.served.asked == 1, "it is asked once and then left alone"


async def test_a_switch_during_a_dive_is_shown(stage: Stage, tmp_path: Path):
    stage.measured = True
    for _ in range(2):
        await stage.look()
    served: Any = stage.served
    upkeep = Upkeep(find("timeline"), Place(tmp_path), SimpleNamespace(), served, {}, {}, {})  # pyright: ignore[reportArgumentType]
    upkeep.living = stage.it
    await upkeep._switch("fanout", Choice("on-read"))
    assert stage.paused and [it.serving for it in stage.it._questions if it.name == "fanout"] == ["on-read"]


async def test_another_look_is_no_measurement(stage: Stage):
    await stage.look()
    stage.measured = True
    await stage.look()
    assert not stage.paused, "another demo may just have looked too"
    await stage.look()
    assert stage.paused


async def test_what_breaks_in_a_demo_is_told_as_its_own(stage: Stage):
    demo = find("timeline").room("demo").Demo(7)
    stage.it.tasks.append(await ended(demo.settle(None, None)))
    with pytest.raises(FathomError) as told:
        await stage.look()
    assert told.value.what == "the demo of timeline broke" and told.value.why.startswith("AttributeError")


async def test_what_breaks_beside_the_demo_is_not_told_as_the_demos(stage: Stage):
    async def breaks() -> None:
        raise ZeroDivisionError

    stage.it.tasks.append(await ended(breaks()))
    with pytest.raises(ZeroDivisionError):
        await stage.look()


async def ended(work: Any) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    await asyncio.wait([task])
    return task
