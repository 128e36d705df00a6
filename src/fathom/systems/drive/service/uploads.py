"""How chunks come, and how they are read: nothing counts that is not on disk, nothing is given that is not proven."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from fathom.blocks.packs import FOOT_BYTES, Entry, entries, is_named
from fathom.blocks.packs import pack as packed
from fathom.engines.engine import EngineError
from fathom.errors import Refusal

from ..api import Chunk, Digest, Session, SessionId, SpaceId, UserId
from ..model.checks import SESSIONS_MAX, checked_chunks, checked_digest, checked_pack
from ..stores.chunks import Lies
from ..stores.sessions import Lease
from .base import Base, asking, changing, unavailable

__all__ = ["Uploads"]

log = logging.getLogger("fathom.drive.uploads")

HEAD_BYTES, INDEX_BYTES = 16, 40  # of a pack: its beginning, and what its index has for each chunk
QUICK_BYTES = 64 << 10  # that are hashed sooner than a thread is asked to
READ_AGAIN = 3  # times that a chunk may move while it is read


class Uploads(Base):
    """Sessions, chunks that come and chunks that are read."""

    async def begin(self, user: UserId, space: SpaceId, chunks: list[Chunk]) -> Session:
        checked_chunks(chunks)
        wanted = {bytes.fromhex(chunk.digest): chunk.size for chunk in chunks}
        stores = self._stores
        with changing():
            async with stores.spaces.changing(user, space) as (tx, place):
                now_ms = self._clock()
                mine, kept = await stores.sessions.totals(tx, space, user, now_ms)
                if mine >= SESSIONS_MAX:
                    raise Refusal("too-many", f"{mine:,} sessions are open here: end some, or wait until they have")
                known = await stores.chunks.known(tx, space, wanted)
                for digest, it in known.items():
                    if it.size != wanted[digest]:
                        raise Refusal("invalid", f"chunk {digest.hex()} has another size")
                # What is in quarantine has its room already, and has to be given again all the same.
                leases = [Lease(digest, size, digest not in known) for digest, size in wanted.items()]
                if place.used + kept + sum(it.size for it in leases if it.reserved) > place.quota:
                    says = f"there is no room: {place.used + kept:,} of {place.quota:,} bytes are taken"
                    raise Refusal("too-large", says)
                condemned = [digest for digest, it in known.items() if it.state == "condemned"]
                if condemned:
                    await stores.chunks.revive(tx, space, condemned)
                expires_ms = now_ms + self._rules.session_ms
                id = await stores.sessions.add(tx, space, user, leases, expires_ms)
        self._collector.counts["revived"] += len(condemned)
        needed = [
            Digest(it.digest.hex())
            for it in leases
            if it.digest not in known or known[it.digest].state == "quarantined"
        ]
        return Session(id=id, needed=needed, expires_ms=expires_ms)

    async def give(self, user: UserId, session: SessionId, pack: bytes | bytearray | memoryview) -> list[Digest]:
        stores = self._stores
        with asking():
            opened = await stores.sessions.of(user, session, self._clock())
        found = checked_pack(pack) if len(pack) < QUICK_BYTES else await asyncio.to_thread(checked_pack, pack)
        digests = [entry.digest for entry in found]
        with asking():
            leased = await stores.sessions.leased(opened, digests)
            for entry in found:
                if leased.get(entry.digest) != entry.length:
                    raise Refusal("invalid", f"chunk {entry.digest.hex()} was not asked for")
            live = await stores.chunks.live(opened.space, digests)
            fresh = [entry for entry in found if entry.digest not in live]
            if not fresh:
                return await stores.sessions.needed(opened)
            body = await asyncio.to_thread(_tight, pack, found, fresh)
            try:
                id = await stores.packs.write(opened.space, body, sum(it.length for it in fresh), self._clock())
            except EngineError as failure:  # also when it is unknown: nothing refers to it yet
                raise unavailable(failure) from failure
        lie = [Lies(it.digest, it.length, id, it.offset) for it in entries(body)]
        with changing():
            return await self._take(user, session, opened.space, id, lie)

    async def _take(
        self, user: UserId, session: SessionId, space: SpaceId, id: str, lie: Sequence[Lies]
    ) -> list[Digest]:
        """Commit that chunks lie in a pack that is on disk; return what is still needed."""
        stores = self._stores
        digests = [it.digest for it in lie]
        async with stores.spaces.changing(user, space) as (tx, _):
            opened = await stores.sessions.of(user, session, self._clock(), tx)
            if not await stores.packs.keep(tx, id):
                raise Refusal("unavailable", "this took so long that it was given up: send it again", retry_s=1.0)
            known = await stores.chunks.known(tx, space, digests)
            fresh = [it for it in lie if it.digest not in known]
            damaged = [it for it in lie if it.digest in known and known[it.digest].state == "quarantined"]
            if fresh:
                await stores.chunks.add(tx, space, fresh)
                await stores.sessions.came(tx, space, digests)
            await stores.spaces.takes(tx, space, sum(it.size for it in fresh))
            if condemned := [digest for digest, it in known.items() if it.state == "condemned"]:
                await stores.chunks.revive(tx, space, condemned)
            if damaged:
                await stores.chunks.heal(tx, space, id, damaged)
            needed = await stores.sessions.needed(opened, tx)
        self._collector.counts["healed"] += len(damaged)
        return needed

    async def renew(self, user: UserId, session: SessionId) -> Session:
        now_ms = self._clock()
        with changing():
            opened = await self._stores.sessions.renew(user, session, now_ms, now_ms + self._rules.session_ms)
        with asking():
            needed = await self._stores.sessions.needed(opened)
        return Session(id=session, needed=needed, expires_ms=opened.expires_ms)

    async def chunk(self, user: UserId, space: SpaceId, digest: Digest) -> bytes:
        try:
            wanted = bytes.fromhex(checked_digest(digest))
        except Refusal:
            await self._place(user, space)  # strangers are told that there is no such space, whatever they ask for
            raise
        with asking():
            for _ in range(READ_AGAIN):
                row = await self._stores.chunks.find(user, space, wanted)
                if not row["used"]:
                    raise Refusal("not-found", "no file of this space has such a chunk")
                if row["state"] in (None, "quarantined"):
                    break
                lies = Lies(wanted, row["size"], row["pack"], row["start"])
                data = await self._stores.packs.part(space, lies.pack, lies.start, lies.size)
                if data is not None and len(data) == lies.size and await _is(data, wanted):
                    return data
                async with self._stores.spaces.collecting(space) as tx:
                    # If it still lies there, it is damaged; else it was moved while we read, and we look again.
                    lost = await self._stores.chunks.quarantine(tx, space, [lies])
                if lost:
                    log.error("chunk %s in pack %s of space %s is damaged", digest, lies.pack, space)
                    self._collector.counts["quarantined"] += lost
        raise Refusal("unavailable", "this chunk is damaged: whoever has the file can give it again")


async def _is(data: bytes, digest: bytes) -> bool:
    """Tell whether these are the bytes that a chunk is named by."""
    return is_named(data, digest) if len(data) < QUICK_BYTES else await asyncio.to_thread(is_named, data, digest)


def _tight(
    pack: bytes | bytearray | memoryview, found: Sequence[Entry], fresh: Sequence[Entry]
) -> bytes | bytearray | memoryview:
    """Return a pack of these chunks and nothing else: what somebody put between them has no room here."""
    length = HEAD_BYTES + sum(it.length + INDEX_BYTES for it in found) + FOOT_BYTES
    if len(fresh) == len(found) == len({it.digest for it in found}) and length == len(pack):
        return pack
    view = memoryview(pack)
    chunks = (view[it.offset : it.offset + it.length] for it in fresh)
    return packed(chunks, (it.digest for it in fresh))
