"""One thing at a time is done to a part: what was for one harm does nothing to the next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fathom.cli.upkeep.parts import Parts
from fathom.engines.engine import Killable
from fathom.errors import FathomError
from fathom.web.control import SERVICE

WITHIN_S = 5.0
LONG_S = 500.0


class Frail(Killable):
    """A service that dies as slowly as the test wants, and may not come back."""

    def __init__(self) -> None:
        self.alive = True
        self.may_die, self.dying = asyncio.Event(), asyncio.Event()
        self.may_return = True

    async def kill(self) -> None:
        self.dying.set()
        await self.may_die.wait()
        self.alive = False

    async def restart(self, *, wiped: bool = False) -> None:
        if not self.may_return:
            raise FathomError("it does not start", why="the test says so", fix="none")
        self.alive = True


async def test_a_heal_that_comes_during_a_harm_leaves_nothing_for_the_next_one():
    frail: Any = Frail()
    parts = Parts(frail, {})
    async with asyncio.timeout(WITHIN_S), parts.kept():
        harming = asyncio.create_task(parts.harm(SERVICE, "kill", LONG_S))
        await frail.dying.wait()
        healing = asyncio.create_task(parts.heal(SERVICE))
        await asyncio.sleep(0)
        frail.may_die.set()
        await asyncio.gather(harming, healing)
        part = parts.by_name[SERVICE]
        assert (part.state, part.healing, part.heals_at) == ("up", None, None)


async def test_what_was_to_heal_one_harm_does_not_heal_the_next_one_however_late_it_has_its_turn():
    """The heal by hand comes before it, and so does the next harm; those that are refused keep the turn meanwhile."""
    frail: Any = Frail()
    parts = Parts(frail, {})
    async with asyncio.timeout(WITHIN_S), parts.kept():
        soon = asyncio.create_task(parts.harm(SERVICE, "kill", 1e-9))
        await frail.dying.wait()
        refused = [asyncio.create_task(parts.harm(SERVICE, "kill", None)) for _ in range(5)]
        healing = asyncio.create_task(parts.heal(SERVICE))
        harming = asyncio.create_task(parts.harm(SERVICE, "kill", LONG_S))
        await asyncio.sleep(0)
        frail.may_die.set()
        await asyncio.gather(soon, *refused, healing, harming, return_exceptions=True)
        part = parts.by_name[SERVICE]
        async with part.turn:  # after whoever still waits for it
            assert part.state == "down" and part.healing is not None and part.heals_at is not None


async def test_what_cannot_be_healed_is_told_and_promises_no_more():
    frail: Any = Frail()
    frail.may_die.set()
    frail.may_return = False
    failed = asyncio.Event()
    parts = Parts(frail, {}, told=lambda what, kind: failed.set() if "could not be healed" in what else None)
    async with asyncio.timeout(WITHIN_S), parts.kept():
        await parts.harm(SERVICE, "kill", 0.001)
        await failed.wait()
        part = parts.by_name[SERVICE]
        assert (part.state, part.heals_at) == ("down", None)
        with pytest.raises(FathomError, match="does not start"):
            await parts.heal(SERVICE)
        frail.may_return = True
        await parts.heal(SERVICE)
        assert part.state == "up"
