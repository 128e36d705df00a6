"""Which request was that: an id and a W3C trace context, taken over or minted, in logs and in answers."""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from random import SystemRandom

__all__ = ["JsonLines", "Trace", "begin", "current", "mint_request_id"]

_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

_dice = SystemRandom()  # ids must not follow from the seed of a run: two services would mint the same
_here = os.urandom(6).hex()
_count = itertools.count(1)


class Trace:
    """The request that this code runs for; its parts are made when somebody asks for them."""

    __slots__ = ("_given", "_parent", "_request_id", "_span_id")

    def __init__(self, request_id: bytes | None, parent: bytes | None) -> None:
        self._given, self._parent = request_id, parent
        self._request_id: str | None = None
        self._span_id: tuple[str, str, bool] | None = None

    @property
    def request_id(self) -> str:
        """The caller's own id for it, if it makes sense; else ours."""
        if self._request_id is None:
            given = self._given
            sane = given is not None and _REQUEST_ID.fullmatch(given)
            self._request_id = given.decode() if given is not None and sane else mint_request_id()
        return self._request_id

    @property
    def trace_id(self) -> str:
        return self._span()[0]

    @property
    def traceparent(self) -> str:
        """The header to pass on: this request is the parent of what it asks for."""
        trace_id, span_id, sampled = self._span()
        return f"00-{trace_id}-{span_id}-{'01' if sampled else '00'}"

    def _span(self) -> tuple[str, str, bool]:
        if self._span_id is None:
            parent = _PARENT.fullmatch(self._parent or b"")
            if parent is not None and parent[1] == b"00" and parent[5]:  # this version has exactly four parts
                parent = None
            trace_id = parent[2].decode() if parent else f"{_dice.getrandbits(128) or 1:032x}"
            sampled = bool(parent and int(parent[4], 16) & 1)
            self._span_id = (trace_id, f"{_dice.getrandbits(64) or 1:016x}", sampled)
        return self._span_id


current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def mint_request_id() -> str:
    """Return an id that no other request has, here or in another process."""
    return f"{_here}-{next(_count):x}"


def begin(headers: Mapping[bytes, bytes]) -> Trace:
    """Begin a request's trace: its caller's, if the caller sent one that makes sense, else a new one.

    >>> begin({b"traceparent": b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"}).trace_id == "a" * 32
    True
    """
    trace = Trace(headers.get(b"x-request-id"), headers.get(b"traceparent"))
    current.set(trace)
    return trace


class JsonLines(logging.Formatter):
    """One JSON object a line: when, how bad, who, what, and for which request."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "from": record.name,
            "says": record.getMessage(),
        }
        trace = current.get()
        if trace is not None:
            line["request_id"], line["trace_id"] = trace.request_id, trace.trace_id
        for name in ("error_id", "operation"):
            if (value := getattr(record, name, None)) is not None:
                line[name] = value
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = "".join(traceback.format_exception(record.exc_info[1]))
        return json.dumps(line, ensure_ascii=False, default=str)
