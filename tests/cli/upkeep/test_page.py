"""The page of a demo has an end that is heard of, and a beginning that says why there is none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.cli.upkeep.demo import shown
from fathom.engines.keeper import Keeper
from fathom.errors import FathomError
from fathom.web.listen import Listen
from tests.studio.conftest import Town

pytestmark = pytest.mark.slow
WITHIN_S = 30.0


async def test_a_page_that_ends_is_missed(tmp_path: Path):
    town, living = Town(), SimpleNamespace(tasks=[])
    async with Keeper.open() as keeper, town.orders.taken(tmp_path), asyncio.timeout(WITHIN_S):
        upkeep: Any = SimpleNamespace(keeper=keeper, orders=town.orders)
        async with shown(upkeep, living, Listen()):  # pyright: ignore[reportArgumentType]
            (task,) = living.tasks
            assert not task.done()
            for watcher in list(town.orders._watchers):
                watcher.close()
            with pytest.raises(FathomError, match="page does not do what it should"):
                await task


async def test_a_page_of_what_cannot_be_watched_says_why(tmp_path: Path):
    town, living = Town(), SimpleNamespace(tasks=[])
    town.orders.control = str(tmp_path / "nothing")
    async with Keeper.open() as keeper, asyncio.timeout(WITHIN_S):
        upkeep: Any = SimpleNamespace(keeper=keeper, orders=town.orders)
        with pytest.raises(FathomError, match="the system cannot be reached"):
            async with shown(upkeep, living, Listen()):  # pyright: ignore[reportArgumentType]
                pass
    await asyncio.sleep(0)
    assert not living.tasks
