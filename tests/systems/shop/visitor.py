"""Somebody at the shop's door: asks the ASGI application as a server would, without a socket between."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

__all__ = ["PASSWORD", "Answer", "Visitor"]

PASSWORD = "correct horse"


class Answer(NamedTuple):
    """What the door said."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The word in a problem that a program acts on."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        return self.json()["code"]


class Visitor:
    """Asks one door, with or without a token."""

    def __init__(self, door: Any, token: str | None = None) -> None:
        self.door, self.token = door, token

    async def joins(self, email: str) -> Visitor:
        """Open an account and log in; return who that is."""
        said = {"email": email, "password": PASSWORD}
        answer = await self.ask("POST", "/api/v1/users", said)
        assert answer.status == 201, answer
        return Visitor(self.door, (await self.ask("POST", "/api/v1/sessions", said)).json()["token"])

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request: `body` as JSON, or `raw` as it is; `path` may have a query."""
        sent: dict[str, str] = {"host": "localhost"}
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if data:
            kind = "application/json" if raw is None else "application/octet-stream"
            sent |= {"content-type": kind, "content-length": str(len(data))}
        if self.token is not None:
            sent["authorization"] = f"Bearer {self.token}"
        if key is not None:
            sent["idempotency-key"] = key
        sent |= headers or {}
        where, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": method, "scheme": "http", "path": unquote(where), "raw_path": where.encode(),
            "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80), "state": {},
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
        }  # fmt: skip
        heard = [{"type": "http.request", "body": data, "more_body": False}]
        said: list[Any] = []

        async def receive() -> Any:
            return heard.pop() if heard else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)

        await self.door(scope, receive, send)
        return Answer(
            said[0]["status"],
            {name.decode(): value.decode() for name, value in said[0]["headers"]},
            b"".join(message.get("body", b"") for message in said[1:]),
        )
