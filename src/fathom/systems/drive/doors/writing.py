"""A file's bytes on their way in: cut as the space says, given a pack at a time, never held as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from fathom.blocks.chunking import Cutting
from fathom.blocks.packs import digest_of, pack
from fathom.errors import Refusal

from ..api import CHUNK_BYTES_MAX, CHUNKS_MAX, Chunk, Digest, Drive, Manifest, Session, SessionId, SpaceId, UserId

__all__ = ["Hash", "Room", "Upload", "Written"]

PACK_BYTES = CHUNK_BYTES_MAX  # of chunks in a pack: there is room for its index besides
BUFFER_BYTES_MIN = 4 << 20  # that are cut at once: cut too often, the same bytes are looked at again and again
WAITS_S = 20.0  # for a place


class Hash(Protocol):
    """Something of `hashlib`."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Written(NamedTuple):
    """What a file consists of, and the session in which all of it is there."""

    manifest: Manifest
    session: SessionId


class Room:
    """So many at once, and so many of one person's: who comes beyond waits for a while, and is then turned away."""

    def __init__(self, at_once: int, of_one: int) -> None:
        self._places, self._of_one = asyncio.Semaphore(at_once), of_one
        self._theirs: dict[UserId, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def taken(self, user: UserId) -> AsyncIterator[None]:
        """Hold a place for the length of a block."""
        own, waiting = self._theirs.get(user) or (asyncio.Semaphore(self._of_one), 0)
        self._theirs[user] = own, waiting + 1
        try:
            async with _place(own), _place(self._places):
                yield
        finally:
            own, waiting = self._theirs.pop(user)
            if waiting > 1:
                self._theirs[user] = own, waiting - 1


@asynccontextmanager
async def _place(among: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(WAITS_S):
            await among.acquire()
    except TimeoutError:
        raise Refusal("unavailable", "too much is being sent at once", retry_s=2) from None
    try:
        yield
    finally:
        among.release()


class Upload:
    """One file that comes piece by piece: cut and given while it comes, in one session if the drive can."""

    def __init__(self, drive: Drive, user: UserId, space: SpaceId, cutting: str, whole: Hash | None = None) -> None:
        self._drive, self._user, self._space = drive, user, space
        self._cutting = Cutting.of(cutting)
        self._least = max(BUFFER_BYTES_MIN, 2 * self._cutting.most)
        self._held = bytearray()  # not yet cut
        self._batch: dict[Digest, bytes] = {}  # cut, not yet given
        self._batch_bytes = 0
        self._given: list[Chunk] = []
        self._session: Session | None = None
        self._all_in_one, self._anew_ms = True, 0.0
        self.chunks: list[Chunk] = []
        self._whole = whole  # takes all bytes in their order, where somebody said what they are

    @classmethod
    def resumed(
        cls, drive: Drive, user: UserId, space: SpaceId, cutting: str, session: Session, chunks: list[Chunk],
        held: bytes,
    ) -> Upload:  # fmt: skip
        """Go on in a session that can be extended, in which these chunks are there and these bytes are not cut yet."""
        it = cls(drive, user, space, cutting)
        it._session, it._anew_ms = session, _half(session)
        it.chunks, it._held = chunks, bytearray(held)
        return it

    async def take(self, pieces: AsyncIterable[bytes]) -> Written:
        """Take a file's bytes to their end; return what is to be committed."""
        async for piece in pieces:
            await self.add(piece)
        await self._cut(last=True)
        return await self.whole()

    async def add(self, piece: bytes) -> None:
        """Take what comes next."""
        self._held += piece
        await self._stay()
        if len(self._held) >= self._least:
            await self._cut(last=False)

    async def rest(self, *, last: bool) -> bytes:
        """Give all that can be cut; return what cannot be before more comes, which is nothing at the `last`."""
        await self._cut(last=last)
        await self._give()
        return bytes(self._held)

    async def whole(self) -> Written:
        """Return what was taken, with a session of all of it."""
        await self._give()
        if self._session is None or not self._all_in_one:
            self._session = await self._drive.begin(self._user, self._space, self.chunks)
            if self._session.needed:
                raise Refusal("unavailable", "what was sent first is not there any more: send it again", retry_s=1)
        return Written(Manifest(cutting=self._cutting.id, chunks=self.chunks), self._session.id)

    async def _cut(self, *, last: bool) -> None:
        held = bytes(self._held)
        found = await asyncio.to_thread(self._cuts, held, last)
        self._held = self._held[sum(len(data) for _, data in found) :]
        for digest, data in found:
            if self._batch_bytes + len(data) > PACK_BYTES:
                await self._give()
            self.chunks.append(Chunk(digest, len(data)))
            if len(self.chunks) > CHUNKS_MAX:
                raise Refusal("too-large", f"a file has at most {CHUNKS_MAX:,} chunks: give it through a client")
            if digest not in self._batch:
                self._batch[digest] = data
                self._batch_bytes += len(data)

    def _cuts(self, held: bytes, last: bool) -> list[tuple[Digest, bytes]]:
        found: list[tuple[Digest, bytes]] = []
        start = 0
        for end in self._cutting.ends(held, last=last):
            data = held[start:end]
            if self._whole is not None:
                self._whole.update(data)
            found.append((Digest(digest_of(data).hex()), data))
            start = end
        return found

    async def _give(self) -> None:
        """Give what was cut."""
        batch, self._batch, self._batch_bytes = self._batch, {}, 0
        if not batch:
            return
        chunks = [Chunk(digest, len(data)) for digest, data in batch.items()]
        session = await self._lease(chunks)
        needed = [batch[digest] for digest in session.needed if digest in batch]
        left = await self._drive.give(self._user, session.id, await asyncio.to_thread(pack, needed)) if needed else []
        if not batch.keys().isdisjoint(left):  # others may be left of a request that was cut off
            raise Refusal("unavailable", "not all of what was given is there: send it again", retry_s=1)
        self._given += chunks
        self._session = session

    async def _lease(self, chunks: list[Chunk]) -> Session:
        """Return a session in which these chunks are to be given."""
        if self._session is None:
            session = await self._drive.begin(self._user, self._space, chunks)
            self._anew_ms = _half(session)
            return session
        if (extend := getattr(self._drive, "extend", None)) is not None:
            return await extend(self._user, self._session.id, chunks)
        self._all_in_one = False
        return await self._drive.begin(self._user, self._space, chunks)

    async def _stay(self) -> None:
        """See to it that what was given stays, however slowly the rest comes."""
        if self._session is None or time.time() * 1_000 < self._anew_ms:
            return
        if self._all_in_one:
            self._anew_ms = _half(await self._drive.renew(self._user, self._session.id))
        else:
            self._anew_ms = _half(await self._drive.begin(self._user, self._space, self._given))


def _half(session: Session) -> float:
    """Return when half of the time is over for which a session lasts."""
    now_ms = time.time() * 1_000
    return now_ms + max(0.0, session.expires_ms - now_ms) / 2
