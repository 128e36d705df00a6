"""The head of the journal is read, and then the space is locked."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

from fathom.systems.drive.stores.spaces import Held

from ...stories import the_journal_has_no_gap as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    changing, of = stores.spaces.changing, stores.spaces.of

    @asynccontextmanager
    async def changing_what_was(user: int, space: int) -> Any:
        place = await of(user, space)
        async with changing(user, space) as held:
            yield Held(held.tx, place)

    stores.spaces.changing = changing_what_was
