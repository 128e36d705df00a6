"""Put what a commit makes of nodes and manifests into their copies: who asks afterwards finds them.

Its bet is that what is written is read soon. Its price is that all that is written is kept, read or not; folders are
taken away all the same, since a commit does not know what else lies in them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...stores.copies import fields_of, manifest_of, node_of
from . import Changed, Metadata, Place, What

T = TypeVar("T")


class WriteThrough(Metadata):
    """Write the copy with the truth, in its order."""

    async def read(self, place: Place, what: What[T], make: Callable[[], Awaitable[T]]) -> T:
        return await self.marked(place, what, make)

    async def changed(self, place: Place, changed: Changed) -> None:
        puts: dict[str, bytes] = {}
        for node in changed.nodes:
            if not node.gone:
                puts[node_of(node.id)] = self.encoded(node)
                said = changed.manifests.get(node.id)
                if said is not None and said[0] == node.version:
                    puts[manifest_of(node.id)] = self.encoded(said)
        await self.copies.change(place, changed.head, fields_of(changed), puts)
