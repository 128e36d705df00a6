"""What the doors for programs ask besides: sessions that grow and remember, and what only programs read."""

from __future__ import annotations

from typing import Any

from fathom.errors import Refusal

from ..api import (
    CHUNKS_MAX,
    MEMORIES_MAX,
    MEMORY_BYTES_MAX,
    PAGE_MAX,
    PROPERTIES_CHARS_MAX,
    PROPERTIES_MAX,
    ROOT,
    Chunk,
    Memory,
    NodeId,
    Outcome,
    Session,
    SessionId,
    SpaceId,
    UserId,
)
from .checks import BYTES_MAX, checked_chunks

__all__ = [
    "MEMORY_MS",
    "Programs",
    "checked_memory",
    "checked_properties",
    "many_memories",
    "no_memory",
    "no_outcome",
    "other_memory",
]

MEMORY_MS = 24 * 3_600_000  # that a session lasts in which something is remembered: a night, and whoever sleeps in it


def checked_properties(properties: dict[str, str]) -> dict[str, str]:
    """Refuse what is too much to be kept of one file or folder."""
    chars = sum(len(name) + len(value) for name, value in properties.items())
    if len(properties) > PROPERTIES_MAX or chars > PROPERTIES_CHARS_MAX:
        says = f"at most {PROPERTIES_MAX} properties of {PROPERTIES_CHARS_MAX:,} characters in all"
        raise Refusal("too-large", says)
    if any("\0" in text for pair in properties.items() for text in pair) or "" in properties:
        raise Refusal("invalid", "a property has a name, and no character 0")
    return properties


def checked_memory(before: int, after: int, state: bytes) -> None:
    if not 0 <= before <= after <= BYTES_MAX:
        raise Refusal("invalid", "what goes on goes on from 0 or more, to as much or more")
    if len(state) > MEMORY_BYTES_MAX:
        raise Refusal("too-large", f"at most {MEMORY_BYTES_MAX:,} bytes are remembered, and these are {len(state):,}")


def no_memory() -> Refusal:
    return Refusal("not-found", "nothing is remembered in such a session, or no longer: begin anew")


def other_memory(offset: int) -> Refusal:
    return Refusal("conflict", f"what is remembered is at {offset:,}: look again, and go on from there")


def many_memories(mine: int) -> Refusal:
    return Refusal("too-many", f"{mine:,} that were begun are not ended: end some, or wait until they have expired")


def no_outcome() -> Refusal:
    return Refusal("not-found", "no edit with this key was done")


class Programs:
    """The part of the model that holds them; the rest of it is `DriveModel`."""

    _properties: dict[tuple[SpaceId, NodeId], dict[str, str]]
    _memories: dict[SessionId, tuple[int, bytes]]

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

    async def remember(self: Any, user: UserId, session: SessionId, before: int, after: int, state: bytes) -> int:
        checked_memory(before, after, state)
        lease = self._lease(user, session)
        if session in self._memories:
            if (offset := self._memories[session][0]) != before or after == before:
                raise other_memory(offset)
        else:
            theirs = [self._leases[id] for id in self._memories]
            mine = sum(it.user == user and it.space == lease.space and self._lasts(it) for it in theirs)
            if before:
                raise other_memory(0)
            if mine >= MEMORIES_MAX:
                raise many_memories(mine)
        self._memories[session] = after, state
        lease.expires_ms = max(lease.expires_ms, self._clock() + MEMORY_MS)
        return lease.expires_ms

    async def remembered(self: Any, user: UserId, session: SessionId) -> Memory:
        lease = self._leases.get(session)
        if lease is None or lease.user != user or not self._lasts(lease) or session not in self._memories:
            raise no_memory()
        offset, state = self._memories[session]
        return Memory(offset=offset, state=state, expires_ms=lease.expires_ms)

    async def end(self: Any, user: UserId, session: SessionId) -> None:
        self._lease(user, session).expires_ms = 0

    async def outcome(self: Any, user: UserId, space: SpaceId, key: str) -> Outcome:
        done = self._place(user, space).done
        if key not in done:
            raise no_outcome()
        return done[key][1]

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
