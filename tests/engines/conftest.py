"""A keeper of its own for every test, and what a test may say about processes and ports."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fathom.engines.keeper import Keeper


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
