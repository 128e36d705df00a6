"""What is about to be told is marked as told."""

from __future__ import annotations

from typing import Any

from fathom.systems.drive.stores.marks import Mark

from ...stories import what_is_told_has_no_gap as story

__all__ = ["seed", "story"]


def seed(stores: Any) -> None:
    if stores.queue is None:
        return
    publish, move = stores.events.publish, stores.marks.move
    behind: dict[int, Mark] = {}

    async def marked(event: Any) -> None:
        await move(behind[event.space], event.seq)
        await publish(event)

    async def known(marks: Any) -> Any:
        found = await marks
        behind.update({mark.space: mark for mark in found})
        return found

    some, every = stores.marks.behind, stores.marks.all_behind
    stores.marks.behind = lambda *asked: known(some(*asked))
    stores.marks.all_behind = lambda *asked: known(every(*asked))
    stores.events.publish = marked
