"""What was done is not remembered by its key."""

from __future__ import annotations

from typing import Any

from ...stories import an_edit_is_done_once as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    async def remember(tx: Any, space: int, edits: Any, now_ms: Any) -> None:
        return

    stores.journal.remember = remember
