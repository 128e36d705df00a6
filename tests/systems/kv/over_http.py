"""A program at the HTTP door: says what it is told to, and (`HttpKv`) asks the verbs of the store."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from fathom.errors import Refusal
from fathom.systems.kv.api import USUAL, Bucket, Change, Changed, Found, Layout, Page, Terms, Written


class Answer(NamedTuple):
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
        assert said["status"] == self.status and said["title"] and said["request_id"]
        return said["code"]


async def asked(
    url: str, method: str, path: str, body: bytes | None = None, *, tls: ssl.SSLContext | None = None, **headers: str
) -> Answer:
    """Ask on a connection of its own."""
    place = urlsplit(url)
    assert place.hostname is not None
    reader, writer = await asyncio.open_connection(place.hostname, place.port, ssl=tls)
    given = {"host": f"{place.hostname}:{place.port}", "connection": "close"}
    if body is not None:
        given |= {"content-type": "application/json", "content-length": str(len(body))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))
    raw = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    top, _, rest = raw.partition(b"\r\n\r\n")
    status, *lines = top.decode("latin-1").split("\r\n")
    told = dict(line.lower().split(": ", 1)[:1] + line.split(": ", 1)[1:] for line in lines)
    return Answer(int(status.split()[1]), told, rest)


def address(key: bytes, under: str = "kv") -> str:
    return f"/{under}/{quote(key, safe='')}"


class HttpKv:
    def __init__(self, url: str, token: str | None = None) -> None:
        self._url, self._headers = url, {} if token is None else {"fathom_token": token}

    async def _ask(self, method: str, path: str, asks: dict[str, Any], body: Any = None, **headers: str) -> Answer:
        query = "&".join(f"{name}={value}" for name, value in asks.items() if value)
        raw = None if body is None else msgspec.json.encode(body)
        answer = await asked(self._url, method, f"{path}?{query}" if query else path, raw, **self._headers, **headers)
        if answer.status >= 400 and answer.status not in (404, 412):
            raise Refusal(answer.code, answer.json()["detail"])
        return answer

    async def get(self, key: bytes, terms: Terms = USUAL) -> Found:
        asks = {"r": terms.r, "pr": terms.pr, "deadline_ms": terms.deadline_ms, "at_least": terms.at_least}
        if terms.r == 0 or terms.w == -1 or terms.deadline_ms == 0 or terms.at_least < 0:
            asks = {name: value if value is None else value or "0" for name, value in asks.items()} | {"r": "0"}
        answer = await self._ask("GET", address(key), asks)
        context = base64.urlsafe_b64decode(answer.headers.get("kv-context", ""))
        version = int(answer.headers.get("etag", '"0"').strip('"'))
        if answer.status == 404:
            return Found(context=context, version=version)
        found = msgspec.json.decode(answer.body, type=Found)
        assert found.version == version
        return msgspec.structs.replace(found, context=context)

    async def put(
        self, key: bytes, value: bytes | None, context: bytes = b"", expires_ms: int = 0, terms: Terms = USUAL
    ) -> Written:
        asks = {"w": terms.w, "pw": terms.pw, "deadline_ms": terms.deadline_ms}
        headers = {"kv_context": base64.urlsafe_b64encode(context).decode()} if context else {}
        if (await self.bucket(key)).semantics == "cas":
            raise Refusal("invalid", "a PUT of such a key is a change, and is asked for as one")
        if value is None:
            answer = await self._ask("DELETE", address(key), asks, **headers)
        else:
            body = {"value": value, "expires_ms": expires_ms}
            answer = await self._ask("PUT", address(key), asks, body, **headers)
        return msgspec.json.decode(answer.body, type=Written)

    async def change(self, key: bytes, change: Change, terms: Terms = USUAL) -> Changed:
        answer = await self._ask("POST", address(key, "changes"), {"deadline_ms": terms.deadline_ms}, change)
        return msgspec.json.decode(answer.body, type=Changed)

    async def bucket(self, key: bytes) -> Bucket:
        if not key:
            raise Refusal("invalid", "there is no address of nothing")
        buckets = (await self.topology()).buckets
        return max((it for it in buckets if key.startswith(it.prefix)), key=lambda it: len(it.prefix))

    async def topology(self) -> Layout:
        return msgspec.json.decode((await self._ask("GET", "/topology", {})).body, type=Layout)

    async def scan(self, after: str = "", limit: int = 100) -> Page:
        raise Refusal("invalid", "one node does not list the keys of all")

    async def settled(self) -> None:
        """Nothing is ever under way where one node keeps all."""
