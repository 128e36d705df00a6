"""tus 1.0 (tus.io): large files from any HTTP client, and after an interruption only what is missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from email.utils import formatdate
from urllib.parse import quote, unquote

from fathom.errors import Refusal
from fathom.web.app import Gate, Reply, Visit
from fathom.web.problems import Problem

from ...api import Drive, SessionId, SpaceId, UserId
from ..body import Body
from ..paths import number
from ..saving import Saving
from ..unbuffered import Spoken, said, within
from .growing import BYTES_MAX, Growing, Unlike, begun, found, no_such_upload
from .metadata import ALGORITHMS, checksum, metadata

__all__ = ["METHODS", "VERSION", "Tus"]

VERSION = "1.0.0"
METHODS = ("OPTIONS", "POST", "HEAD", "PATCH", "DELETE")
ANSWER_S = 30.0
OCTETS = b"application/offset+octet-stream"
_SPOKEN = (b"tus-resumable", VERSION.encode())
_ABLE = [
    (b"tus-version", VERSION.encode()),
    (b"tus-extension", b"creation,checksum,expiration,termination"),
    (b"tus-max-size", b"%d" % BYTES_MAX),
    (b"tus-checksum-algorithm", ",".join(ALGORITHMS).encode()),
]


class Never(Exception):
    """An answer that tus has a status of its own for."""

    def __init__(self, status: int, code: str, says: str, *headers: tuple[bytes, bytes]) -> None:
        self.problem = Problem(title=says.partition(":")[0].capitalize(), status=status, code=code, detail=says)
        self.headers = headers


class Tus:
    """All that lies below `under`: `under/SPACE`, where uploads begin, and `under/SPACE/UPLOAD`."""

    def __init__(self, drive: Drive, gate: Gate[UserId], under: str, saving: Saving) -> None:
        self._drive, self._gate, self._under, self._saving = drive, gate, under, saving
        self._by_name: dict[str, Callable[[Visit, Body, UserId, SpaceId, SessionId], Awaitable[Reply]]] = {
            "HEAD": self._head,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        self.operations = frozenset(f"tus {name}" for name in METHODS)

    def find(self, method: str, path: str) -> Spoken | None:
        if not path.startswith(f"{self._under}/"):
            return None
        return Spoken(f"tus {method if method in METHODS else 'OPTIONS'}", self._answer, self)

    def problem(self, it: Problem) -> Reply:
        return said(it, [_SPOKEN])

    async def _answer(self, visit: Visit, body: Body) -> Reply:
        try:
            return await self._of_method(visit, body)
        except Never as never:
            return said(never.problem, [*([_SPOKEN] if never.problem.status != 412 else []), *never.headers])
        except Unlike:
            says = "the bytes that came are not those whose checksum was sent: send them again"
            return self.problem(Problem(title="Checksum mismatch", status=460, code="unlike", detail=says))

    async def _of_method(self, visit: Visit, body: Body) -> Reply:
        method = visit.scope["method"]
        if method == "OPTIONS":  # what it says is the same for everybody
            return Reply(204, b"", [_SPOKEN, *_ABLE])
        user = await within(ANSWER_S, self._gate.enter(visit))
        if _text(visit, "tus-resumable") != VERSION:
            raise Never(412, "unmet", f"say Tus-Resumable: {VERSION}", *_ABLE[:1])
        steps = visit.scope["path"].removeprefix(self._under).strip("/").split("/")
        if len(steps) > 2 or not steps[0]:
            raise Refusal("not-found", "nothing lies at this address")
        space = SpaceId(number(steps[0], "space"))
        if method == "POST":
            method = (_text(visit, "x-http-method-override") or method).upper()
        if len(steps) == 1 and method == "POST":
            return await self._create(visit, user, space)
        answer = self._by_name.get(method) if len(steps) == 2 else None
        if answer is None:
            allow = b"OPTIONS, HEAD, PATCH, DELETE" if len(steps) == 2 else b"OPTIONS, POST"
            raise Never(405, "method-not-allowed", "that cannot be done to this", (b"allow", allow))
        return await answer(visit, body, user, space, SessionId(unquote(steps[1])))

    async def _create(self, visit: Visit, user: UserId, space: SpaceId) -> Reply:
        room = await within(ANSWER_S, self._drive.space(user, space))
        if _text(visit, "upload-defer-length") is not None:
            raise Never(400, "invalid", "how long it is has to be said at once: Upload-Length")
        length = _number(visit, "upload-length")
        if length > BYTES_MAX:
            raise Refusal("too-large", f"a file has at most {BYTES_MAX:,} bytes")
        told = _text(visit, "upload-metadata") or ""
        it = metadata(told)
        session, expires_ms = await within(ANSWER_S, begun(self._drive, user, room, length, it, told))
        fields = [_SPOKEN, (b"location", f"{self._under}/{space}/{quote(session, safe='')}".encode())]
        if length:
            fields.append(_expiry(expires_ms))
        else:  # all of it is there
            await (await found(self._drive, user, space, session)).finish()
        return Reply(201, b"", fields)

    async def _head(self, visit: Visit, body: Body, user: UserId, space: SpaceId, session: SessionId) -> Reply:
        it = await within(ANSWER_S, found(self._drive, user, space, session))
        # A client that reads that all of it is here takes it for a file; its commit may have gone with an answer.
        await within(ANSWER_S, it.finish())
        fields = [_SPOKEN, (b"cache-control", b"no-store"), (b"upload-length", b"%d" % it.length), *_state(it)]
        if it.said:
            fields.append((b"upload-metadata", it.said.encode("latin-1")))
        return Reply(200, b"", fields)

    async def _patch(self, visit: Visit, body: Body, user: UserId, space: SpaceId, session: SessionId) -> Reply:
        if visit.headers.get(b"content-type", b"").strip().lower() != OCTETS:
            raise Never(415, "unsupported-media-type", f"send {OCTETS.decode()}")
        offset = _number(visit, "upload-offset")
        promised = checksum(told) if (told := _text(visit, "upload-checksum")) is not None else None
        async with self._saving.room.taken(user):
            it = await within(ANSWER_S, found(self._drive, user, space, session))
            if it.offset != offset:
                raise Refusal("conflict", f"{it.offset:,} bytes of it are here: go on from there")
            await it.append(body.pieces(it.length - offset), promised)
            await within(ANSWER_S, it.finish())
        return Reply(204, b"", [_SPOKEN, *_state(it)])

    async def _delete(self, visit: Visit, body: Body, user: UserId, space: SpaceId, session: SessionId) -> Reply:
        it = await within(ANSWER_S, found(self._drive, user, space, session))
        if it.node is not None:
            raise Refusal("conflict", "it has become a file, which can be dropped")
        try:
            await within(ANSWER_S, it.end())
        except Refusal as refusal:
            raise no_such_upload() if refusal.code == "not-found" else refusal from None
        return Reply(204, b"", [_SPOKEN])


def _state(it: Growing) -> list[tuple[bytes, bytes]]:
    fields = [(b"upload-offset", b"%d" % it.offset)]
    return fields if it.node is not None else [*fields, _expiry(it.expires_ms)]


def _expiry(expires_ms: int) -> tuple[bytes, bytes]:
    return b"upload-expires", formatdate(expires_ms // 1_000, usegmt=True).encode()


def _text(visit: Visit, name: str) -> str | None:
    value = visit.headers.get(name.encode())
    return None if value is None else value.decode("latin-1")


def _number(visit: Visit, name: str) -> int:
    text = _text(visit, name) or ""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Never(400, "invalid", f"this needs {name.title()}, a whole number of bytes")
    return int(text)
