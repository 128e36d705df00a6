"""The sample system, in this process and in one of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fathom.design import System
from fathom.engines.keeper import Keeper
from fathom.web.listen import Listen
from fathom.web.metrics import Metrics
from fathom.web.serve import Choices
from fathom.web.server import listening

SAMPLE = Path(__file__).parent / "sample_system"
TOKEN = {"authorization": "Bearer a-good-token"}


@pytest.fixture
def sample() -> System:
    return System.at(SAMPLE)


@pytest.fixture
def elsewhere(tmp_path: Path) -> System:
    """The same system outside the repository, at a path with a space in it."""
    folder = tmp_path / "my own systems" / "sample_system"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return System.at(folder)


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    async with Keeper.open() as keeper:
        yield keeper


class Opened(SimpleNamespace):
    """The sample system's door, open in this process: its URL, its application and its service."""

    where: str
    app: Any
    service: Any
    choices: Choices


@asynccontextmanager
async def opened(sample: System, listen: Listen | None = None) -> AsyncIterator[Opened]:
    choices = Choices(sample, None)
    listen = listen or Listen()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(sample.service.open(None, choices))
        app = sample.room("doors").app(service, choices, SimpleNamespace(metrics=Metrics()))
        where = await stack.enter_async_context(listening(app, listen, drain_s=1.0))
        yield Opened(where=where, app=app, service=service, choices=choices)


@pytest.fixture
async def door(sample: System) -> AsyncIterator[Opened]:
    async with opened(sample) as found:
        yield found
