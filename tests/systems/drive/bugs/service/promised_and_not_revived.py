"""Who asks for a condemned chunk is told that it is there, and it stays condemned."""

from __future__ import annotations

from typing import Any

from ...stories import a_condemned_chunk_lives_again as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    async def revive(tx: Any, space: int, digests: Any) -> None:
        return

    stores.chunks.revive = revive
