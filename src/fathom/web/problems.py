"""Every refusal over HTTP is one shape: RFC 9457 problem details, saying what to do and leaking nothing."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from fathom.errors import REFUSALS, Refusal

__all__ = ["MEDIA_TYPE", "STATUS", "FieldProblem", "Problem", "of_refusal", "problem", "raw_answer", "send_problem"]

MEDIA_TYPE = "application/problem+json"

STATUS = {
    **REFUSALS,
    "malformed": 400,
    "method-not-allowed": 405,
    "not-acceptable": 406,
    "too-slow": 408,
    "unmet": 412,
    "unsupported-media-type": 415,
    "misdirected": 421,
    "head-too-large": 431,
    "broke": 500,
}
_TITLES = {
    "invalid": "The request is not valid",
    "unauthorised": "Say who you are",
    "forbidden": "You may not do that",
    "not-found": "There is no such thing",
    "conflict": "That contradicts what is already there",
    "too-large": "The request is too large",
    "too-many": "Too many requests",
    "unavailable": "Not possible just now",
    "malformed": "The request cannot be read",
    "method-not-allowed": "That cannot be done to this",
    "not-acceptable": "There is no answer in that form",
    "too-slow": "The request took too long to arrive",
    "unmet": "The condition does not hold",
    "unsupported-media-type": "The request is in a form that is not understood",
    "misdirected": "This is not the host you meant",
    "head-too-large": "The request's head is too large",
    "broke": "Something broke here",
}


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with one field of the request."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, after RFC 9457. `code` is the word a program should act on, `detail` the one for a person."""

    title: str
    status: int
    code: str
    detail: str | None = None
    errors: list[FieldProblem] = []
    request_id: str | None = None


_encode = msgspec.json.Encoder().encode


def problem(
    code: str, detail: str | None = None, *, errors: Iterable[FieldProblem] = (), request_id: str | None = None
) -> Problem:
    """Return the problem that `code` names; an unknown code is a defect of ours."""
    return Problem(
        title=_TITLES[code],
        status=STATUS[code],
        code=code,
        detail=detail,
        errors=list(errors),
        request_id=request_id,
    )


def of_refusal(refusal: Refusal, request_id: str | None = None) -> tuple[Problem, list[tuple[bytes, bytes]]]:
    """Return a system's own "no" as a problem, with the headers that belong to it."""
    headers: list[tuple[bytes, bytes]] = []
    if refusal.retry_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(refusal.retry_s))))
    if refusal.code == "unauthorised":
        headers.append((b"www-authenticate", b"Bearer"))
    return problem(refusal.code, refusal.says, request_id=request_id), headers


def encoded(it: Problem) -> bytes:
    """Return the body."""
    return _encode(it)


async def send_problem(
    send: Callable[[Any], Awaitable[None]],
    it: Problem,
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    kind: str = "http",
) -> None:
    """Answer an ASGI request with a problem; or a handshake, if its `kind` is websocket."""
    body, answer = _encode(it), "websocket.http.response" if kind == "websocket" else "http.response"
    await send(
        {
            "type": f"{answer}.start",
            "status": it.status,
            "headers": [
                (b"content-type", MEDIA_TYPE.encode()),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"no-store"),
                *headers,
            ],
        }
    )
    await send({"type": f"{answer}.body", "body": body, "more_body": False})


def raw_answer(it: Problem) -> bytes:
    """Return a whole HTTP/1.1 answer that also ends the connection, for requests that never reached an application."""
    body = _encode(it)
    return b"HTTP/1.1 %d %s\r\ncontent-type: %s\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s" % (
        it.status,
        _REASONS.get(it.status, b"Refused"),
        MEDIA_TYPE.encode(),
        len(body),
        body,
    )


_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}
