"""The routes: what is read, written and changed under a key, and who is in the cluster."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.params import HeaderParameter, JSONBody, QueryParameter

from fathom.errors import Refusal
from fathom.web import problems
from fathom.web.app import Visit

from ...api import Add, Change, Changed, Delete, Found, Layout, Set, Swap, Terms, Written
from .local import Served

__all__ = ["UNDER", "handlers"]

UNDER = ("/kv/", "/changes/")  # what comes after is a key
CONTEXT = "kv-context"
CONTEXT_CHARS_MAX = 16_384
_TAG = re.compile(r'"(\d{1,19})"')

Asker = Request[Any, Any, Any]
Count = Annotated[int | None, QueryParameter(ge=1, le=100, description="How many replicas must answer, or have it")]
Owners = Annotated[int | None, QueryParameter(ge=1, le=100, description="How many of them must be owners of the key")]
Deadline = Annotated[int | None, QueryParameter(ge=1, le=60_000, description="When you stop waiting, in milliseconds")]
Version = Annotated[int, QueryParameter(ge=0, description="A version that you have seen: nothing older will do")]
Context = Annotated[
    str | None,
    HeaderParameter(name=CONTEXT, max_length=CONTEXT_CHARS_MAX, description="What was read: as it came, or nothing"),
]
IfMatch = Annotated[str | None, HeaderParameter(name="if-match", description="The etag that the key must still have")]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="if-none-match", description="`*`: only if there is none")]


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to write: bytes in base64, and until when (Unix milliseconds; 0: for good)."""

    value: bytes
    expires_ms: int = 0


class Told(msgspec.Struct, frozen=True):
    """What lies under a key: its values in base64, several where they are siblings."""

    values: list[bytes]
    version: int
    expires_ms: int
    fallbacks: int


def handlers(kv: Served) -> list[Any]:
    @get("/kv/{key:str}", operation_id="get", tags=["keys"])
    async def read(
        request: Asker, r: Count = None, pr: Owners = None, deadline_ms: Deadline = None, at_least: Version = 0
    ) -> Response[Told]:
        """Read a key. Nothing there: 404, with the context of what was deleted."""
        terms = Terms(r=r, pr=pr, deadline_ms=deadline_ms, at_least=at_least)
        found = await kv.get(_key(request, b"/kv/"), terms)
        headers = _headers(found)
        if not found.values:
            return _problem(request, "not-found", "nothing lies under this key", headers)
        told = Told(found.values, found.version, found.expires_ms, found.fallbacks)
        return Response(told, headers=headers)

    @put("/kv/{key:str}", operation_id="put", tags=["keys"])
    async def write(
        request: Asker,
        data: JSONBody[Value],
        w: Count = None,
        pw: Owners = None,
        deadline_ms: Deadline = None,
        context: Context = None,
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[Written]:
        """Write a key: over what was read, if a context or a tag says what. It is durable when this answers."""
        key, terms = _key(request, b"/kv/"), Terms(w=w, pw=pw, deadline_ms=deadline_ms)
        if (await kv.bucket(key)).semantics == "cas":
            _without(context, "a context")
            if if_match is not None and if_none_match is not None:
                raise Refusal("invalid", "if-match and if-none-match contradict each other")
            change: Change = Set(value=data.value, expires_ms=data.expires_ms)
            if if_match is not None:
                change = Swap(value=data.value, version=_version(if_match), expires_ms=data.expires_ms)
            elif if_none_match is not None:
                if if_none_match.strip() != "*":
                    raise Refusal("invalid", "if-none-match is * here")
                change = Add(value=data.value, expires_ms=data.expires_ms)
            return _changed(request, await kv.change(key, change, terms))
        _without(if_match or if_none_match, "a tag")
        wrote = await kv.put(key, data.value, _context(context), data.expires_ms, terms)
        return Response(wrote, headers=_headers(wrote))

    @delete("/kv/{key:str}", operation_id="delete", tags=["keys"], status_code=200)
    async def remove(
        request: Asker,
        w: Count = None,
        pw: Owners = None,
        deadline_ms: Deadline = None,
        context: Context = None,
        if_match: IfMatch = None,
    ) -> Response[Written]:
        """Delete a key: what was read, if a context or a tag says what that was. Deleting it again is fine."""
        key, terms = _key(request, b"/kv/"), Terms(w=w, pw=pw, deadline_ms=deadline_ms)
        if (await kv.bucket(key)).semantics == "cas":
            _without(context, "a context")
            version = None if if_match is None else _version(if_match)
            changed = await kv.change(key, Delete(version=version), terms)
            return _changed(request, changed, fine=version is None)
        _without(if_match, "a tag")
        wrote = await kv.put(key, None, _context(context), 0, terms)
        return Response(wrote, headers=_headers(wrote))

    @post("/changes/{key:str}", operation_id="change", tags=["keys"], status_code=200)
    async def change(request: Asker, data: JSONBody[Change], deadline_ms: Deadline = None) -> Response[Changed]:
        """Change a key in one step that nobody comes between; the answer says whether its condition held."""
        changed = await kv.change(_key(request, b"/changes/"), data, Terms(deadline_ms=deadline_ms))
        return Response(changed, headers=_headers(changed))

    @get("/topology", operation_id="topology", tags=["cluster"])
    async def topology() -> Layout:
        """Tell who is in the cluster, and what its buckets promise."""
        return await kv.topology()

    return [read, write, remove, change, topology]


def _key(request: Asker, under: bytes) -> bytes:
    """Return the key that the path says, byte for byte."""
    raw = request.scope["raw_path"]
    if not raw.startswith(under):  # a prefix that is itself encoded, or a way round
        raise Refusal("not-found", "nothing lies at this address")
    return unquote_to_bytes(raw[len(under) :])


def _without(given: str | None, what: str) -> None:
    if given is not None:
        raise Refusal("invalid", f"keys of this bucket do not know {what}")


def _version(tag: str) -> int:
    found = _TAG.fullmatch(tag.strip())
    if found is None:
        raise Refusal("invalid", 'if-match is one tag as it came with the key, such as "17"')
    return int(found[1])


def _context(given: str | None) -> bytes:
    if not given:
        return b""
    try:
        return base64.b64decode(given, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("invalid", f"the {CONTEXT} is damaged: bring it back as it came") from None


def _headers(told: Found | Written | Changed) -> dict[str, str]:
    headers: dict[str, str] = {}
    if told.version:
        headers["etag"] = f'"{told.version}"'
    context = b"" if isinstance(told, Changed) else told.context
    if context:
        headers[CONTEXT] = base64.urlsafe_b64encode(context).decode()
    return headers


def _changed(request: Asker, changed: Changed, *, fine: bool = False) -> Response[Any]:
    if not changed.done and not fine:
        return _problem(request, "unmet", "the key is not what the tag says", _headers(changed))
    return Response(Written(version=changed.version), headers=_headers(changed))


def _problem(request: Asker, code: str, says: str, headers: dict[str, str]) -> Response[Any]:
    it = problems.problem(code, says, request_id=Visit.of(request).trace.request_id)
    return Response(problems.encoded(it), status_code=it.status, media_type=problems.MEDIA_TYPE, headers=headers)
