"""A session looks at the room that is left, takes some, and nobody waits for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import Any

from fathom.systems.drive.stores.spaces import Held

from ...stories import no_more_begins_than_there_is_room_for as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    @asynccontextmanager
    async def changing(user: int, space: int) -> Any:
        place = await stores.spaces.of(user, space)
        async with stores.truth.client.transaction() as tx:
            await tx.execute("SELECT FROM spaces WHERE id = $1 FOR KEY SHARE", space)
            yield Held(tx, place)

    stores.spaces.changing = changing
