"""A timeline at its own door, for programs that nobody here wrote: it asks them to wait for nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.timeline import service
from fathom.systems.timeline.doors import LIMITS, app
from fathom.systems.timeline.stores import Stores
from fathom.web.choices import Choices
from fathom.web.limits import Limits
from fathom.web.listen import Listen
from fathom.web.metrics import Metrics
from fathom.web.serve import Settings
from fathom.web.server import listening

__all__ = ["timeline_at"]


@asynccontextmanager
async def timeline_at(port: int = 0, *, seed: int = 0) -> AsyncIterator[tuple[str, Any, Stores]]:
    """Serve an empty timeline on engines of its own; yield its URL, itself, and its stores."""
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper) as truth,
        Redis.start(keeper) as cache,
        Nats.start(keeper) as queue,
        Objects.start(keeper) as files,
        truth.connected(),
        cache.connected(),
        queue.connected(),
        files.connected(),
    ):
        stores = Stores(truth, cache, queue, files)
        await stores.migrate()
        choices = Choices(find("timeline"), stores)
        async with service.open(stores, choices) as timeline:
            listen = Listen(port=port)
            settings = Settings(listen=listen, metrics=Metrics(), stores=stores, seed=seed, data=None)
            unhurried = Limits(body_bytes_max=LIMITS.body_bytes_max, per_address=None, per_identity=None)
            async with listening(app(timeline, choices, settings, limits=unhurried), listen) as url:
                yield url, timeline, stores
