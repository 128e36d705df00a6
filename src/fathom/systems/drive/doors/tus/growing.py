"""A file that grows over many requests: all that it takes to go on lies in the truth, nothing here."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable
from contextlib import suppress
from typing import Any

import msgspec

from fathom.blocks.chunking import Cutting
from fathom.errors import Refusal

from ...api import (
    CHUNKS_MAX,
    Chunk,
    Digest,
    Drive,
    Edit,
    Make,
    Manifest,
    Memory,
    Node,
    NodeId,
    Put,
    Session,
    SessionId,
    Space,
    SpaceId,
    UserId,
)
from ..body import Gone, Slow
from ..paths import spot
from ..writing import Upload
from .metadata import Checksum, Metadata

__all__ = ["BYTES_MAX", "Growing", "State", "Unlike", "begun", "found", "no_such_upload"]

BYTES_MAX = 1 << 40
KEPT_EVERY_BYTES = 64 << 20  # of a request that goes on and on: who loses its end has to send no more than this again
DIGEST_BYTES, SIZE_BYTES = 32, 4

_encode = msgspec.msgpack.Encoder().encode


class Unlike(Exception):
    """The bytes that came are not those whose digest was sent."""


class State(msgspec.Struct, array_like=True, kw_only=True):
    """What is remembered of an upload, besides how far it is. `chunks` and `tail` are all bytes that came."""

    space: SpaceId
    length: int
    said: str  # Upload-Metadata
    parent: NodeId  # in which it is made
    name: str
    node: NodeId  # or which is to hold it
    version: int
    modified_ms: int
    cutting: str
    chunks: bytes = b""  # each its digest and its size
    tail: bytes = b""


_decode = msgspec.msgpack.Decoder(State).decode


class Growing:
    """An upload as somebody has found it: at `offset`, until `expires_ms`; a `node`, once it is a file."""

    def __init__(self, drive: Drive, user: UserId, session: SessionId, memory: Memory) -> None:
        self._drive: Any = drive
        self._user, self._session, self._state = user, session, _decode(memory.state)
        self.offset, self.expires_ms = memory.offset, memory.expires_ms
        self.node: Node | None = None

    @property
    def space(self) -> SpaceId:
        return self._state.space

    @property
    def length(self) -> int:
        return self._state.length

    @property
    def said(self) -> str:
        return self._state.said

    async def append(self, pieces: AsyncIterable[bytes], promised: Checksum | None) -> None:
        """Take bytes to their end, durable when this returns.

        Of those with a checksum all or nothing is kept; of others as much as came, also when their end does not.
        """
        if self.node is not None:  # there is nothing more to come
            async for _ in pieces:
                pass
            return
        state = self._state
        session = Session(id=self._session, expires_ms=self.expires_ms)
        upload = Upload.resumed(
            self._drive, self._user, state.space, state.cutting, session, _unpacked(state.chunks), state.tail
        )
        came = kept = 0
        try:
            async for piece in pieces:
                if promised is not None:
                    promised.hash.update(piece)
                await upload.add(piece)
                came += len(piece)
                if promised is None and came - kept >= KEPT_EVERY_BYTES:
                    await self._keep(upload, self.offset + came - kept)
                    kept = came
        except (Gone, Slow):
            if promised is None and came > kept:
                with suppress(Refusal, TimeoutError):
                    await self._keep(upload, self.offset + came - kept)
            raise
        if promised is not None and not promised.holds:
            raise Unlike
        if came > kept:
            await self._keep(upload, self.offset + came - kept)

    async def _keep(self, upload: Upload, offset: int) -> None:
        """Give what is cut, and remember that this much is there."""
        state = self._state
        state.tail = await upload.rest(last=offset == state.length)
        state.chunks = _packed(upload.chunks)
        self.expires_ms = await self._drive.remember(self._user, self._session, self.offset, offset, _encode(state))
        self.offset = offset

    async def finish(self) -> None:
        """Commit the file once all of it is there; said again, it is done once."""
        if self.offset != self.length or self.node is not None:
            return
        state = self._state
        manifest = Manifest(cutting=state.cutting, chunks=_unpacked(state.chunks))
        key = _key(self._user, self._session)
        edit: Edit
        if state.version:
            edit = Put(
                node=state.node, version=state.version, manifest=manifest, modified_ms=state.modified_ms, key=key
            )
        else:
            edit = Make(parent=state.parent, name=state.name, manifest=manifest, modified_ms=state.modified_ms, key=key)
        try:
            (outcome,) = await self._drive.commit(self._user, state.space, [edit], self._session)
        except Refusal as refusal:
            if refusal.code != "not-found":
                raise
            outcome = await self._drive.outcome(self._user, state.space, key)  # another request was first
        if outcome.code:
            # To the client a 404 would say that the upload is gone: it is there, and can be tried again.
            code = "conflict" if outcome.code == "not-found" else outcome.code
            raise Refusal(code, f"all of it is here, and it cannot become a file: {outcome.says}")
        self.node = outcome.node

    async def end(self) -> None:
        """Let go of all that came."""
        await self._drive.end(self._user, self._session)


async def begun(drive: Any, user: UserId, space: Space, length: int, it: Metadata, said: str) -> tuple[SessionId, int]:
    """Begin an upload of so many bytes, if they can become a file as things are; return its id and when it expires."""
    where = await spot(drive, user, space.id, it.names)
    if where.folder is None:
        raise Refusal("conflict", "the folder that it is to be in is not there: make it first")
    if where.node is not None and (not it.version or where.node.content is None):
        kind = "folder" if where.node.content is None else "file"
        raise Refusal("conflict", f"a {kind} of this name is there; say the version of a file to let it hold this")
    if it.version and (where.node is None or where.node.version != it.version):
        raise Refusal("conflict", "the file is not at this version: look at what it is now")
    if length > CHUNKS_MAX * (usual := Cutting.of(space.cutting).usual):
        raise Refusal("too-large", f"a file has at most {CHUNKS_MAX * usual:,} bytes here")
    if length > (free := space.quota - space.used):
        raise Refusal("too-large", f"there is no room for {length:,} bytes: {max(0, free):,} are free")
    state = State(
        space=space.id,
        length=length,
        said=said,
        parent=where.folder,
        name=where.name,
        node=where.id,
        version=it.version,
        modified_ms=it.modified_ms,
        cutting=space.cutting,
    )
    session = await drive.begin(user, space.id, [])
    try:
        return session.id, await drive.remember(user, session.id, 0, 0, _encode(state))
    except Refusal:
        with suppress(Refusal, TimeoutError):
            await drive.end(user, session.id)
        raise


async def found(drive: Any, user: UserId, space: SpaceId, session: SessionId) -> Growing:
    """Return an upload of somebody, also one that has become a file; refuse alike what is none, or another's."""
    try:
        it = Growing(drive, user, session, await drive.remembered(user, session))
        if it.space == space:
            return it
    except Refusal as refusal:
        if refusal.code != "not-found":
            raise
    try:
        outcome = await drive.outcome(user, space, _key(user, session))
    except Refusal as refusal:
        raise no_such_upload() if refusal.code == "not-found" else refusal from None
    size = outcome.node.content.size
    done = State(space=space, length=size, said="", parent=NodeId(0), name="", node=outcome.node.id, version=0,
                 modified_ms=0, cutting="")  # fmt: skip
    it = Growing(drive, user, session, Memory(offset=size, state=_encode(done)))
    it.node = outcome.node
    return it


def no_such_upload() -> Refusal:
    return Refusal("not-found", "there is no such upload, or no longer: begin anew")


def _key(user: UserId, session: SessionId) -> str:
    """Return the key of the edit that an upload ends with: nobody else has the same, or learns of the session by it."""
    return "tus-" + hashlib.sha256(f"{user} {session}".encode("utf-8", "surrogatepass")).hexdigest()[:56]


def _packed(chunks: list[Chunk]) -> bytes:
    return b"".join(bytes.fromhex(it.digest) + it.size.to_bytes(SIZE_BYTES, "big") for it in chunks)


def _unpacked(chunks: bytes) -> list[Chunk]:
    """Return the chunks that were packed.

    >>> _unpacked(_packed([Chunk("ab" * 32, 7)])) == [Chunk("ab" * 32, 7)]
    True
    """
    step = DIGEST_BYTES + SIZE_BYTES
    return [
        Chunk(
            Digest(chunks[at : at + DIGEST_BYTES].hex()), int.from_bytes(chunks[at + DIGEST_BYTES : at + step], "big")
        )
        for at in range(0, len(chunks), step)
    ]
