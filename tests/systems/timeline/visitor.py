"""Somebody at the timeline's door: asks the ASGI application as uvicorn would, without a socket between."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from fathom.systems.timeline.api import Timeline

__all__ = ["Answer", "Behind", "Visitor", "neighbours"]


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
        assert said["request_id"] == self.headers["x-request-id"]
        return said["code"]


def neighbours(answer: Answer) -> dict[str, str]:
    """Return the Link header's targets by relation, as paths."""
    found = re.findall(r'<(?:https?://[^/]+)?([^>]+)>; rel="(\w+)"', answer.headers.get("link", ""))
    return {rel: target for target, rel in found}


class Behind:
    """A place behind a door where one timeline after another can lie: a door takes longer to make than to test.

    What one timeline's tokens open, the next one's do not.
    """

    def __init__(self) -> None:
        self.timeline: Any = None
        self._count = 0

    def lies(self, timeline: Any) -> None:
        self.timeline = timeline
        self._count += 1

    def __getattr__(self, verb: str) -> Any:
        if not hasattr(Timeline, verb):
            raise AttributeError(verb)

        async def ask(*asked: Any) -> Any:
            return await getattr(self.timeline, verb)(*asked)

        return ask

    async def login(self, name: str, password: str) -> str:
        return f"{self._count}.{await self.timeline.login(name, password)}"

    async def logout(self, token: str) -> None:
        await self.timeline.logout(self._its(token))

    async def whoami(self, token: str) -> Any:
        return await self.timeline.whoami(self._its(token))

    async def grant(self, *asked: Any) -> str:
        return f"{self._count}.{await self.timeline.grant(*asked)}"

    async def redeem(self, *asked: Any) -> str:
        return f"{self._count}.{await self.timeline.redeem(*asked)}"

    async def granted(self, token: str) -> Any:
        return await self.timeline.granted(self._its(token))

    async def revoke(self, app: str, secret: str, token: str) -> None:
        await self.timeline.revoke(app, secret, self._its(token))

    def _its(self, token: str) -> str:
        number, _, its = token.partition(".")
        return its if number == str(self._count) else ""


class Visitor:
    """Asks one door, with or without a token. `timeline` is what lies behind it, for tests that look there."""

    def __init__(self, door: Any, token: str | None = None, *, timeline: Any = None) -> None:
        self.door, self.token, self.timeline = door, token, timeline

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        token: str | None = None,
    ) -> Answer:
        """Send one request. `body` goes as JSON, `raw` as it is; `path` may have a query."""
        sent: dict[str, str] = {"host": "localhost"}
        data = b"" if body is None else json.dumps(body).encode()
        if raw is not None:
            data = raw
        if body is not None or raw is not None:
            sent |= {"content-type": "application/json", "content-length": str(len(data))}
        if (known := token or self.token) is not None:
            sent["authorization"] = f"Bearer {known}"
        sent |= headers or {}
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
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "state": {},
        }
        heard = [{"type": "http.request", "body": data, "more_body": False}]
        said: list[Any] = []

        async def receive() -> Any:
            return heard.pop() if heard else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        await self.door(scope, receive, send)
        assert said[0]["type"] == "http.response.start"
        assert not said[-1].get("more_body", False)
        fields: Iterable[tuple[bytes, bytes]] = said[0]["headers"]
        names = [name for name, _ in fields]
        assert len(names) == len(set(names)), f"a header field is said twice: {names}"
        return Answer(
            said[0]["status"],
            {name.decode(): value.decode() for name, value in fields},
            b"".join(message.get("body", b"") for message in said[1:]),
        )

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def put(self, path: str, **more: Any) -> Answer:
        return await self.ask("PUT", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> Answer:
        return await self.ask("POST", path, body, **more)

    async def delete(self, path: str, **more: Any) -> Answer:
        return await self.ask("DELETE", path, **more)

    async def writes(self, body: str) -> str:
        """Write a post; return its id."""
        answer = await self.post("/api/v1/posts", {"body": body})
        assert answer.status == 201, answer
        return answer.json()["id"]

    async def joins(self, name: str, password: str = "correct horse") -> Visitor:
        """Open an account and log in; return who that is."""
        answer = await self.post("/api/v1/users", {"name": name, "password": password})
        assert answer.status == 201, answer
        return await self.logs_in(name, password)

    async def logs_in(self, name: str, password: str = "correct horse") -> Visitor:
        answer = await self.post("/api/v1/sessions", {"name": name, "password": password})
        assert answer.status == 201, answer
        return Visitor(self.door, answer.json()["token"], timeline=self.timeline)
