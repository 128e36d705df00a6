"""What every part of the service stands on: the stores, the clock, and how a change becomes seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from fathom.blocks.ids import Ids
from fathom.blocks.limiter import Limiter, Rate
from fathom.web.auth import Passwords

from ..api import PostId, UserId
from ..model.media import Rules
from ..stores import Stores
from ..stores.outbox import Entry
from .counting import Counting
from .delivery import Courier
from .herald import Herald
from .housekeeping import Housekeeper
from .mending import Mender
from .workshop import Workshop

__all__ = ["Base"]

# Wrong passwords for one name, from however many addresses (the door holds each address to a rate of its own). Who
# guesses on can keep its owner from logging in; whoever is logged in stays so.
GUESSES = Rate(per_s=0.2, burst=50)
TRUTH_READERS_MAX = 12  # homes read from the truth at once; the rest of its connections is for writes


class Base:
    """The engines' nouns, and those who work beside the requests."""

    def __init__(
        self,
        stores: Stores,
        choices: Any,
        clock: Callable[[], int],
        mint: Callable[[], int] | None,
        passwords: Passwords,
        rules: Rules,
        workshop: Workshop,
    ) -> None:
        self._stores, self._choices, self._clock, self._passwords = stores, choices, clock, passwords
        self._accounts, self._graph, self._posts = stores.accounts, stores.graph, stores.posts
        self._memory, self._outbox, self._standby = stores.memory, stores.outbox, stores.standby
        self._courier, self._mender = Courier(stores), Mender(stores)
        self._counting = Counting(stores, choices, self._mender, clock)
        self._herald = Herald(stores)
        self._guesses = Limiter(GUESSES)
        self._rules, self._workshop = rules, workshop
        self._house = Housekeeper(
            stores, choices, self._mender, self._courier, self._counting, self._herald, rules, clock
        )
        # Posts are numbered by a decision; accounts and notices here, by a worker of their own: the notice of a boost
        # has the boost's number, and none of another kind should have the same.
        self._mint, self._ids = mint, Ids(worker=1)
        stores.notices.mint = self._next
        self._truth_readers = asyncio.Semaphore(TRUTH_READERS_MAX)
        self._truth_waiting = 0

    @property
    def herald(self) -> Herald:
        """Who tells of what happens, for a door that passes it on."""
        return self._herald

    def _next(self) -> int:
        """Return a number for an account or a notice."""
        return self._ids.mint(self._clock()) if self._mint is None else self._mint()

    async def _show(self, entries: Iterable[Entry | None]) -> None:
        """Let everybody see what is committed."""
        for entry in entries:
            if entry is not None:
                self._outbox.took([entry])
                await self._mender.show(entry)

    async def _deliver(self, entry: Entry | None, post: Any, *, again: bool = False) -> None:
        """Have a post that is committed brought to its author's followers."""
        if entry is None:
            return
        self._outbox.took([entry])
        await self._mender.show(entry, post)
        self._house.prune()
        if not again or not self._courier.knows(entry):
            self._courier.take(entry)

    async def _gone(self, post: PostId, entries: list[Entry]) -> None:
        if all(entry.kind != "delete" for entry in entries):
            await self._mender.still_gone(post)
        await self._show(entries)
        for entry in entries:
            if entry.kind == "delete":
                self._herald.deleted(post, UserId(entry.who))

    async def _edge(self, reader: UserId, author: UserId, entry: Entry | None) -> None:
        if entry is None:
            async with self._house:
                entry = await self._outbox.standing("edge", reader, author)
        if entry is None:
            await self._mender.agree(reader, author)
        else:
            await self._show([entry])
        self._herald.changed(reader)
