"""Witnesses turn a law's lamp red when it is broken, with the operations that prove it; and not before."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.cli.upkeep import witnesses as rooms
from fathom.cli.upkeep.witnesses import Witnesses
from fathom.history import laws_of
from fathom.systems.timeline import laws
from fathom.systems.timeline.api import Page, Slice, Timeline, UserId
from fathom.systems.timeline.demo import Cohort, Demo
from fathom.systems.timeline.model import TimelineModel
from fathom.web.control import Lamp

WITHIN_S = 20.0
LOST = "no_acknowledged_post_is_lost"
# Witnesses block, mute and boost nobody and nothing, read no notices, look at their homes only, and send no pictures.
UNTRIED = {
    "a_home_shows_a_boosted_post_once",
    "a_notice_is_given_once",
    "a_sampled_home_has_its_share",
    "a_walk_meets_once_what_was_there",
    "likes_are_counted_in_time",
    "no_attached_file_is_lost",
    "no_post_waits_for_the_rest_of_others",
    "nothing_from_the_blocked",
    "nothing_from_the_muted",
    "what_trends_is_as_fresh_as_promised",
    "what_trends_is_made_by_few_at_once",
    "who_walks_up_passes_over_nothing",
}


class Forgets(TimelineModel):
    """A timeline that shows everybody all but the first post of each author."""

    async def home(self, reader: UserId, page: Page) -> Slice:
        seen = await super().home(reader, page)
        first = {self._written[id].author: id for id in sorted(self._written, reverse=True)}
        return Slice(
            posts=[post for post in seen.posts if first[post.author] != post.id], older=seen.older, newer=seen.newer
        )


class Stuck(TimelineModel):
    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Semaphore(0)

    async def settled(self) -> None:
        self.asked.release()
        raise TimeoutError


def witnesses(model: TimelineModel, monkeypatch: pytest.MonkeyPatch) -> tuple[Witnesses, list[tuple[str, str]]]:
    """Return witnesses who live quickly, and what they have told."""
    monkeypatch.setattr(rooms, "PACE_S", 0.002)
    monkeypatch.setattr(rooms, "JUDGE_S", 0.05)

    async def settled(within_s: float) -> None:
        await model.settled()

    served: Any = SimpleNamespace(
        system=SimpleNamespace(protocol=Timeline), client=lambda: contextlib.nullcontext(model), settled=settled
    )
    told: list[tuple[str, str]] = []
    return Witnesses(Demo(1), served, laws_of(laws), 1, lambda what, kind: told.append((what, kind))), told


@contextlib.asynccontextmanager
async def watched(
    model: TimelineModel, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Witnesses, list[tuple[str, str]]]]:
    """Let witnesses live quickly in a timeline."""
    it, told = witnesses(model, monkeypatch)
    watching = asyncio.create_task(it.watching())
    try:
        yield it, told
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def until(it: Witnesses, law: str, state: str) -> Lamp:
    async with asyncio.timeout(WITHIN_S):
        while True:
            lamp = next(lamp for lamp in it.lamps if lamp.law == law)
            if lamp.state == state:
                return lamp
            await asyncio.sleep(0.005)


@pytest.mark.slow
async def test_all_lamps_that_can_be_tried_are_green_where_nothing_is_broken(monkeypatch: pytest.MonkeyPatch):
    async with watched(TimelineModel(), monkeypatch) as (it, told):
        for law in laws_of(laws).keys() - UNTRIED:
            assert (await until(it, law, "kept")).tried
        assert not told and it.judged_at is not None


@pytest.mark.slow
async def test_a_lost_post_turns_its_lamp_red_and_the_operations_prove_it(monkeypatch: pytest.MonkeyPatch):
    async with watched(Forgets(), monkeypatch) as (it, told):
        lamp = await until(it, LOST, "broken")
        assert told[0][1] == "law"
    proof = lamp.proofs[0]
    assert "was acknowledged" in proof.says
    assert any("posted 'witnessed" in step for step in proof.steps)
    assert any("when all had settled" in step and "did not show" in step for step in proof.steps)


async def test_a_red_lamp_stays_red_for_a_while(monkeypatch: pytest.MonkeyPatch):
    model = Forgets()
    async with watched(model, monkeypatch) as (it, told):
        await until(it, LOST, "broken")
        model.__class__ = TimelineModel
        judged = it.judged_at
        async with asyncio.timeout(WITHIN_S):
            while it.judged_at == judged:  # noqa: ASYNC110 (its lamp stays as it was)
                await asyncio.sleep(0.01)
        assert (await until(it, LOST, "broken")).proofs
        assert len([what for what, _ in told if "lost" in what]) == 1, "it is told once"


async def test_nothing_is_judged_before_it_has_settled(monkeypatch: pytest.MonkeyPatch):
    stuck = Stuck()
    async with watched(stuck, monkeypatch) as (it, _), asyncio.timeout(WITHIN_S):
        for _ in range(3):
            await stuck.asked.acquire()
        assert {lamp.state for lamp in it.lamps} == {"waiting"} and it.judged_at is None


async def test_a_witness_that_breaks_is_heard(monkeypatch: pytest.MonkeyPatch):
    async def act(self: Any, client: Any, who: Any, dice: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Cohort, "act", act)
    it, _ = witnesses(TimelineModel(), monkeypatch)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(WITHIN_S):
            await it.watching()
