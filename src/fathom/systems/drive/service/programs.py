"""What the doors for programs ask besides: sessions that grow, and properties that only programs read."""

from __future__ import annotations

from fathom.errors import Refusal

from ..api import CHUNKS_MAX, PAGE_MAX, ROOT, Chunk, NodeId, Session, SessionId, SpaceId, UserId
from ..model.checks import checked_chunks
from ..model.programs import checked_properties
from ..stores.rows import ID_MAX
from ..stores.sessions import Lease
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
                await stores.sessions.grow(tx, opened, leases, len(leased), expires_ms)
                needed = await stores.sessions.needed(opened, tx)
        self._collector.counts["revived"] += len(condemned)
        return Session(id=session, needed=needed, expires_ms=expires_ms)

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
