"""A timeline as Mastodon.py's own tests want to find one: on port 3000, with their people and their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fathom.systems.timeline.model.checks import OUT_OF_BAND
from fathom.systems.timeline.stores import Stores
from fathom.systems.timeline.stores.grants import hashed

from .open_door import timeline_at

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
    async with timeline_at(port) as (url, timeline, stores):
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
        [OUT_OF_BAND],
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
