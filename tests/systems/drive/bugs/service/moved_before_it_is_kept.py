"""Chunks that move are forgotten where they lay before anybody can read where they lie now."""

from __future__ import annotations

from typing import Any

from ...stories import what_is_left_of_a_pack_is_written_anew as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    async def move(tx: Any, space: int, old: str, new: str, starts: dict[bytes, int]) -> int:
        await tx.execute("UPDATE packs SET state = 'gone' WHERE id = $1", old)
        return 0

    stores.chunks.move = move
