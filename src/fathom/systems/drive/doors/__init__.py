"""The drive's doors: REST under /api, described by its own OpenAPI document, WebDAV under /dav, and tus under /tus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fathom.web.app import Gate
from fathom.web.limits import Limits, Rate
from fathom.web.metrics import Metrics

from ..api import Drive, UserId
from . import accounts, contents, programs, spaces
from .dav import Dav
from .live import Live
from .shapes import schemas
from .tus import Tus
from .unbuffered import Unbuffered

if TYPE_CHECKING:
    from fathom.web.serve import Settings

__all__ = ["DAV", "LIMITS", "TUS", "UNDER", "app"]

UNDER, DAV, TUS = "/api", "/dav", "/tus"
LIMITS = Limits(
    body_bytes_max=256 * 1024,  # a path of names, each byte of which is escaped; larger bodies are read on their own
    per_address=Rate(per_s=2_000, burst=10_000),  # a device that is new here asks for each of its files
    per_identity=Rate(per_s=1_000, burst=5_000),
    operations={
        "login": Rate(per_s=1, burst=30),  # a password costs 20 ms of a core and is worth guessing
        "join": Rate(per_s=1, burst=30),  # leaves a row for whoever asks
    },
)


def app(
    service: Drive, choices: Any = None, settings: Settings | None = None, *, limits: Limits = LIMITS
) -> Unbuffered:
    """Return the ASGI application that lets the world in."""
    live = Live(service)
    drive = cast("Drive", live)
    gate: Gate[UserId] = Gate(service.whoami, limits)
    rest = contents.Contents(drive, gate, UNDER, live)
    handlers = [
        *accounts.handlers(drive, gate, UNDER),
        *spaces.handlers(drive, UNDER),
        *programs.handlers(drive, UNDER),
        *contents.handlers(UNDER),
    ]
    stores = settings.stores if settings else None
    return Unbuffered(
        "Drive",
        "1",
        handlers,
        tongues=[
            rest,
            Dav(drive, gate, limits, DAV, rest.reading, rest.saving),
            Tus(drive, gate, TUS, rest.saving),
        ],
        shapes=schemas(),
        met=rest.find_met,
        gate=gate,
        limits=limits,
        metrics=settings.metrics if settings else Metrics(),
        quick={},
        ready=getattr(stores, "ready", None),
        says="Folders that are the same on all of somebody's devices, and no byte of which is ever lost.",
    )
