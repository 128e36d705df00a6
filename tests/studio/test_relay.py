"""The relay says why it has nothing to show."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fathom.cli.upkeep.orders import Orders
from fathom.errors import FathomError
from fathom.studio.relay import Relay
from fathom.web.control import State
from tests.studio.conftest import Town
from tests.web.by_hand import saying

WITHIN_S = 5.0


def silent() -> State:
    raise FathomError("town does not tell of itself", why="it is so", fix="do otherwise")


async def first(relay: Relay) -> State:
    relaying = asyncio.create_task(relay.relaying())
    try:
        async with asyncio.timeout(WITHIN_S):
            return await relay.first()
    finally:
        relaying.cancel()
        await asyncio.wait([relaying])


async def test_what_cannot_be_watched_says_why(town: Town, tmp_path: Path):
    with pytest.raises(FathomError, match="cannot be reached"):
        await first(Relay(str(tmp_path / "nothing")))
    orders = Orders(town.orders._carry, silent)
    (tmp_path / "silent").mkdir()
    async with orders.taken(tmp_path / "silent"):
        with pytest.raises(FathomError, match="does not tell of itself"):
            await first(Relay(orders.control))


async def test_a_system_that_ends_before_its_first_word_is_told_as_such(tmp_path: Path):
    async with saying(tmp_path, b"") as where:
        with pytest.raises(FathomError, match="nothing to show"):
            await first(Relay(where))
