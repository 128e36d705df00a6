"""The shop on its engines: a call comes in, the truth is changed or read, an answer goes out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fathom.web.auth import Passwords

from ..model.numbers import Numbers
from ..stores import Stores
from .accounts import Accounts
from .images import Images
from .rules import Rules
from .seats import Seats
from .upkeep import Upkeep

__all__ = ["Rules", "Service", "open"]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Service(Upkeep, Seats, Images, Accounts):
    """The shop."""


@asynccontextmanager
async def open(
    stores: Stores,
    choices: Any,
    *,
    clock: Callable[[], int] = now_ms,
    passwords: Passwords | None = None,
    rules: Rules | None = None,
) -> AsyncIterator[Service]:
    """Serve the shop for the length of a block. `choices` has what serves each decision, asked at each call.

    `clock` (Unix milliseconds) can be given, so that the model mints the same ids; it decides nothing: when a hold is
    over is for the clock of the database to say.
    """
    async with AsyncExitStack() as stack:
        keep = passwords or Passwords()
        stack.callback(keep.close)
        last = max(await stores.accounts.last_id(), await stores.catalogue.last_id())
        numbers = Numbers(clock, after=last, after_orders=await stores.orders.last_id())
        service = Service(stores, choices, clock, numbers, keep, rules or Rules())
        for decision in (choices.stock, choices.cache, choices.transaction, choices.delivery, choices.broker):
            await decision.begin()
        stack.push_async_callback(lambda: choices.cache.end())
        await stack.enter_async_context(service._working())
        await stack.enter_async_context(service._looking_after())
        yield service
