"""The shop's door: REST under /api/v1, described by its own OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fathom.web.app import Door, Gate, api
from fathom.web.limits import Limits, Rate

from ..api import PICTURE_BYTES_MAX, Shop, UserId
from . import accounts, goods, orders, pictures, seats, staff
from .page import Storefront

if TYPE_CHECKING:
    from fathom.web.serve import Settings

__all__ = ["LIMITS", "UNDER", "app"]

UNDER = "/api/v1"
LIMITS = Limits(
    body_bytes_max=PICTURE_BYTES_MAX * 4 // 3 + 4_096,
    operations={
        ("login", "page POST enter"): Rate(per_s=1, burst=30),  # a password costs 20 ms of a core and is worth guessing
        "join": Rate(per_s=1, burst=30),  # leaves a row for whoever asks
    },
)


def app(service: Shop, choices: Any = None, settings: Settings | None = None, *, limits: Limits = LIMITS) -> Door:
    """Return the ASGI application that lets the world in."""
    gate: Gate[UserId] = Gate(service.whoami, limits)
    return api(
        "Shop",
        "1",
        [
            *accounts.handlers(service, gate, UNDER),
            *(handler for room in (goods, orders, seats, pictures, staff) for handler in room.handlers(service, UNDER)),
        ],
        gate=gate,
        limits=limits,
        metrics=settings.metrics if settings else None,
        dialect=Storefront(service, gate),
        ready=settings.stores.ready if settings else None,
        says="A catalogue, a stock that is never sold twice, orders, payments and seats.",
    )
