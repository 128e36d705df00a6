"""What is damaged is noted in a log: who has the file is told that its chunk is there, and never sends it again."""

from __future__ import annotations

from typing import Any

from ...stories import what_is_damaged_heals_when_it_comes_again as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    async def quarantine(tx: Any, space: int, chunks: Any) -> int:
        return len(chunks)

    stores.chunks.quarantine = quarantine
