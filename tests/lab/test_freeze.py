"""The generator stands still for a moment: what users would have waited is in the record, and the record is void."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fathom.engines.keeper import Child, Keeper
from fathom.lab import gates
from fathom.lab.load import Samples

HERE = Path(__file__).parent
RATE = 200


@pytest.fixture
async def keeper() -> AsyncIterator[Keeper]:
    async with Keeper.open() as keeper:
        yield keeper


@asynccontextmanager
async def service(keeper: Keeper) -> AsyncIterator[tuple[Child, str]]:
    path = keeper.folder / "service.sock"
    child = await keeper.spawn([sys.executable, HERE / "freeze_server.py", path], name="service")
    assert await child.first_line(10) == b"ready"
    yield child, f"unix:{path}"


async def freeze(child: Child, after_s: float, lasts_s: float) -> None:
    """Stop it for a while."""
    await asyncio.sleep(after_s)
    await child.pause()
    await asyncio.sleep(lasts_s)
    await child.resume()


@pytest.mark.slow
@pytest.mark.quiet
async def test_a_frozen_generator_still_records_all_and_voids_the_segment_by_its_lag(keeper, tmp_path):
    lasts_s, frozen_s = 3, 0.5
    file = tmp_path / "samples.csv"
    async with service(keeper) as (_, where):
        argv = [sys.executable, HERE / "freeze_generator.py", where, file, str(lasts_s)]
        generator = await keeper.spawn(argv, name="generator")
        assert await generator.first_line(10) == b"ready"
        await freeze(generator, lasts_s / 3, frozen_s)
        assert await generator.wait() == 0, generator.tail()
    samples = Samples.read_csv(file)
    assert len(samples) == RATE * lasts_s
    assert (samples.outcome == 0).all()
    assert samples.quantile("get", 0.99) > 0.7 * frozen_s * 1e9  # users would have waited, whoever's fault it was
    assert samples.overdue.sum() > 0.8 * frozen_s * RATE
    assert gates.broken(gates.arrivals(samples.lag_p99 / 1e9, {"get": samples.quantile("get", 0.5) / 1e9}))
