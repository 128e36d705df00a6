"""Bytes in and out, and what is too large to be held back: sessions, packs, commits, chunks, whole files."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec
from litestar import get, head, post, put
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody

from fathom.blocks.buffers import Buffers
from fathom.errors import Refusal
from fathom.web.app import Gate, Reply, Stream, Visit
from fathom.web.problems import Problem
from fathom.web.sockets import Met

from ..api import PACK_BYTES_MAX, PACKS, PACKS_MAX, Cursor, Digest, Drive, Node, Session, SessionId, Space, UserId
from .body import Body
from .conditions import Unmet, tag_of
from .live import Live
from .parameters import (
    ChunkPath,
    Epoch,
    FilePath,
    NodePath,
    Octets,
    Seq,
    SessionPath,
    SpacePath,
    Version,
    Viewer,
    Within,
)
from .paths import Spot, names_of, spot
from .reading import Reading, unmet, version_of
from .saving import Saving
from .shapes import Asked, Commit, Needed, Outcomes
from .spaces import node_of, space_of
from .unbuffered import Paths, Route, Spoken, said, within
from .writing import Room

__all__ = ["JSON_BYTES_MAX", "Contents", "handlers"]

JSON_BYTES_MAX = 16 << 20  # what a file of as many chunks as there can be takes, three times
ANSWER_S = 30.0
FORGET_S = 10.0  # after the last pack, what it lay in
NOTHING = Cursor("", 0)
T = TypeVar("T")
_encode = msgspec.json.Encoder().encode


class Contents:
    """The routes below `under` that are no framework's: their bodies are read only once it is known who sends them."""

    def __init__(self, drive: Drive, gate: Gate[UserId], under: str, live: Live) -> None:
        self._drive, self._gate, self._live = drive, gate, live
        self._depth = len(under.strip("/").split("/"))
        self.reading, self.saving = Reading(drive), Saving(drive)
        self._buffers = Buffers(PACK_BYTES_MAX, keep=PACKS)
        self._forgetting: asyncio.TimerHandle | None = None
        self._packs, self._forms = Room(PACKS_MAX + 4, PACKS_MAX), Room(8, 4)
        at = f"{under}/spaces/{{space}}"
        self._paths = Paths(
            [
                Route("POST", f"{at}/sessions", "begin", self.begin),
                Route("POST", f"{under}/sessions/{{session}}/packs", "give", self.give),
                Route("POST", f"{under}/sessions/{{session}}/chunks", "extend", self.extend),
                Route("POST", f"{at}/commits", "commit", self.commit),
                Route("GET", f"{at}/chunks/{{digest}}", "chunk", self.chunk),
                Route("GET", f"{at}/files/{{node}}/content", "content", self.content),
                Route("HEAD", f"{at}/files/{{node}}/content", "content-head", self.content),
                Route("GET", f"{at}/content/{{path:path}}", "read", self.read),
                Route("HEAD", f"{at}/content/{{path:path}}", "read-head", self.read),
                Route("PUT", f"{at}/content/{{path:path}}", "write", self.write),
                Route("GET", f"{at}/live", "live", self.live),
                Route("GET", f"{at}/moved", "moved", self.moved),
            ],
            self,
        )
        self._sockets = f"{at}/live".split("/")
        self.operations = frozenset(route.operation for route in self._paths.routes)

    def find(self, method: str, path: str) -> Spoken | None:
        return self._paths.find(method, path)

    def problem(self, it: Problem) -> Reply:
        return said(it)

    # Chunks and edits

    async def begin(self, visit: Visit, body: Body) -> Reply:
        user, (_, space, _) = await self._enter(visit, 3)
        asked = await self._form(user, body, visit, Asked)
        session = await within(ANSWER_S, self._drive.begin(user, space_of(space), asked.chunks))
        return Reply(201, _encode(session))

    async def give(self, visit: Visit, body: Body) -> Reply:
        user, (_, session, _) = await self._enter(visit, 3)
        _check_form(visit, b"application/octet-stream")
        async with self._packs.taken(user):
            with ExitStack() as held:
                # A buffer serves as well as bytes, and is not used any more when the drive has answered.
                pack: Any = await body.in_place(
                    PACK_BYTES_MAX, lambda size: held.enter_context(self._buffers.lent(size))
                )
                needed = await within(ANSWER_S, self._drive.give(user, SessionId(unquote(session)), pack))
        self._forget_later()
        return Reply(200, _encode(Needed(needed=needed)))

    def _forget_later(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(FORGET_S, self._buffers.forget)

    async def extend(self, visit: Visit, body: Body) -> Reply:
        user, (_, session, _) = await self._enter(visit, 3)
        asked = await self._form(user, body, visit, Asked)
        drive: Any = self._drive  # one of `Programs`
        return Reply(
            200, _encode(await within(ANSWER_S, drive.extend(user, SessionId(unquote(session)), asked.chunks)))
        )

    async def commit(self, visit: Visit, body: Body) -> Reply:
        user, (_, space, _) = await self._enter(visit, 3)
        asked = await self._form(user, body, visit, Commit)
        session = SessionId(asked.session)
        work = self._drive.commit(user, space_of(space), asked.edits, session, asked.device, asked.epoch)
        return Reply(200, _encode(Outcomes(outcomes=await within(ANSWER_S, work))))

    async def chunk(self, visit: Visit, body: Body) -> Reply:
        user, (_, space, _, digest) = await self._enter(visit, 4)
        data = await within(ANSWER_S, self._drive.chunk(user, space_of(space), Digest(unquote(digest))))
        # What a digest names never changes.
        fields = [(b"cache-control", b"private, max-age=31536000, immutable")]
        return Reply(200, data, fields, b"application/octet-stream")

    # Files

    async def content(self, visit: Visit, body: Body) -> Reply | Stream:
        user, (_, space, _, node, _) = await self._enter(visit, 5)
        version = _version(visit.query)
        where = space_of(space)
        found = await within(ANSWER_S, version_of(self._drive, user, where, node_of(node), version))
        return await self.reading.answer(user, where, found, visit.headers, head=visit.scope["method"] == "HEAD")

    async def read(self, visit: Visit, body: Body) -> Reply | Stream:
        user, space, where = await self._entered(visit)
        if where.node is None:
            raise Refusal("not-found", "there is no such file or folder")
        head = visit.scope["method"] == "HEAD"
        return await self.reading.answer(user, space.id, where.node, visit.headers, head=head)

    async def write(self, visit: Visit, body: Body) -> Reply:
        user, space, where = await self._entered(visit)
        try:
            saved = await self.saving.put(user, space, where, body, visit.headers)
        except Unmet:
            return unmet()
        node = saved.node
        fields = [(b"etag", tag_of(node.content).encode())] if node.content is not None else []
        return Reply(201 if saved.made else 200, _encode(node), fields)

    async def live(self, visit: Visit, body: Body) -> Stream:
        user, (_, space, _) = await self._enter(visit, 3)
        token = self._gate.bearer.token(visit.headers.get(b"authorization"))
        return await within(ANSWER_S, self._live.stream(user, space_of(space), token))

    async def moved(self, visit: Visit, body: Body) -> Stream:
        user, (_, space, _) = await self._enter(visit, 3)
        known, within_s = _waits(visit.query)
        token = self._gate.bearer.token(visit.headers.get(b"authorization"))
        return await within(ANSWER_S, self._live.moved(user, space_of(space), token, known or NOTHING, within_s))

    def find_met(self, path: str) -> Met | None:
        """Return what answers a websocket on a path."""
        words = path.split("/")
        fits = len(words) == len(self._sockets) and all(
            its == word or its == "{space}" for its, word in zip(self._sockets, words, strict=True)
        )
        return Met("live-socket", self.socket) if fits else None

    async def socket(self, visit: Visit) -> Stream:
        user, (_, space, _) = await self._enter(visit, 3)
        known, _ = _waits(visit.query)
        token = self._gate.bearer.token(visit.headers.get(b"authorization"))
        return await within(ANSWER_S, self._live.socket(user, space_of(space), token, known))

    # -----------------------------------------------------------------------------------------------------------------

    async def _enter(self, visit: Visit, words: int) -> tuple[UserId, list[str]]:
        """Return who asks, and the words of the path as they were written."""
        user = await within(ANSWER_S, self._gate.enter(visit))
        steps = _steps(visit)[self._depth :]
        if len(steps) != words:  # a slash that was written as %2F parts nothing
            raise Refusal("not-found", "nothing lies at this address")
        return user, [step.decode("latin-1") for step in steps]

    async def _entered(self, visit: Visit) -> tuple[UserId, Space, Spot]:
        """Return who asks, and the space and the place in it that a path says."""
        user = await within(ANSWER_S, self._gate.enter(visit))
        steps = _steps(visit)[self._depth :]
        if len(steps) < 3 or steps[2] != b"content":
            raise Refusal("not-found", "nothing lies at this address")
        space = await within(ANSWER_S, self._drive.space(user, space_of(steps[1].decode("latin-1"))))
        names = names_of(b"/".join(steps[3:]))
        return user, space, await within(ANSWER_S, spot(self._drive, user, space.id, names))

    async def _form(self, user: UserId, body: Body, visit: Visit, shape: type[T]) -> T:
        _check_form(visit, b"application/json")
        async with self._forms.taken(user):
            raw = await body.in_place(JSON_BYTES_MAX)
            try:
                return msgspec.json.decode(raw, type=shape)
            except msgspec.ValidationError as unfit:
                raise Refusal("invalid", str(unfit)) from None
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise Refusal("invalid", "the body is no JSON that can be read") from None


def _steps(visit: Visit) -> list[bytes]:
    return visit.scope["raw_path"].partition(b"?")[0].strip(b"/").split(b"/")


def _check_form(visit: Visit, wanted: bytes) -> None:
    form = visit.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if form != wanted:
        raise _Form(wanted.decode())


class _Form(Refusal):
    """The body does not say that it is what it has to be."""

    def __init__(self, wanted: str) -> None:
        super().__init__("unsupported-media-type", f"send {wanted}")


def _version(query: bytes) -> int:
    for name, _, text in (each.partition(b"=") for each in query.split(b"&") if each):
        if name != b"version" or not text.isdigit() or len(text) > 15:
            raise Refusal("invalid", "all that can be asked is a version, as a whole number")
        return int(text)
    return 0


def _waits(query: bytes) -> tuple[Cursor | None, float]:
    """Return the cursor that is known, if one is said, and for how many seconds an answer may wait."""
    said = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    if unknown := said.keys() - {"epoch", "seq", "within_s"}:
        raise Refusal("invalid", f"what can be asked is epoch, seq and within_s, not {min(unknown)}")
    seq, seconds = said.get("seq", ""), said.get("within_s", "25")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) <= 4):
        raise Refusal("invalid", "within_s is a whole number of seconds")
    if "epoch" not in said and "seq" not in said:
        return None, float(seconds)
    if not (seq.isascii() and seq.isdigit() and len(seq) <= 18 and said.get("epoch")):
        raise Refusal("invalid", "a cursor is an epoch, and a whole number as seq")
    return Cursor(said["epoch"], int(seq)), float(seconds)


