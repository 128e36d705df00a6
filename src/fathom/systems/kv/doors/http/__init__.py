"""HTTP: keys as addresses, versions as entity tags, and contexts in a header, as JSON.

    async with http.opened(store, port=8000, token="…") as url: …

`GET /kv/cart` tells all values of a key in base64, with `etag` where it has a version and `kv-context` where it has
siblings. `PUT` and `DELETE` bring one of them back: `if-match` for a key that changes in one step, `kv-context` for
siblings. The key is the rest of the path, percent-encoded: any bytes. `POST /changes/cart` makes every change there is.
The token is asked for on every route, in the header `fathom-token`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fathom.web.app import api
from fathom.web.limits import Limits, Rate
from fathom.web.listen import App, Listen, Tls
from fathom.web.server import listening

from ...api import VALUE_BYTES_MAX
from .local import Local, Served
from .routes import UNDER, handlers

if TYPE_CHECKING:
    from ..resp import Store

__all__ = ["LIMITS", "app", "opened"]

LIMITS = Limits(
    body_bytes_max=VALUE_BYTES_MAX * 4 // 3 + 4_096,  # a value in base64, and what is around it
    per_address=Rate(per_s=5_000, burst=10_000),  # a program asks more often than a person
)


def app(service: Served, choices: Any = None, settings: Any = None, *, limits: Limits = LIMITS) -> App:
    """Return the ASGI application that serves the store, or one node of it, over HTTP."""
    door = api(
        "kv",
        "1",
        handlers(service),
        limits=limits,
        metrics=settings.metrics if settings is not None else None,
        says="A replicated key-value store: what it acknowledged it keeps, and what it cannot promise it says.",
    )

    async def keyed(scope: Any, receive: Any, send: Any) -> None:
        """Find the route without the key, whose bytes may look like part of an address; the raw path keeps them."""
        if scope["type"] == "http":
            for under in UNDER:
                if scope.get("raw_path", b"").startswith(under.encode()):
                    scope = {**scope, "path": f"{under}key"}
        await door(scope, receive, send)

    return keyed


@asynccontextmanager
async def opened(
    store: Store,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    tls: Tls | None = None,
    limits: Limits = LIMITS,
) -> AsyncIterator[str]:
    """Open the door of a node to HTTP; yields its URL. Raises FathomError: elsewhere than on loopback it needs TLS and
    a token."""
    listen = Listen(host=host, port=port, tls=tls, token=token)
    async with listening(app(Local(store), limits=limits), listen) as url:
        yield url
