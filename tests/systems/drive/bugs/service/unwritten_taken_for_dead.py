"""An object that is not committed yet is one of a crash, however new it is."""

from __future__ import annotations

from typing import Any

from ...stories import a_slow_gift_is_not_taken_for_dead as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    give_up = stores.packs.give_up

    async def give_up_all(tx: Any, space: int, before_ms: int) -> Any:
        return await give_up(tx, space, 1 << 60)

    stores.packs.give_up = give_up_all