def handlers(under: str) -> list[Any]:
    """Return handlers that describe these routes: they answer only what is written in another way than it lies."""
    at = f"{under}/spaces/{{space:str}}"

    def nothing() -> Any:
        raise Refusal("not-found", "nothing lies at this address")

    @post(f"{at}/sessions", operation_id="begin", tags=["chunks"])
    async def begin(viewer: Viewer, space: SpacePath, data: JSONBody[Asked]) -> Session:
        """Say which chunks are to be used; return which of them are needed, and until when all others stay."""
        return nothing()

    @post(f"{under}/sessions/{{session:str}}/packs", operation_id="give", tags=["chunks"], status_code=200)
    async def give(viewer: Viewer, session: SessionPath, data: Octets) -> Needed:
        """Keep the chunks in a pack, durable when this answers; return what is still needed."""
        return nothing()

    @post(f"{under}/sessions/{{session:str}}/chunks", operation_id="extend", tags=["chunks"], status_code=200)
    async def extend(viewer: Viewer, session: SessionPath, data: JSONBody[Asked]) -> Session:
        """Say that more chunks are to be used in a session; return what is still needed."""
        return nothing()

    @post(f"{at}/commits", operation_id="commit", tags=["spaces"], status_code=200)
    async def commit(viewer: Viewer, space: SpacePath, data: JSONBody[Commit]) -> Outcomes:
        """Do edits in their order, durable when this answers: each alone is done or not."""
        return nothing()

    @get(f"{at}/chunks/{{digest:str}}", operation_id="chunk", tags=["chunks"], media_type="application/octet-stream")
    async def chunk(viewer: Viewer, space: SpacePath, digest: ChunkPath) -> bytes:
        """Return a chunk that some version of some file of this space has."""
        return nothing()

    @get(f"{at}/files/{{node:str}}/content", operation_id="content", tags=["files"],
         media_type="application/octet-stream")  # fmt: skip
    async def content(viewer: Viewer, space: SpacePath, node: NodePath, version: Version = 0) -> bytes:
        """Return what a file holds, or did at some version; Range, If-Range and If-None-Match are understood."""
        return nothing()

    @head(f"{at}/files/{{node:str}}/content", operation_id="content-head", tags=["files"])
    async def content_head(viewer: Viewer, space: SpacePath, node: NodePath, version: Version = 0) -> None:
        """Return how long a file is, and its etag."""
        nothing()

    @get(f"{at}/content/{{path:path}}", operation_id="read", tags=["files"], media_type="application/octet-stream")
    async def read(viewer: Viewer, space: SpacePath, path: FilePath) -> bytes:
        """Return what the file at a path holds."""
        return nothing()

    @head(f"{at}/content/{{path:path}}", operation_id="read-head", tags=["files"])
    async def read_head(viewer: Viewer, space: SpacePath, path: FilePath) -> None:
        """Return how long the file at a path is, and its etag."""
        nothing()

    made = {201: ResponseSpec(Node, generate_examples=False, description="It was not there before")}

    @put(f"{at}/content/{{path:path}}", operation_id="write", tags=["files"], responses=made)
    async def write(viewer: Viewer, space: SpacePath, path: FilePath, data: Octets) -> Node:
        """Let the file at a path hold these bytes; If-Match and If-None-Match: * are understood."""
        return nothing()

    @get(f"{at}/live", operation_id="live", tags=["spaces"], media_type="text/event-stream")
    async def live(viewer: Viewer, space: SpacePath) -> bytes:
        """Tell how far the journal is, at once and whenever it moves: come and fetch the changes.

        As server-sent events; or, to who asks to upgrade, on a websocket: each message is a head as JSON. There,
        `?epoch=E&seq=N` says what is known already, and only what is not is told.
        """
        return nothing()

    @get(f"{at}/moved", operation_id="moved", tags=["spaces"])
    async def moved(viewer: Viewer, space: SpacePath, epoch: Epoch = "", seq: Seq = 0, within_s: Within = 25) -> Space:
        """Return the space as soon as its head is not this one, or after so many seconds (at most 50)."""
        return nothing()

    return [begin, give, extend, commit, chunk, content, content_head, read, read_head, write, live, moved]
