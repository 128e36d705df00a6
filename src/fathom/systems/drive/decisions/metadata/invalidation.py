"""Take away the copies of what a commit changes, before it is acknowledged: the next one who asks makes them anew.

Its bet is that what is changed is not always read again. Its price is a command for each commit, and for the first one
who asks afterwards the truth.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...stores.copies import fields_of
from . import Changed, Metadata, Place, What

T = TypeVar("T")


class Invalidation(Metadata):
    """Delete on write, and believe nothing that was not told of the newest commit."""

    async def read(self, place: Place, what: What[T], make: Callable[[], Awaitable[T]]) -> T:
        return await self.marked(place, what, make)

    async def changed(self, place: Place, changed: Changed) -> None:
        await self.copies.change(place, changed.head, fields_of(changed))
