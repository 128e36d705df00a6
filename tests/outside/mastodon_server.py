"""A timeline as Mastodon.py's own tests want to find one: on port 3000, with their people and their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fathom.engines.keeper import Keeper
from fathom.engines.nats import Nats
from fathom.engines.postgres import Postgres
from fathom.engines.redis import Redis
from fathom.systems import find
from fathom.systems.timeline import service
from fathom.systems.timeline.doors import LIMITS, app
from fathom.systems.timeline.stores import Stores
from fathom.systems.timeline.stores.grants import hashed
from fathom.web.choices import Choices
from fathom.web.limits import Limits
from fathom.web.listen import Listen
from fathom.web.metrics import Metrics
from fathom.web.serve import Settings
from fathom.web.server import listening

__all__ = ["PASSWORD", "mastodon_at"]

PASSWORD = "5fc638e0e53eafd9c4145b6bb852667d"
CLIENT = "__MASTODON_PY_TEST_CLIENT_ID"
SCOPES = ["read", "write", "follow", "push"]
# What tests/setup.sql of Mastodon.py puts into Mastodon's own tables: whose token is which.
TOKENS = {
    "mastodonpy_test": "__MASTODON_PY_TEST_ACCESS_TOKEN",
    "admin": "__MASTODON_PY_TEST_ACCESS_TOKEN_2",
    "mastodonpy_test_2": "__MASTODON_PY_TEST_ACCESS_TOKEN_3",
    "admin2": None,
}


@asynccontextmanager
async def mastodon_at(port: int) -> AsyncIterator[tuple[str, Any]]:
    """Serve a timeline; yield its URL and itself."""
    async with (
        Keeper.open() as keeper,
        Postgres.start(keeper) as truth,
        Redis.start(keeper) as cache,
        Nats.start(keeper) as queue,
        truth.connected(),
        cache.connected(),
        queue.connected(),
    ):
        stores = Stores(truth, cache, queue)
        await stores.migrate()
        choices = Choices(find("timeline"), stores)
        async with service.open(stores, choices) as timeline:
            listen = Listen(port=port)
            settings = Settings(listen=listen, metrics=Metrics(), stores=stores, seed=0, data=None)
            unhurried = Limits(body_bytes_max=LIMITS.body_bytes_max, per_address=None, per_identity=None)
            async with listening(app(timeline, choices, settings, limits=unhurried), listen) as url:
                await _people(timeline, stores)
                yield url, timeline


async def _people(timeline: Any, stores: Stores) -> None:
    """Let the people join who their tests know. Tokens are drawn by us, and only theirs are known beforehand."""
    db = stores.truth.client
    await db.execute(
        "INSERT INTO apps (id, secret, name, redirects, scopes, at_ms) VALUES ($1, $2, $3, $4, $5, 0)",
        CLIENT,
        hashed("__MASTODON_PY_TEST_CLIENT_SECRET"),
        "Mastodon.py test suite",
        ["urn:ietf:wg:oauth:2.0:oob"],
        SCOPES,
    )
    for name, token in TOKENS.items():
        user = await timeline.join(name, PASSWORD)
        if token is not None:
            await db.execute(
                "INSERT INTO grants (hash, app, user_id, scopes, at_ms) VALUES ($1, $2, $3, $4, 0)",
                hashed(token),
                CLIENT,
                user.id,
                SCOPES,
            )
