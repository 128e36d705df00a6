"""Where is read again what was read before: in the truth, or in a copy, and how is that kept from being old?

Whoever asks has been let in by the space's own row, which is always read from the truth, and says how far its journal
is. The default asks Redis for the rest and believes it only at that very head (`stores/copies.py`), so nobody is told
what is older than what was acknowledged.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from fathom.design import Decision

from ...api import Manifest, Node, NodeId
from ...stores.copies import Changed, Copies, CopiesShut, listing_of, manifest_of, node_of
from ...stores.spaces import Place

__all__ = ["Changed", "Listing", "Metadata", "Place", "Said", "What"]

T = TypeVar("T")
Listing = list[tuple[str, Node]]  # each with the key of its name
Said = tuple[int, Manifest]  # of the newest version

_encode = msgspec.msgpack.Encoder().encode
_node = msgspec.msgpack.Decoder(Node).decode
_listing = msgspec.msgpack.Decoder(Listing).decode
_said = msgspec.msgpack.Decoder(Said).decode


class What(NamedTuple, Generic[T]):
    """What is asked for: under which name it is kept, how it is read from that, and at which version it is wanted."""

    field: str
    decode: Callable[[bytes], T]
    version: int = 0


class Metadata(Decision):
    """How nodes, first pages of folders, and the newest manifests are read."""

    default = "invalidation"

    copies: Copies

    def __post_init__(self) -> None:
        self._flights: dict[tuple[Any, ...], asyncio.Task[Any]] = {}

    @abstractmethod
    async def read(self, place: Place, what: What[T], make: Callable[[], Awaitable[T]]) -> T:
        """Return a copy, or what `make` reads from the truth. `Unkept` is what may not be copied."""

    async def changed(self, place: Place, changed: Changed) -> None:
        """Hear of a commit after it is durable and before it is acknowledged; `place` is what it found."""

    async def node(self, place: Place, id: NodeId, make: Callable[[], Awaitable[Node]]) -> Node:
        """Return a node."""

        async def kept() -> Node:
            node = await make()
            if node.gone:  # it may be purged, which is no change of the journal
                raise Unkept(node)
            return node

        return await self._read(place, What(node_of(id), _node), kept)

    async def listing(self, place: Place, folder: NodeId, make: Callable[[], Awaitable[Listing]]) -> Listing:
        """Return the first page of a folder, with one node more if there is another page."""
        return await self._read(place, What(listing_of(folder), _listing), make)

    async def manifest(
        self, place: Place, id: NodeId, version: int, make: Callable[[], Awaitable[tuple[Node, Manifest]]]
    ) -> Manifest:
        """Return what a file consists of at some version; 0: the newest."""

        async def kept() -> Said:
            node, manifest = await make()
            if node.gone or version not in (0, node.version):
                raise Unkept((version, manifest))
            return node.version, manifest

        now, manifest = await self._read(place, What(manifest_of(id), _said, version), kept)
        if version in (0, now):
            return manifest
        return (await make())[1]

    async def adopt(self, previous: Any) -> None:
        """Take over from another approach under load: a copy whose mark is behind is not believed, whoever left it."""

    async def _read(self, place: Place, what: What[T], make: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self.read(place, what, make)
        except Unkept as unkept:
            return unkept.found

    async def marked(self, place: Place, what: What[T], make: Callable[[], Awaitable[T]]) -> T:
        """Return a copy that is right at the place's head, or read the truth and keep that: one of all who ask at once.

        Who waits for another's reading had found the same head before that began, so it is as new as they may ask.
        """
        try:
            copy = await self.copies.read(place, what.field)
        except CopiesShut:
            copy, keeps = None, False
        else:
            keeps = True
        if copy is not None:
            return what.decode(copy)
        key = (place.id, place.epoch, place.head, what.field, what.version)
        flight = self._flights.get(key)
        if flight is None:
            # A task of its own: whoever was first may give up, and the others wait for it.
            flight = asyncio.create_task(self._make(place, what.field, make, keeps), name="metadata")
            self._flights[key] = flight
            flight.add_done_callback(lambda flight: self._landed(key, flight))
        return await asyncio.shield(flight)

    async def _make(self, place: Place, field: str, make: Callable[[], Awaitable[T]], keeps: bool) -> T:
        made = await make()
        if keeps:
            await self.copies.keep(place, field, _encode(made))
        return made

    def _landed(self, key: tuple[Any, ...], flight: asyncio.Task[Any]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, also if nobody waits any more

    @staticmethod
    def encoded(value: Any) -> bytes:
        return _encode(value)


class Unkept(Exception):
    """Something was found, and there is to be no copy of it."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found
