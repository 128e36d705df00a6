"""A keeper of its own for every test, and what a test may say about processes and ports."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from fathom.engines.broker import Broker
from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats, OwnNats


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    async with Keeper.open() as keeper:
        yield keeper
    assert not keeper.folder.exists(), "the keeper left its folder"
    assert not keeper.data.exists(), "the keeper left its data"


@pytest.fixture
def spaced(tmp_path: Path) -> Path:
    """A folder whose path has a blank in it."""
    path = tmp_path / "a folder"
    path.mkdir()
    return path


@pytest.fixture
def core() -> int:
    """A core that this process may use."""
    return min(os.sched_getaffinity(0))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nats() -> AsyncIterator[OwnNats]:
    """A NATS for all tests of a file."""
    async with Keeper.open() as keeper, Nats.start(keeper) as nats:
        yield nats


@pytest_asyncio.fixture(loop_scope="module")
async def broker(nats: OwnNats) -> AsyncIterator[Broker]:
    """The client of an empty NATS with a stream."""
    await nats.restart(wiped=True)
    async with nats.connected(deadline_s=5.0) as broker:
        await broker.stream("work", ["work.>"])
        yield broker
