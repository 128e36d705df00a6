"""What the doors for programs ask besides: sessions that grow and remember, and what only programs read."""

from __future__ import annotations

from fathom.errors import Refusal

from ..api import (
    CHUNKS_MAX,
    MEMORIES_MAX,
    PAGE_MAX,
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
from ..model.checks import checked_chunks
from ..model.programs import (
    checked_memory,
    checked_properties,
    many_memories,
    no_memory,
    no_outcome,
    other_memory,
)
from ..stores.rows import ID_MAX
from ..stores.sessions import Lease, no_such_session
from .base import Base, asking, changing

__all__ = ["Programs"]


class Programs(Base):
    """See `api.Programs`."""

    async def extend(self, user: UserId, session: SessionId, chunks: list[Chunk]) -> Session:
        checked_chunks(chunks)
        wanted = {bytes.fromhex(chunk.digest): chunk.size for chunk in chunks}
        stores = self._stores
        with asking():
            opened = await stores.sessions.of(user, session, self._clock())
        with changing():
            async with stores.spaces.changing(user, opened.space) as (tx, place):
                now_ms = self._clock()
                opened = await stores.sessions.of(user, session, now_ms, tx)
                known = await stores.chunks.known(tx, opened.space, wanted)
                leased = await stores.sessions.leases(tx, opened)
                for digest, size in wanted.items():
                    if size != (known[digest].size if digest in known else leased.get(digest, size)):
                        raise Refusal("invalid", f"chunk {digest.hex()} has another size")
                if (count := len(leased.keys() | wanted.keys())) > CHUNKS_MAX:
                    raise Refusal("too-large", f"at most {CHUNKS_MAX:,} chunks in a session, and these are {count:,}")
                leases = [
                    Lease(digest, size, digest not in known) for digest, size in wanted.items() if digest not in leased
                ]
                _, kept = await stores.sessions.totals(tx, opened.space, user, now_ms)
                if place.used + kept + sum(it.size for it in leases if it.reserved) > place.quota:
                    says = f"there is no room: {place.used + kept:,} of {place.quota:,} bytes are taken"
                    raise Refusal("too-large", says)
                condemned = [digest for digest, it in known.items() if it.state == "condemned"]
                if condemned:
                    await stores.chunks.revive(tx, opened.space, condemned)
                expires_ms = now_ms + self._rules.session_ms
                expires_ms = await stores.sessions.grow(tx, opened, leases, len(leased), expires_ms)
                needed = await stores.sessions.needed(opened, tx)
        self._collector.counts["revived"] += len(condemned)
        return Session(id=session, needed=needed, expires_ms=expires_ms)

    async def remember(self, user: UserId, session: SessionId, before: int, after: int, state: bytes) -> int:
        checked_memory(before, after, state)
        sessions = self._stores.sessions
        with asking():
            opened = await sessions.of(user, session, self._clock())
            offset = await sessions.offset(opened)
        if offset is None:
            return await self._begin_to_remember(user, session, opened.space, before, after, state)
        if offset != before or after == before:
            raise other_memory(offset)
        now_ms = self._clock()
        with changing():
            until_ms = await sessions.remember(
                opened, before, after, state, now_ms, now_ms + self._rules.memory_ms, None
            )
        if until_ms is None:  # another was first, or it has ended meanwhile
            with asking():
                opened = await sessions.of(user, session, now_ms)
                raise other_memory(await sessions.offset(opened) or 0)
        return until_ms

    async def _begin_to_remember(
        self, user: UserId, session: SessionId, space: SpaceId, before: int, after: int, state: bytes
    ) -> int:
        """Remember something in a session for the first time: only then it is counted, so that takes the lock."""
        stores = self._stores
        with changing():
            async with stores.spaces.changing(user, space) as (tx, _):
                now_ms = self._clock()
                opened = await stores.sessions.of(user, session, now_ms, tx)
                offset = await stores.sessions.offset(opened, tx)
                if before or offset is not None:
                    raise other_memory(offset or 0)
                if (mine := await stores.sessions.memories(tx, space, user, now_ms)) >= MEMORIES_MAX:
                    raise many_memories(mine)
                until_ms = await stores.sessions.remember(
                    opened, None, after, state, now_ms, now_ms + self._rules.memory_ms, tx
                )
                if until_ms is None:
                    raise no_such_session()
        return until_ms

    async def remembered(self, user: UserId, session: SessionId) -> Memory:
        with asking():
            memory = await self._stores.sessions.memory(user, session, self._clock())
        if memory is None:
            raise no_memory()
        return memory

    async def end(self, user: UserId, session: SessionId) -> None:
        stores = self._stores
        with asking():
            opened = await stores.sessions.of(user, session, self._clock())
        with changing():
            async with stores.spaces.changing(user, opened.space) as (tx, _):
                opened = await stores.sessions.of(user, session, self._clock(), tx)
                await stores.sessions.end(tx, opened)

    async def outcome(self, user: UserId, space: SpaceId, key: str) -> Outcome:
        await self._place(user, space)
        with asking():
            done = await self._stores.journal.done(None, space, [key])
        if key not in done:
            raise no_outcome()
        return done[key].outcome

    async def properties(self, user: UserId, space: SpaceId, ids: list[NodeId]) -> list[dict[str, str]]:
        await self._place(user, space)
        if len(ids) > PAGE_MAX:
            raise Refusal("invalid", f"at most {PAGE_MAX:,} at once, not {len(ids):,}")
        with asking():
            found = await self._stores.properties.of(space, ids)
        return [found.get(id, {}) for id in ids]

    async def describe(self, user: UserId, space: SpaceId, id: NodeId, properties: dict[str, str]) -> None:
        checked_properties(properties)
        stores = self._stores
        with changing():
            async with stores.spaces.changing(user, space) as (tx, _):
                if id != ROOT:
                    found = await stores.nodes.with_above(tx, space, [id]) if 0 < id <= ID_MAX else []
                    node = next((it for it in found if it.id == id), None)
                    if node is None:
                        raise Refusal("not-found", "there is no such file or folder")
                    if node.gone:
                        raise Refusal("not-found", "it is in the trash")
                old = (await stores.properties.of(space, [id], tx)).get(id, {})
                both = {**old, **properties}
                checked_properties({name: value for name, value in both.items() if value})
                await stores.properties.write(tx, space, id, properties)
