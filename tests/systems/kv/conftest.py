"""A node with its door open, on memory, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fathom.systems.kv.doors import resp

from .memory import MemoryStore, one_node
from .wire import Wire


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = one_node()
    yield store
    store.stop()


@pytest.fixture
async def door(store: MemoryStore) -> AsyncIterator[resp.Door]:
    async with resp.opened(store) as door:
        yield door


@pytest.fixture
async def wire(door: resp.Door) -> AsyncIterator[Wire]:
    async with Wire.to(door.port) as wire:
        yield wire
