"""Somebody at the drive's door: asks the ASGI application as the server would, without a socket between."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from fathom.blocks.packs import digest_of, pack
from fathom.systems.drive.api import Drive, Programs

__all__ = ["CUTTING", "PASSWORD", "Answer", "Behind", "Visitor", "chunk", "manifest"]

PASSWORD = "correct horse"
CUTTING = "fixed-4"


def chunk(data: bytes) -> list[Any]:
    return [digest_of(data).hex(), len(data)]


def manifest(data: bytes, cutting: str = CUTTING) -> dict[str, Any]:
    return {"cutting": cutting, "chunks": [chunk(data[at : at + 4]) for at in range(0, len(data), 4)]}


class Answer(NamedTuple):
    """What the door said."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The word in a problem that a program acts on; asserts that it is a well-formed problem."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        said = self.json()
        assert said["status"] == self.status
        assert said["title"]
        return said["code"]


class Behind:
    """A place behind a door where one drive after another can lie: a door takes longer to make than to test.

    What one drive's tokens open, the next one's do not.
    """

    def __init__(self) -> None:
        self.drive: Any = None
        self._count = 0

    def lies(self, drive: Any) -> None:
        self.drive = drive
        self._count += 1

    def __getattr__(self, verb: str) -> Any:
        if not (hasattr(Drive, verb) or hasattr(Programs, verb)):
            raise AttributeError(verb)

        async def ask(*asked: Any) -> Any:
            return await getattr(self.drive, verb)(*asked)

        return ask

    async def login(self, name: str, password: str) -> str:
        return f"{self._count}.{await self.drive.login(name, password)}"

    async def logout(self, token: str) -> None:
        await self.drive.logout(self._its(token))

    async def whoami(self, token: str) -> Any:
        return await self.drive.whoami(self._its(token))

    def _its(self, token: str) -> str:
        number, _, its = token.partition(".")
        return its if number == str(self._count) else ""


class Visitor:
    """Asks one door, with a token, with name and password, or with neither. `drive` is what lies behind it."""

    def __init__(self, door: Any, token: str | None = None, *, drive: Any = None, name: str = "") -> None:
        self.door, self.token, self.drive, self.name = door, token, drive, name
        self.basic = False
        self.space = 0

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        pieces: Sequence[bytes] | None = None,
        cut_off: bool = False,
    ) -> Answer:
        """Send one request: `body` as JSON, `raw` as it is, `pieces` one after the other; `cut_off`: then leave."""
        sent: dict[str, str] = {"host": "localhost"}
        parts = list(pieces or [])
        if body is not None:
            parts = [json.dumps(body).encode()]
            sent["content-type"] = "application/json"
        if raw is not None:
            parts = [raw]
            sent["content-type"] = "application/octet-stream"
        if parts and not cut_off:
            sent["content-length"] = str(sum(map(len, parts)))
        elif cut_off:
            sent["content-length"] = str(sum(map(len, parts)) + 1)
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        if self.basic:
            sent["authorization"] = "Basic " + base64.b64encode(f"{self.name}:{PASSWORD}".encode()).decode()
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        where, _, query = path.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(where),
            "raw_path": where.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        heard: list[Any] = [
            {"type": "http.request", "body": part, "more_body": cut_off or number < len(parts) - 1}
            for number, part in enumerate(parts)
        ] or [{"type": "http.request", "body": b"", "more_body": False}]
        said: list[Any] = []
        done = asyncio.Event()

        async def receive() -> Any:
            if heard:
                return heard.pop(0)
            if not cut_off:
                await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        try:
            await self.door(scope, receive, send)
        finally:
            done.set()
        if not said:
            return Answer(0, {}, b"")  # nobody was there any more
        assert said[0]["type"] == "http.response.start"
        assert not said[-1].get("more_body", False)
        names = [name for name, _ in said[0]["headers"]]
        assert len(names) == len(set(names)), f"a header field is said twice: {names}"
        return Answer(
            said[0]["status"],
            {name.decode(): value.decode("latin-1") for name, value in said[0]["headers"]},
            b"".join(message.get("body", b"") for message in said[1:]),
        )

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def put(self, path: str, raw: bytes, **more: Any) -> Answer:
        return await self.ask("PUT", path, raw=raw, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, body, **more)

    @property
    def at(self) -> str:
        """The path of one's own space."""
        return f"/api/spaces/{self.space}"

    async def begins(self, *chunks: bytes) -> Any:
        answer = await self.post(f"{self.at}/sessions", {"chunks": [chunk(data) for data in chunks]})
        assert answer.status == 201, answer
        return answer.json()

    async def gives(self, *chunks: bytes) -> str:
        """Begin a session and give it its chunks; return its id."""
        session = (await self.begins(*chunks))["id"]
        answer = await self.post(f"/api/sessions/{session}/packs", raw=pack(list(chunks)))
        assert (answer.status, answer.json()) == (200, {"needed": []}), answer
        return session

    async def does(self, *edits: Any, session: str = "") -> list[Any]:
        answer = await self.post(f"{self.at}/commits", {"edits": list(edits), "session": session})
        assert answer.status == 200, answer
        return answer.json()["outcomes"]

    async def puts(self, path: str, data: bytes, **more: Any) -> Any:
        """Put a file at a path; return its node."""
        answer = await self.put(f"{self.at}/content/{path}", data, **more)
        assert answer.status in (200, 201), answer
        return answer.json()

    async def makes(self, name: str, parent: int = 0) -> Any:
        """Make a folder; return its node."""
        (outcome,) = await self.does({"do": "make", "parent": parent, "name": name})
        assert "code" not in outcome, outcome
        return outcome["node"]

    async def joins(self, name: str) -> Visitor:
        """Open an account and log in; return who that is."""
        answer = await self.post("/api/users", {"name": name, "password": PASSWORD})
        assert answer.status == 201, answer
        return await self.logs_in(name)

    async def logs_in(self, name: str) -> Visitor:
        answer = await self.post("/api/tokens", {"name": name, "password": PASSWORD})
        assert answer.status == 201, answer
        it = Visitor(self.door, answer.json()["token"], drive=self.drive, name=name)
        (space, *_) = (await it.get("/api/spaces")).json()
        it.space = space["id"]
        return it

    def by_password(self) -> Visitor:
        """Return the same person, who says name and password each time."""
        it = Visitor(self.door, drive=self.drive, name=self.name)
        it.basic, it.space = True, self.space
        return it
