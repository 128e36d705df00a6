"""Where the payment provider calls back: an address of the service's own, that believes only what is signed."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from fathom.errors import Refusal
from fathom.web.listen import Listen
from fathom.web.server import listening

from ..api import Callback, Money
from ..stores.provider import Event, signed

__all__ = ["callback_of", "ear", "hearing"]

log = logging.getLogger("fathom.shop")

BODY_BYTES_MAX = 64 * 1024
STATES = {"charge.succeeded": "charged", "charge.declined": "declined", "charge.refunded": "refunded"}

Hear = Callable[[Callback], Awaitable[None]]


def callback_of(body: bytes) -> Callback | None:
    """Return what an event says of an attempt; None: nothing that changes it, as that part of it went back.

    Raises msgspec.MsgspecError for what is no event.
    """
    event = msgspec.json.decode(body, type=Event)
    charge = event.charge
    if event.kind == "charge.refunded" and charge.refunded < charge.minor:
        return None
    return Callback(
        reference=charge.key,
        state=STATES[event.kind],  # pyright: ignore[reportArgumentType]
        amount=Money(charge.minor, charge.currency),
    )


def ear(hear: Hear, key: str) -> Any:
    """Return the ASGI application that hears the provider whose key this is.

    204: it is heard, and what it says has taken effect or need not. 400: nobody knows who says it. 503: say it again.
    """

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more and len(body) <= BODY_BYTES_MAX:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        header = dict(scope["headers"]).get(b"fathom-signature", b"").decode("latin-1")
        status = await _heard(hear, body) if signed(key, body, header, time.time()) else 400
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return app


async def _heard(hear: Hear, body: bytes) -> int:
    try:
        callback = callback_of(body)
        if callback is not None:
            await hear(callback)
    except msgspec.MsgspecError as unfit:
        log.error("the provider signed what cannot be read: %s", unfit)
        return 400
    except Refusal as refusal:
        # What contradicts what is known here is not heard better for being said again.
        return 503 if refusal.code == "unavailable" else 204
    except TimeoutError:
        return 503
    return 204


@asynccontextmanager
async def hearing(hear: Hear, key: str) -> AsyncIterator[str]:
    """Listen on a port of this machine for the length of a block; yields the URL to be called back at."""
    async with listening(ear(hear, key), Listen(), drain_s=1.0) as url:
        yield f"{url}/payments"
