"""A shop at its own door, with a provider who takes the money, for a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.objects import Objects
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.shop import service
from fathom.systems.shop.doors import LIMITS, app
from fathom.systems.shop.stores import Stores
from fathom.systems.shop.stores.provider import Provider
from fathom.systems.shop.stores.truth import Truth
from fathom.web.choices import Choices
from fathom.web.limits import Limits
from fathom.web.listen import Listen
from fathom.web.metrics import Metrics
from fathom.web.serve import Settings
from fathom.web.server import listening

__all__ = ["shop_at"]


@asynccontextmanager
async def shop_at(port: int = 0) -> AsyncIterator[tuple[str, Any, Stores]]:
    """Serve an empty shop on engines of its own; yield its URL, itself, and its stores."""
    async with (
        Keeper.open() as keeper,
        Truth.start(keeper) as truth,
        Redis.start(keeper) as cache,
        Nats.start(keeper) as queue,
        Objects.start(keeper) as files,
        Provider.start(keeper) as bank,
        truth.connected(),
        cache.connected(),
        queue.connected(),
        files.connected(),
        bank.connected(),
    ):
        stores = Stores(truth, cache, queue, files, bank)  # pyright: ignore[reportArgumentType]
        await stores.migrate()
        choices = Choices(find("shop"), stores)
        async with service.open(stores, choices) as shop:
            listen = Listen(port=port)
            settings = Settings(listen=listen, metrics=Metrics(), stores=stores, seed=0, data=None)
            unhurried = Limits(body_bytes_max=LIMITS.body_bytes_max, per_address=None, per_identity=None)
            async with listening(app(shop, choices, settings, limits=unhurried), listen) as url:
                yield url, shop, stores
