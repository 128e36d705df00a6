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
from typing import NamedTuple

__all__ = ["JsonLines", "Trace", "begin", "current", "mint_request_id"]

_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

_dice = SystemRandom()  # ids must not follow from the seed of a run: two services would mint the same
_here = os.urandom(6).hex()
_count = itertools.count(1)


class Trace(NamedTuple):
    """The request that this code runs for."""

    request_id: str
    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """The header to pass on: this request is the parent of what it asks for."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def mint_request_id() -> str:
    """Return an id that no other request has, here or in another process."""
    return f"{_here}-{next(_count):x}"


def begin(headers: Mapping[bytes, bytes]) -> Trace:
    """Begin a request's trace: its caller's, if the caller sent one that makes sense, else a new one.

    >>> begin({b"traceparent": b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"}).trace_id == "a" * 32
    True
    """
    given = headers.get(b"x-request-id")
    request_id = given.decode() if given and _REQUEST_ID.fullmatch(given) else mint_request_id()
    parent = _PARENT.fullmatch(headers.get(b"traceparent", b""))
    span_id = f"{_dice.getrandbits(64) or 1:016x}"
    if parent is None or (parent[1] == b"00" and parent[5]):  # version 00 has exactly four parts
        return Trace(request_id, f"{_dice.getrandbits(128) or 1:032x}", span_id, False)
    return Trace(request_id, parent[2].decode(), span_id, bool(int(parent[4], 16) & 1))


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
