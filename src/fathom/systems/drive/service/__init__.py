"""The drive on its engines: a call comes in, the truth is changed or read, an answer goes out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fathom.errors import FathomError
from fathom.web.auth import Passwords

from ..stores import Stores
from .accounts import Accounts
from .collector import Collector
from .commits import Commits
from .herald import Herald, Listener
from .programs import Programs
from .reading import Reading
from .relay import Relay
from .rules import Rules
from .uploads import Uploads

__all__ = ["Collector", "Herald", "Listener", "Relay", "Rules", "Service", "open"]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Service(Commits, Uploads, Reading, Programs, Accounts):
    """The drive."""


@asynccontextmanager
async def open(
    stores: Stores,
    choices: Any,
    *,
    clock: Callable[[], int] = now_ms,
    mint: Callable[[], int] | None = None,
    passwords: Passwords | None = None,
    rules: Rules | None = None,
) -> AsyncIterator[Service]:
    """Serve the drive for the length of a block. `choices` has what serves each decision, asked at each call.

    `choices.chunking.cutting(space)` says how files are to be cut there, `choices.conflict.admits(now, known)` whether
    who knows one version may write over another. `clock` (Unix milliseconds) and `mint` (ids) can be given, so that
    the model has the same.
    """
    if not choices.sharding.serves:
        raise FathomError(
            "this drive keeps all that is one person's in one database",
            why="a commit is one transaction under the lock of its space, and there is none across databases",
            fix="leave sharding=user; what the others would cost is counted by: fathom dive drive sharding",
        )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(stores.alone())
        keep = passwords or Passwords()
        stack.callback(keep.close)
        service = Service(stores, choices, clock, mint, keep, rules or Rules())
        if mint is None:
            service._ids.pass_over(await stores.accounts.last_id())
        await stack.enter_async_context(service.collector.working())
        if service.relay is not None:
            await stack.enter_async_context(service.relay.working())
        yield service
