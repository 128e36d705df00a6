"""A drive asked over its REST door: every verb as if it were here, and the heads of a space as they move."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from fathom.errors import REFUSALS, Refusal

from ..api import (
    PAGE_MAX,
    Changes,
    Chunk,
    Cursor,
    Digest,
    Edit,
    Manifest,
    Node,
    NodeId,
    Nodes,
    Outcome,
    Session,
    SessionId,
    Space,
    SpaceId,
    User,
    UserId,
)
from .pool import Answer, Connection, Lost, Pool, Unsent

if TYPE_CHECKING:
    from .talking import Talking

__all__ = ["Rest"]

DEADLINE_S = 30.0
SILENT_S = 45.0  # a door pings every 15 s who listens
BACKOFF_S_MIN, BACKOFF_S_MAX = 0.25, 30.0
NO_PAGE = "this is not where a page begins: take `after` of the page before, or nothing"
JSON, OCTETS = "application/json", "application/octet-stream"

_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*")
T = TypeVar("T")


class Rest:
    """A body of `api.Drive` that asks a door; whoever `user` says, the token says who it is.

    A verb that only reads is asked again if its answer was lost. After a TimeoutError from any other it is unknown
    whether it was done; a Refusal of `unavailable` says that it surely was not.

        async with Rest("http://127.0.0.1:8080", token) as drive:
            (space,) = await drive.spaces(user)
    """

    def __init__(self, url: str, token: str = "", *, connections: int = 8, deadline_s: float = DEADLINE_S) -> None:
        self._pool = Pool(url, connections=connections)
        self._token, self._deadline_s = token, deadline_s

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(self, *error: object) -> None:
        self._pool.close()

    # Accounts

    async def join(self, name: str, password: str) -> User:
        return await self._ask(User, "POST", "users", {"name": name, "password": password})

    async def login(self, name: str, password: str) -> str:
        return (await self._ask(_Token, "POST", "tokens", {"name": name, "password": password})).token

    async def whoami(self, token: str) -> UserId:
        return (await self._ask(_Me, "GET", "me", token=token)).id

    async def logout(self, token: str) -> None:
        try:
            await self._ask(None, "DELETE", "tokens", token=token)
        except Refusal as refusal:
            if refusal.code != "unauthorised":  # it was worthless before
                raise

    # Spaces

    async def spaces(self, user: UserId) -> list[Space]:
        return await self._ask(list[Space], "GET", "spaces")

    async def space(self, user: UserId, space: SpaceId) -> Space:
        return await self._ask(Space, "GET", f"spaces/{space}")

    async def changes(self, user: UserId, space: SpaceId, cursor: Cursor, limit: int = PAGE_MAX) -> Changes:
        query = urlencode({"epoch": cursor.epoch, "seq": cursor.seq, "limit": limit})
        return await self._ask(Changes, "GET", f"spaces/{space}/changes?{query}")

    async def tree(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        return await self._page(f"spaces/{space}/tree", after, limit)

    async def trash(self, user: UserId, space: SpaceId, after: str = "", limit: int = PAGE_MAX) -> Nodes:
        return await self._page(f"spaces/{space}/trash", after, limit)

    async def listing(
        self, user: UserId, space: SpaceId, folder: NodeId, after: str = "", limit: int = PAGE_MAX
    ) -> Nodes:
        return await self._page(f"spaces/{space}/folders/{folder}", after, limit)

    async def _page(self, path: str, after: str, limit: int) -> Nodes:
        if not _is_text(after):
            raise Refusal("invalid", NO_PAGE)
        return await self._ask(Nodes, "GET", f"{path}?{urlencode({'after': after, 'limit': limit})}")

    # Files

    async def node(self, user: UserId, space: SpaceId, id: NodeId) -> Node:
        return await self._ask(Node, "GET", f"spaces/{space}/nodes/{id}")

    async def at(self, user: UserId, space: SpaceId, path: list[str]) -> list[Node]:
        names = [name if _is_text(name) else "" for name in path]  # neither is what anything is called
        return await self._ask(list[Node], "POST", f"spaces/{space}/at", {"path": names}, reads=True)

    async def versions(self, user: UserId, space: SpaceId, id: NodeId) -> list[Node]:
        return (await self._ask(_Versions, "GET", f"spaces/{space}/files/{id}/versions")).versions

    async def manifest(self, user: UserId, space: SpaceId, id: NodeId, version: int = 0) -> Manifest:
        return await self._ask(Manifest, "GET", f"spaces/{space}/files/{id}/manifest?version={version}")

    async def manifests(self, user: UserId, space: SpaceId, files: list[tuple[NodeId, int]]) -> list[Manifest | None]:
        return (
            await self._ask(_Manifests, "POST", f"spaces/{space}/manifests", {"files": files}, reads=True)
        ).manifests

    async def chunk(self, user: UserId, space: SpaceId, digest: Digest) -> bytes:
        return await self._asked("GET", f"spaces/{space}/chunks/{quote(digest, safe='')}", reads=True)

    # What is done

    async def begin(self, user: UserId, space: SpaceId, chunks: list[Chunk]) -> Session:
        return await self._ask(Session, "POST", f"spaces/{space}/sessions", {"chunks": chunks})

    async def give(self, user: UserId, session: SessionId, pack: bytes | bytearray | memoryview) -> list[Digest]:
        path = f"sessions/{quote(session, safe='')}/packs"
        answer = await self._asked("POST", path, pack, form=OCTETS)
        return _read(answer, _Needed).needed

    async def renew(self, user: UserId, session: SessionId) -> Session:
        return await self._ask(Session, "POST", f"sessions/{quote(session, safe='')}/renewal", reads=True)

    async def commit(
        self,
        user: UserId,
        space: SpaceId,
        edits: list[Edit],
        session: SessionId = SessionId(""),
        device: str = "",
        epoch: str = "",
    ) -> list[Outcome]:
        asked = {"edits": edits, "session": session, "device": device, "epoch": epoch}
        return (await self._ask(_Outcomes, "POST", f"spaces/{space}/commits", asked)).outcomes

    # What programs ask besides

    async def extend(self, user: UserId, session: SessionId, chunks: list[Chunk]) -> Session:
        return await self._ask(Session, "POST", f"sessions/{quote(session, safe='')}/chunks", {"chunks": chunks})

    async def end(self, user: UserId, session: SessionId) -> None:
        await self._ask(None, "POST", f"sessions/{quote(session, safe='')}/end")

    async def outcome(self, user: UserId, space: SpaceId, key: str) -> Outcome:
        return await self._ask(Outcome, "GET", f"spaces/{space}/outcomes/{quote(key, safe='')}")

    async def properties(self, user: UserId, space: SpaceId, ids: list[NodeId]) -> list[dict[str, str]]:
        return await self._ask(list[dict[str, str]], "POST", f"spaces/{space}/properties", {"ids": ids}, reads=True)

    async def describe(self, user: UserId, space: SpaceId, id: NodeId, properties: dict[str, str]) -> None:
        await self._ask(None, "POST", f"spaces/{space}/nodes/{id}/properties", {"properties": properties})

    async def settled(self) -> None:
        await self._ask(None, "POST", "settled", reads=True)

    # Heads as they move

    async def moved(self, space: SpaceId, known: Cursor, within_s: int) -> Space:
        """Return a space as soon as it is not at this cursor any more, or as it is after so many seconds."""
        query = urlencode({"epoch": known.epoch, "seq": known.seq, "within_s": within_s})
        path, fields = f"/api/spaces/{space}/moved?{query}", self._fields(self._token)
        try:
            answer = await self._pool.ask("GET", path, fields, within_s=within_s + self._deadline_s)
        except Unsent as unsent:
            raise Refusal("unavailable", str(unsent), retry_s=1) from None
        except Lost as lost:
            raise TimeoutError(str(lost)) from None
        if answer.status != 200:
            raise _refused(answer)
        return _read(answer.body, Space)

    async def live(self, space: SpaceId, known: Cursor | None = None) -> AsyncGenerator[Cursor]:
        """Give how far a space's journal is, on a websocket: each head that is not known, for as long as one asks.

        A connection that breaks is made anew, and goes on from the head that was given last. Ends where no websocket
        gets through, or there is no room for one now: ask in another way. Raises Refusal where the space may not be
        listened to, or no longer.
        """
        backoff_s = BACKOFF_S_MIN
        while True:
            began_s = asyncio.get_running_loop().time()
            try:
                async with contextlib.aclosing(self._heads(space, known)) as heads:
                    async for known in heads:
                        yield known
            except _NoSocket:
                return
            except (Unsent, Lost, TimeoutError, OSError):
                pass
            if asyncio.get_running_loop().time() - began_s > SILENT_S:
                backoff_s = BACKOFF_S_MIN  # it was good for as long as one can expect
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
            backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    async def _heads(self, space: SpaceId, known: Cursor | None) -> AsyncGenerator[Cursor]:
        query = "" if known is None else "?" + urlencode({"epoch": known.epoch, "seq": known.seq})
        async with asyncio.timeout(self._deadline_s):
            connection = await self._pool.connect()
        try:
            talking = await self._upgraded(connection, f"/api/spaces/{space}/live{query}")
            while True:
                try:
                    message = await talking.message(SILENT_S)
                except TimeoutError:  # not even a ping: somebody between us lets nothing through
                    raise _NoSocket from None
                if message is None:
                    return
                try:
                    said = msgspec.json.decode(message, type=_Head)
                except msgspec.DecodeError:  # somebody between us talks there
                    raise _NoSocket from None
                yield Cursor(said.epoch, said.head)
        finally:
            connection.close()

    async def _upgraded(self, connection: Connection, path: str) -> Talking:
        """Return a websocket. Raises Refusal for who may not listen, and `_NoSocket` where there is none to be had."""
        from .talking import Talking  # its library takes a tenth of the time that a sync takes to begin

        fields = self._fields(self._token)
        try:
            async with asyncio.timeout(self._deadline_s):
                talking = Talking(connection, self._pool, path)
                refused = await talking.upgrade(fields)
        except (Lost, OSError) as none:  # a timeout, too: many a proxy lets no upgrade through
            raise _NoSocket from none
        if refused is None:
            return talking
        why = _refused(refused)
        if isinstance(why, Refusal) and why.code not in ("unavailable", "too-many"):
            raise why
        raise _NoSocket from why

    # -----------------------------------------------------------------------------------------------------------------

    async def _ask(
        self,
        shape: Any,
        method: str,
        path: str,
        said: Any = None,
        *,
        token: str | None = None,
        reads: bool = False,
    ) -> Any:
        try:
            body = b"" if said is None else msgspec.json.encode(said)
        except UnicodeEncodeError:
            raise Refusal("invalid", "a name is text: this one has bytes that are not UTF-8") from None
        answer = await self._asked(method, path, body, token=token, reads=reads or method == "GET")
        return None if shape is None else _read(answer, shape)

    async def _asked(
        self,
        method: str,
        path: str,
        body: bytes | bytearray | memoryview = b"",
        *,
        form: str = JSON,
        token: str | None = None,
        reads: bool = False,
    ) -> bytes:
        fields = self._fields(self._token if token is None else token)
        if body:
            fields.append(("Content-Type", form))
        for last in (False, True) if reads else (True,):
            try:
                answer = await self._pool.ask(method, f"/api/{path}", fields, body, within_s=self._deadline_s)
            except Unsent as unsent:
                raise Refusal("unavailable", str(unsent), retry_s=1) from None
            except Lost as lost:
                if last:
                    raise TimeoutError(str(lost)) from None
                continue
            if 200 <= answer.status < 300:
                return answer.body
            raise _refused(answer)
        raise AssertionError("the last answer is returned or raised")

    def _fields(self, token: str) -> list[tuple[str, str]]:
        if token and not _TOKEN.fullmatch(token):  # no header has room for it
            raise Refusal("unauthorised", "this token is not, or no longer, valid")
        return [("Authorization", f"Bearer {token}")] if token else []


class _NoSocket(Exception):
    """The door can be reached, but not on a websocket, or not now."""


class _Token(msgspec.Struct):
    token: str


class _Me(msgspec.Struct):
    id: UserId


class _Needed(msgspec.Struct):
    needed: list[Digest]


class _Outcomes(msgspec.Struct):
    outcomes: list[Outcome]


class _Manifests(msgspec.Struct):
    manifests: list[Manifest | None]


class _Versions(msgspec.Struct):
    versions: list[Node]


class _Head(msgspec.Struct):
    head: int
    epoch: str


class _Problem(msgspec.Struct):
    code: str
    detail: str = ""


def _is_text(name: str) -> bool:
    """Whether it can be sent: names of files may have bytes that are no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(answer: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(answer, type=shape)
    except msgspec.DecodeError as unfit:
        raise TimeoutError(f"the answer cannot be read: {unfit}") from None


def _refused(answer: Answer) -> Exception:
    """Return what an answer other than yes stands for: a refusal, or that nobody knows."""
    try:
        it = msgspec.json.decode(answer.body, type=_Problem)
    except msgspec.DecodeError:
        return TimeoutError(f"it was answered with status {answer.status}")
    if it.code in REFUSALS:
        retry = answer.headers.get("retry-after", "")
        return Refusal(it.code, it.detail, retry_s=float(retry) if retry.isdigit() else None)
    if answer.status < 500:
        return Refusal("invalid", it.detail)
    return TimeoutError(it.detail)
