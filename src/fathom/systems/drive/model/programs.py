"""What the doors for programs ask besides: sessions that grow, and properties that only programs read."""

from __future__ import annotations

from typing import Any

from fathom.errors import Refusal

from ..api import (
    CHUNKS_MAX,
    PAGE_MAX,
    PROPERTIES_CHARS_MAX,
    PROPERTIES_MAX,
    ROOT,
    Chunk,
    NodeId,
    Session,
    SessionId,
    SpaceId,
    UserId,
)
from .checks import checked_chunks

__all__ = ["Programs", "checked_properties"]


def checked_properties(properties: dict[str, str]) -> dict[str, str]:
    """Refuse what is too much to be kept of one file or folder."""
    chars = sum(len(name) + len(value) for name, value in properties.items())
    if len(properties) > PROPERTIES_MAX or chars > PROPERTIES_CHARS_MAX:
        says = f"at most {PROPERTIES_MAX} properties of {PROPERTIES_CHARS_MAX:,} characters in all"
        raise Refusal("too-large", says)
    if any("\0" in text for pair in properties.items() for text in pair) or "" in properties:
        raise Refusal("invalid", "a property has a name, and no character 0")
    return properties


class Programs:
    """The part of the model that holds them; the rest of it is `DriveModel`."""

    _properties: dict[tuple[SpaceId, NodeId], dict[str, str]]

    async def extend(self: Any, user: UserId, session: SessionId, chunks: list[Chunk]) -> Session:
        checked_chunks(chunks)
        lease = self._lease(user, session)
        place = self._places[lease.space]
        wanted = {chunk.digest: chunk.size for chunk in chunks}
        for digest, size in wanted.items():
            known = len(place.chunks[digest]) if digest in place.chunks else lease.chunks.get(digest, size)
            if known != size:
                raise Refusal("invalid", f"chunk {digest} has another size")
        if (count := len(lease.chunks | wanted)) > CHUNKS_MAX:
            raise Refusal("too-large", f"at most {CHUNKS_MAX:,} chunks in a session, and these are {count:,}")
        needed = {it: size for it, size in wanted.items() if it not in place.chunks and it not in lease.needed}
        kept = sum(
            sum(it.needed.values()) for it in self._leases.values() if it.space == lease.space and self._lasts(it)
        )
        used = sum(len(data) for data in place.chunks.values())
        if used + kept + sum(needed.values()) > place.space.quota:
            raise Refusal("too-large", f"there is no room: {used + kept:,} of {place.space.quota:,} bytes are taken")
        lease.chunks.update(wanted)
        lease.needed.update(needed)
        return await self.renew(user, session)

    async def properties(self: Any, user: UserId, space: SpaceId, ids: list[NodeId]) -> list[dict[str, str]]:
        place = self._place(user, space)
        if len(ids) > PAGE_MAX:
            raise Refusal("invalid", f"at most {PAGE_MAX:,} at once, not {len(ids):,}")
        return [dict(self._properties.get((space, id), {})) if id == ROOT or id in place.nodes else {} for id in ids]

    async def describe(self: Any, user: UserId, space: SpaceId, id: NodeId, properties: dict[str, str]) -> None:
        checked_properties(properties)
        place = self._place(user, space)
        if id != ROOT:
            self._live(place, id)
        both = {**self._properties.get((space, id), {}), **properties}
        self._properties[space, id] = checked_properties({name: value for name, value in both.items() if value})
