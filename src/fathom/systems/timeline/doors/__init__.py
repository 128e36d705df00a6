"""The timeline's public door: REST under /api/v1, described by its own OpenAPI document, and the Mastodon API."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fathom.web.app import Door, Gate, api
from fathom.web.limits import Limits, Rate

from ..api import Timeline, UserId
from . import accounts, follows, home, posts
from .mastodon import mastodon

if TYPE_CHECKING:
    from fathom.web.serve import Settings

    from ..stores.outbox import Entry

__all__ = ["LIMITS", "UNDER", "app"]

UNDER = "/api/v1"
LIMITS = Limits(
    body_bytes_max=16 * 1024,  # 500 characters, each an escaped pair of surrogates, are 6 kB
    operations={
        # A password costs 20 ms of a core and is worth guessing, whichever way it is tried.
        ("login", "mastodon POST oauth token", "mastodon POST oauth authorize"): Rate(per_s=1, burst=30),
        # What leaves a row for whoever asks.
        ("join", "mastodon POST accounts"): Rate(per_s=1, burst=30),
        "mastodon POST apps": Rate(per_s=1, burst=30),
        # A picture costs up to a second of a core.
        ("mastodon POST media", "mastodon POST v2 media"): Rate(per_s=1, burst=60),
    },
)


def app(service: Timeline, choices: Any = None, settings: Settings | None = None, *, limits: Limits = LIMITS) -> Door:
    """Return the ASGI application that lets the world in."""
    if settings is not None:
        _measure(settings)
    gate: Gate[UserId] = Gate(service.whoami, limits)
    rooms = (accounts, posts, follows, home)
    return api(
        "Timeline",
        "1",
        [handler for room in rooms for handler in room.handlers(service, gate, UNDER)],
        gate=gate,
        limits=limits,
        metrics=settings.metrics if settings else None,
        ready=settings.stores.ready if settings else None,
        quick=home.quick(service, gate, UNDER),
        dialect=mastodon(service, limits),
        says="A social timeline: posts, follows, and a home that shows each follower each post once, newest first.",
    )


def _measure(settings: Settings) -> None:
    """Tell whoever runs it how far homes lag behind what was written, and whether they come from Redis."""
    stores = settings.stores
    pending: dict[int, Entry] = stores.outbox.pending

    def oldest_s() -> float:
        first = next(iter(pending.values()), None)
        return 0.0 if first is None else max(0.0, time.time() - first.at_ms / 1000)

    metrics = settings.metrics
    metrics.gauge(
        "timeline_pending", "Changes that are kept, and have not yet taken effect everywhere.", lambda: len(pending)
    )
    metrics.gauge("timeline_pending_oldest_seconds", "How long the oldest of them has waited.", oldest_s)
    metrics.gauge(
        "timeline_homes_from_redis",
        "1 while homes come from Redis, 0 while from the truth.",
        lambda: int(stores.memory.open),
    )
