"""A payment provider's door: HTTP and JSON, and what goes wrong goes wrong here."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from fathom.errors import FathomError, Refusal
from fathom.web import problems, tracing
from fathom.web.auth import same

from .book import Book
from .caller import Caller
from .faults import Behaviour, Fate, Faults
from .messages import CARD_DECLINED, KEY_CHARS_MAX, MINOR_MAX, Ask, Listener, RefundAsk

__all__ = ["ROUTES", "Door"]

BODY_BYTES_MAX = 64 * 1024
EVENTS_MAX = 500
ROUTES = {
    "POST /charges": "charge, once for each Idempotency-Key: minor, currency, reference, card",
    "GET /charges?key=|reference=": "what really happened to a key, or for a reference",
    "GET /charges/ID": "one charge",
    "POST /charges/ID/refunds": "give back `minor` of it, or all; once for each Idempotency-Key",
    "GET /charges/ID/refunds": "what went back of it",
    "POST /voids": "let nothing be charged under an Idempotency-Key, or say what was",
    "GET /events?after=SEQ": "all that happened, in order: the same as is called back",
    "GET /totals": "what was charged and given back, by currency",
    "PUT /listeners": "call back `url` from now on; a `name` has one",
    "POST /callbacks/due": "let the time pass until every callback that waits is due",
    "POST /callbacks/again": "call back the event `seq` once more",
    "GET /faults": "how it misbehaves",
    "PUT /faults": "misbehave so: rates, seed, next, late_s, swapped_s, day_s, again",
}

T = TypeVar("T")
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class _Asked(NamedTuple):
    """A request as the routes see it."""

    path: list[str]
    query: dict[str, str]
    key: str
    body: bytes
    gone: Callable[[], Awaitable[None]]
    trace: str


class _Again(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seq: int


class Door:
    """An ASGI application. All but `GET /` needs the key, as `Authorization: Bearer KEY`."""

    def __init__(self, book: Book, caller: Caller, faults: Faults, key: str) -> None:
        self._book, self._caller, self._faults, self._bearer = book, caller, faults, f"Bearer {key}"

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            status, answer = await self._answer(scope, receive)
        except Refusal as refusal:
            it, fields = problems.of_refusal(refusal)
            await problems.send_problem(send, it, fields)
            return
        except _Silent:
            return  # whoever asked has left
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    async def _answer(self, scope: Any, receive: Receive) -> tuple[int, bytes]:
        headers = dict(scope["headers"])
        path = [part for part in scope["path"].split("/") if part]
        if not path and scope["method"] == "GET":
            return 200, msgspec.json.encode({"provider": "fathom", "routes": ROUTES})
        if not same(headers.get(b"authorization", b""), self._bearer):
            raise Refusal("unauthorised", "this needs the provider's key: Authorization: Bearer KEY")
        query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
        key = headers.get(b"idempotency-key", b"").decode("latin-1")
        body = await _body(receive)

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        trace = tracing.begin(headers).trace_id if b"traceparent" in headers else ""
        asked = _Asked(path, query, key, body, gone, trace)
        match scope["method"], *path:
            case "POST", "charges":
                return await self._charge(asked)
            case "GET", "charges":
                where = "key" if "key" in query else "reference"
                return 200, msgspec.json.encode(self._book.charges(where, query.get(where, "")))
            case "GET", "charges", id:
                return 200, msgspec.json.encode(_one(self._book.charges("id", id)))
            case "POST", "charges", id, "refunds":
                return await self._refund(asked, id)
            case "GET", "charges", id, "refunds":
                return 200, msgspec.json.encode(self._book.refunds(id))
            case "POST", "voids":
                return 200, msgspec.json.encode(self._book.void(_key(asked)))
            case "GET", "events":
                after = query.get("after", "0")
                events = self._book.events(int(after) if after.isascii() and after.isdigit() else 0, EVENTS_MAX)
                return 200, msgspec.json.encode(events)
            case "GET", "totals":
                return 200, msgspec.json.encode(self._book.totals())
            case "PUT", "listeners":
                return self._listen(asked)
            case "POST", "callbacks", "due":
                passed = self._book.let_pass()
                await self._caller.send()
                return 200, msgspec.json.encode({"waited": passed, "unheard": self._book.waiting})
            case "POST", "callbacks", "again":
                again = self._book.again(_read(body, _Again).seq)
                await self._caller.send()
                return 200, msgspec.json.encode({"called": again})
            case "GET", "faults":
                return 200, msgspec.json.encode(self._faults.behaviour)
            case "PUT", "faults":
                try:
                    self._faults.behave(told := _read(body, Behaviour))
                    self._book.behave(told)
                except FathomError as unfit:
                    raise Refusal("invalid", f"{unfit.what}: {unfit.why}") from None
                return 200, msgspec.json.encode(self._faults.behaviour)
        raise Refusal("not-found", f"there is no such route; there are {', '.join(ROUTES)}")

    async def _charge(self, asked: _Asked) -> tuple[int, bytes]:
        key, ask = _key(asked), _read(asked.body, Ask)
        if not 0 < ask.minor <= MINOR_MAX:
            raise Refusal("invalid", f"a charge is of 1 to {MINOR_MAX} of the smallest unit")
        if len(ask.currency) != 3 or not (ask.currency.isascii() and ask.currency.isupper()):
            raise Refusal("invalid", "a currency is three capitals, as EUR")
        if not 0 < len(ask.reference) <= KEY_CHARS_MAX:
            raise Refusal("invalid", f"a reference has 1 to {KEY_CHARS_MAX} characters")
        fate = self._faults.fate(key)
        declined = fate.answer == "declined" or ask.card == CARD_DECLINED

        def charge() -> tuple[Any, bool]:
            copies, held_s = fate.copies, fate.held_s
            return self._book.charge(key, ask, declined=declined, copies=copies, held_s=held_s, trace=asked.trace)

        return await self._misbehaving(asked, fate, charge)

    async def _refund(self, asked: _Asked, id: str) -> tuple[int, bytes]:
        key, wanted = _key(asked), _read(asked.body or b"{}", RefundAsk)
        fate = self._faults.fate(f"{key}/refund", told=False)

        def refund() -> tuple[Any, bool]:
            return self._book.refund(id, key, wanted.minor, copies=fate.copies, held_s=fate.held_s)

        return await self._misbehaving(asked, fate, refund)

    async def _misbehaving(self, asked: _Asked, fate: Fate, done: Callable[[], tuple[Any, bool]]) -> tuple[int, bytes]:
        """Do what was asked, and let befall it what its fate is."""
        if fate.answer == "refused":
            raise Refusal("unavailable", "not now", retry_s=1.0)
        if fate.answer == "slow":
            await asyncio.sleep(self._faults.behaviour.late_s)  # the fault itself: its caller may have given up by then
        answer, again = done()
        if fate.answer == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if fate.early:
            await self._caller.send()  # the callback comes first, and the answer after it was heard
        else:
            self._caller.look()
        if fate.answer == "lost":
            await asked.gone()
            raise _Silent
        if fate.answer == "late":
            await asyncio.sleep(self._faults.behaviour.late_s)  # the fault itself
        return 200 if again else 201, msgspec.json.encode(answer)

    def _listen(self, asked: _Asked) -> tuple[int, bytes]:
        listener = _read(asked.body, Listener)
        try:
            parts = urlsplit(listener.url)
            fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            fits = False
        if not fits or any(ch.isspace() for ch in listener.url):
            raise Refusal("invalid", "who is called back has an http:// or https:// URL")
        self._book.listen(listener)
        self._caller.look()
        return 200, msgspec.json.encode(listener)


class _Silent(Exception):
    pass


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Silent
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            raise Refusal("too-large", f"a body has at most {BODY_BYTES_MAX} bytes")
        if not message.get("more_body", False):
            return body


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as unfit:
        raise Refusal("invalid", str(unfit)) from None


def _key(asked: _Asked) -> str:
    if not 0 < len(asked.key) <= KEY_CHARS_MAX:
        raise Refusal("invalid", f"this needs an Idempotency-Key of 1 to {KEY_CHARS_MAX} characters")
    return asked.key


def _one(found: list[T]) -> T:
    if not found:
        raise Refusal("not-found", "there is no such charge")
    return found[0]
