"""The floor of every REST door: what comes in is bounded and known, what goes out is documented and safe."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgspec
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException

from fathom.blocks.limiter import Taken
from fathom.engines.engine import EngineBusy, EngineDown, EngineUnknown
from fathom.engines.ledger import operation
from fathom.errors import Refusal
from fathom.web import openapi, problems, tracing
from fathom.web.auth import Bearer
from fathom.web.limits import Admission, Limits, Throttle, address_of
from fathom.web.metrics import MEDIA_TYPE as METRICS_TYPE
from fathom.web.metrics import Metrics
from fathom.web.problems import FieldProblem, Problem
from fathom.web.reply import Reply

__all__ = [
    "SECURITY",
    "Answering",
    "Dialect",
    "Door",
    "Gate",
    "Large",
    "Quick",
    "Reply",
    "Spoken",
    "Stream",
    "Visit",
    "api",
    "problem_of",
]

log = logging.getLogger("fathom.web")

Id = TypeVar("Id")
Scope = Any
Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]

SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),  # answers are personal; a handler may say otherwise
]
_HEAD = b"content-type: %s\r\ncontent-length: %d\r\nx-request-id: %s\r\n" + b"".join(
    b"%s: %s\r\n" % field for field in SECURITY
)
_SECURITY_NAMES = frozenset(name for name, _ in SECURITY)
_BODIES = ("POST", "PUT", "PATCH", "DELETE")


class Gate(Generic[Id]):
    """Finds out who is asking, and holds each to their rate."""

    def __init__(self, whoami: Callable[[str], Awaitable[Id]], limits: Limits | None = None) -> None:
        limits = limits or Limits()
        self.bearer: Bearer[Id] = Bearer(whoami)
        self._throttle = _throttle("identity", limits.per_identity, limits)

    async def enter(self, visit: Visit) -> Id:
        """Return who is asking; refuse strangers with `unauthorised` and the hasty with `too-many`."""
        header = visit.headers.get(b"authorization")
        who = self.bearer.remembered(header)
        if who is None:
            who = await self.bearer.identify(header)
        if self._throttle is not None:
            visit.hold_to(self._throttle, who)
        return who


class Visit:
    """One request on its way through the door."""

    __slots__ = ("dialect", "headers", "operation", "rate", "scope", "trace")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.trace = tracing.begin(self.headers)
        self.operation = "-"
        self.dialect: Dialect | None = None  # in which it is answered, where that is not the door's own
        self.rate: tuple[Throttle, Taken] | None = None  # what the caller has left of the limit that comes first

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:
        """The header fields that every answer to it carries."""
        rate = self.rate[0].fields(self.rate[1]) if self.rate else []
        return [(b"x-request-id", self.trace.request_id.encode()), *rate]

    def hold_to(self, throttle: Throttle, key: Hashable) -> None:
        """Take a token of `key`, or raise `too-many`; the answer says how many are left, either way."""
        taken = throttle.take(key)
        self.rate = (throttle, taken)
        if not taken.ok:
            raise throttle.refusal(taken)

    @property
    def query(self) -> bytes:
        return self.scope["query_string"]

    @staticmethod
    def of(request: Request[Any, Any, Any]) -> Visit:
        """Return the visit that a Litestar request belongs to."""
        return request.scope["fathom"]  # pyright: ignore[reportGeneralTypeIssues,reportTypedDictNotRequiredAccess]


Quick = Callable[[Visit], Awaitable[Reply]]


class Stream(msgspec.Struct, frozen=True):
    """An answer that goes on until whoever asked leaves, or until there is no more: pieces of a body.

    `close` lets go of what was opened for it. It is awaited at the end however soon that comes, also where no piece
    was ever asked for and so nothing of the generator has run. `lasts_s`: who has not taken it by then is cut off.
    `late`: nothing is sent before the first piece is there, and what fails until then is refused as anywhere.
    """

    pieces: AsyncGenerator[bytes]
    close: Callable[[], Awaitable[None]] | None = None
    headers: Sequence[tuple[bytes, bytes]] = ()
    media_type: bytes = b"text/event-stream"
    status: int = 200
    lasts_s: float | None = None
    late: bool = False


Answering = Callable[[Visit, bytes], Awaitable[Reply | Stream]]


class Large(NamedTuple):
    """Who may send a larger form with files than others may, and how large.

    `enter` makes sure of that before a byte of it is read, and bounds how many do so at once; within it is answered.
    """

    bytes_max: int
    body_s: float
    enter: Callable[[Visit], AbstractAsyncContextManager[Answering]]


class Spoken(NamedTuple):
    """What a dialect answers to one method and path: the operation's name, and what is to be done with the body."""

    operation: str
    answer: Answering
    large: Large | None = None


class Dialect(Protocol):
    """Another's protocol on the same door: paths of its own, forms as well as JSON, errors in its own words.

    It goes through the same limits, and is counted the same; it is described elsewhere, by whoever made it up.
    """

    operations: frozenset[str]

    def find(self, method: str, path: str) -> Spoken | None:
        """Return what answers this; None: it is none of the dialect's paths."""
        ...

    def problem(self, it: Problem) -> Reply:
        """Say a problem in the dialect's words."""
        ...


def api(
    title: str,
    version: str,
    handlers: Sequence[Any],
    *,
    gate: Gate[Any] | None = None,
    limits: Limits | None = None,
    metrics: Metrics | None = None,
    quick: Mapping[tuple[str, str], Quick] | None = None,
    ready: Callable[[], Awaitable[Mapping[str, Any] | None]] | None = None,
    dialect: Dialect | None = None,
    says: str = "",
) -> Door:
    """Return the ASGI application of a system's REST door.

    `handlers` are Litestar's; each needs an `operation_id`, which is its name in metrics, limits and the ledger.
    A handler with a parameter `viewer` is for those who are known: the gate fills it in.
    `quick` are hot routes that leave Litestar, by method and exact path; a handler of the same method and path
    must be there too, which documents it. `ready` raises while the system cannot serve, and returns what else to
    say of it. `dialect` answers on paths that no handler has.
    The door adds /openapi.json, /docs, /health, /ready and /metrics.
    """
    return Door(
        title,
        version,
        handlers,
        gate=gate,
        limits=limits or Limits(),
        metrics=metrics or Metrics(),
        quick=quick or {},
        ready=ready,
        dialect=dialect,
        says=says,
    )


class Door:
    """An ASGI application: first what is cheap and protects, then the quick routes, then Litestar."""

    talks = False  # whether it has websockets; without, nobody is asked to upgrade

    def __init__(
        self,
        title: str,
        version: str,
        handlers: Sequence[Any],
        *,
        gate: Gate[Any] | None,
        limits: Limits,
        metrics: Metrics,
        quick: Mapping[tuple[str, str], Quick],
        ready: Callable[[], Awaitable[Mapping[str, Any] | None]] | None,
        dialect: Dialect | None,
        says: str,
    ) -> None:
        self.limits, self.metrics, self.dialect = limits, metrics, dialect
        self.admission = Admission(limits.in_flight_max)
        self._gate, self._ready = gate, ready
        self._per_address = _throttle("address", limits.per_address, limits)
        self._operations: dict[str, Throttle] = {}
        for names, rate in limits.operations.items():
            together = (names,) if isinstance(names, str) else names
            if twice := sorted(self._operations.keys() & set(together)):
                raise ValueError(f"there are two rates for '{twice[0]}'")
            self._operations |= dict.fromkeys(together, Throttle(together[0], rate, keys_max=limits.keys_max))
        self._litestar = Litestar(
            list(handlers),
            openapi_config=None,
            dependencies={"viewer": Provide(self._viewer)} if gate else {},
            exception_handlers={Exception: _litestar_problem},
            before_request=self._before,
            logging_config=None,
            request_max_body_size=None,  # the door has read the body by then, and bounded it
        )
        self.openapi = openapi.document(title, version, says, handlers, known="viewer" if gate else None)
        operations = openapi.operations(self.openapi)
        self._allow = {
            path: ", ".join(sorted(["OPTIONS", *(method for method, at in operations if at == path)])).encode()
            for _, path in operations
        }
        self._quick: dict[tuple[str, str], tuple[Quick, str]] = {}
        for (method, path), answer in quick.items():
            if (method, path) not in operations:
                raise ValueError(f"the quick route {method} {path} has no handler that documents it")
            self._quick[method, path] = (answer, operations[method, path])
        for name in self._operations:
            if name not in operations.values() and (dialect is None or name not in dialect.operations):
                raise ValueError(f"there is a rate for '{name}', but no such operation")
        page = openapi.page(self.openapi)
        schema = msgspec.json.encode(self.openapi)
        self._own: dict[str, Quick] = {
            "/openapi.json": _fixed(Reply(200, schema)),
            "/docs": _fixed(page),
            "/health": _fixed(Reply(200, b'{"healthy":true}')),
            "/ready": self._is_ready,
            "/metrics": self._tell_metrics,
        }
        self._requests = metrics.counter("http_requests_total", "Requests answered.", ("operation", "method", "status"))
        self._latency = metrics.histogram(
            "http_request_duration_seconds",
            "From the request's head to the end of the answer, or to the beginning of a stream.",
            ("operation",),
        )
        metrics.gauge("http_requests_in_flight", "Requests under way.", lambda: self.admission.in_flight)
        metrics.gauge(
            "http_requests_turned_away_total",
            "Requests that found no room.",
            lambda: self.admission.turned_away,
            kind="counter",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._litestar(scope, receive, send)
            return
        began = time.perf_counter()
        visit = Visit(scope)
        status, took_s = 500, None
        stream: Stream | None = None
        try:
            if (own := self._own.get(scope["path"])) is not None:
                status = await self._answer_itself(visit, own, send)
                return
            self.admission.enter()
            try:
                self._limit_address(visit)
                if (found := self._quick.get((scope["method"], scope["path"]))) is not None:
                    answer, visit.operation = found
                    self._begin(visit)
                    status = await self._send(visit, await answer(visit), send)
                elif self.dialect and (spoken := self.dialect.find(scope["method"], scope["path"])) is not None:
                    visit.dialect = self.dialect
                    status, stream = await self._speak(visit, spoken, receive, send)
                else:
                    status = await self._through_litestar(visit, receive, send)
            finally:
                self.admission.leave()
            if stream is not None:  # it is no request under way any more: who opened it bounds how many there are
                took_s = time.perf_counter() - began
                await self._flow(visit, stream, receive, send)
        except _Gone:
            status = 499  # nobody is there to be answered
        except Exception as error:
            it, fields = problem_of(error, visit)
            status = it.status
            if visit.dialect is not None:
                said = visit.dialect.problem(it)
                await self._send(visit, msgspec.structs.replace(said, headers=[*said.headers, *fields]), send)
            else:
                await problems.send_problem(send, it, [*visit.fields, *SECURITY[:-1], *fields])
        finally:
            self._count(visit, status, time.perf_counter() - began if took_s is None else took_s)

    async def _answer_itself(self, visit: Visit, own: Quick, send: Send) -> int:
        path = visit.scope["path"]
        if visit.scope["method"] == "GET":
            return await self._send(visit, await own(visit), send)
        it = problems.problem("method-not-allowed", f"{path} can only be read", request_id=visit.trace.request_id)
        await problems.send_problem(send, it, [(b"allow", b"GET"), *visit.fields, *SECURITY[:-1]])
        return it.status

    async def _send(self, visit: Visit, reply: Reply, send: Send) -> int:
        write = visit.scope.get("fathom.write")
        said = {name for name, _ in reply.headers}
        if write is not None and said.isdisjoint(_SECURITY_NAMES):
            head = _HEAD % (reply.media_type, len(reply.body), visit.trace.request_id.encode())
            if visit.rate is not None:
                head += visit.rate[0].lines(visit.rate[1])
            for name, value in reply.headers:
                if b"\n" in value or b"\r" in value:
                    raise ValueError(f"the header {name!r} would break in two")
                head += b"%s: %s\r\n" % (name, value)
            if write(reply.status, head, reply.body):
                return reply.status
        headers = [
            (b"content-type", reply.media_type),
            (b"content-length", b"%d" % len(reply.body)),
            *reply.headers,
            *visit.fields,
            *(field for field in SECURITY if field[0] not in said),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": False})
        return reply.status

    async def _speak(self, visit: Visit, spoken: Spoken, receive: Receive, send: Send) -> tuple[int, Stream | None]:
        """Answer in the dialect: with the status of what was sent, or with a stream that is still to be."""
        visit.operation = spoken.operation
        self._begin(visit)
        large = spoken.large
        async with AsyncExitStack() as entered:
            answering = spoken.answer
            if large is not None:
                try:
                    answering = await entered.enter_async_context(large.enter(visit))
                except Exception as no:
                    raise _Close(no) from None  # what is on its way to us will not be read
            body = await self._body(visit, receive, forms=True, large=large) or b""
            async with asyncio.timeout(self.limits.answer_s):
                answer = await answering(visit, body)
        if isinstance(answer, Stream):
            return answer.status, answer
        return await self._send(visit, answer, send), None

    async def _flow(self, visit: Visit, stream: Stream, receive: Receive, send: Send) -> None:
        """Send a stream until it ends or whoever asked has left, and close it."""
        async with AsyncExitStack() as opened:
            if stream.close is not None:
                opened.push_async_callback(_let_go, visit, stream.close)
            opened.push_async_callback(_let_go, visit, stream.pieces.aclose)
            await self._pour(visit, stream, receive, send)

    async def _pour(self, visit: Visit, stream: Stream, receive: Receive, send: Send) -> None:
        said = {name for name, _ in stream.headers}
        headers = [(b"content-type", stream.media_type), *stream.headers, *visit.fields]
        headers += [field for field in SECURITY if field[0] not in said]
        begun = False

        async def begin() -> None:
            nonlocal begun
            begun = True
            await send({"type": "http.response.start", "status": stream.status, "headers": headers})

        async def pour() -> None:
            async for piece in stream.pieces:
                if not begun:
                    await begin()
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if not begun:
                await begin()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        async def leaves() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        if not stream.late:
            await begin()
        tasks = [asyncio.create_task(pour()), asyncio.create_task(leaves())]
        try:
            await asyncio.wait(tasks, timeout=stream.lasts_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for ended in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ended, Exception) and not begun:
                    raise ended
                if isinstance(ended, Exception):  # the answer has begun: all that can be said is that it ends here
                    log.warning("a stream ended: %s", ended, extra={"operation": visit.operation})

    def _limit_address(self, visit: Visit) -> None:
        if (throttle := self._per_address) is not None:
            visit.hold_to(throttle, address_of(visit.scope["client"]))

    def _begin(self, visit: Visit) -> None:
        """From here on it is known what is asked for: charge it, and hold it to that operation's own rate."""
        operation.set(visit.operation)
        if self._operations and (throttle := self._operations.get(visit.operation)) is not None:
            visit.hold_to(throttle, address_of(visit.scope["client"]))

    def _count(self, visit: Visit, status: int, took_s: float) -> None:
        method = visit.scope["method"]
        self._requests.add(visit.operation, method if method in _METHODS else "other", str(status))
        self._latency.observe(took_s, visit.operation)

    # Litestar's part.

    async def _through_litestar(self, visit: Visit, receive: Receive, send: Send) -> int:
        scope = visit.scope
        scope["fathom"] = visit
        body = await self._body(visit, receive)
        status = 500

        async def replay() -> Any:
            nonlocal body
            if body is None:
                return {"type": "http.disconnect"}
            message, body = {"type": "http.request", "body": body, "more_body": False}, None
            return message

        async def dressed(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message.get("headers", ()))
                if scope["method"] == "OPTIONS" and (allow := self._allow.get(scope.get("path_template", ""))):
                    headers = [field for field in headers if field[0] != b"allow"]  # Litestar's lists only the first
                    headers.append((b"allow", allow))
                said = {name for name, _ in headers}
                headers += [field for field in SECURITY if field[0] not in said]
                headers += visit.fields
                message = {**message, "headers": headers}
            await send(message)

        async with asyncio.timeout(self.limits.answer_s):
            await self._litestar(scope, replay, dressed)
        return status

    async def _body(
        self, visit: Visit, receive: Receive, *, forms: bool = False, large: Large | None = None
    ) -> bytes | None:
        """Read the request's body, all of it, within its bounds of size, time and form."""
        headers, most, within_s = visit.headers, self.limits.body_bytes_max, self.limits.body_s
        if large is not None and headers.get(b"content-type", b"").lower().startswith(b"multipart/form-data"):
            most, within_s = large.bytes_max, large.body_s
            visit.scope["fathom.body_s"] = within_s  # the server, too, waits so long
        length = headers.get(b"content-length", b"0")
        if length == b"0" and b"transfer-encoding" not in headers:
            return b""
        too_large = Refusal("too-large", f"a request's body has at most {most} bytes")
        if not length.isdigit() or int(length) > most + _OVER_BYTES_MAX:  # refused before a byte of it is read
            raise _Close(too_large)
        body, size = bytearray(), 0
        try:
            async with asyncio.timeout(within_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Gone
                    part = message.get("body", b"")
                    size += len(part)
                    if size <= most:
                        body += part
                    elif size > most + _OVER_BYTES_MAX:
                        raise _Close(too_large)
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise _Close(too_large if size > most else _Slow(within_s)) from None
        if size > most:  # read to its end, so that the refusal is not overtaken by a reset
            raise too_large
        if visit.scope["method"] in _BODIES and body:
            form = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
            if forms and form in _FORMS:
                return bytes(body)
            if form != b"application/json":
                raise _Form
            try:
                body.decode()
            except UnicodeDecodeError:
                raise _Unreadable("it is not UTF-8") from None
            if body.count(b"[") + body.count(b"{") > _DEPTH_MAX:
                _check_depth(body)
        return bytes(body)

    def _before(self, request: Request[Any, Any, Any]) -> None:
        visit = Visit.of(request)
        visit.operation = str(request.route_handler.operation_id or request.route_handler.handler_name)
        self._begin(visit)

    async def _viewer(self, request: Request[Any, Any, Any]) -> Any:
        assert self._gate is not None
        return await self._gate.enter(Visit.of(request))

    # The door's own routes.

    async def _is_ready(self, visit: Visit) -> Reply:
        said = await self._ready() if self._ready is not None else None
        return Reply(200, msgspec.json.encode({"ready": True, **(said or {})}))

    async def _tell_metrics(self, visit: Visit) -> Reply:
        return Reply(200, self.metrics.text().encode(), media_type=METRICS_TYPE.encode())


_FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")
_METHODS = frozenset(("GET", "HEAD", "OPTIONS", *_BODIES))


_DEPTH_MAX = 200
_OVER_BYTES_MAX = 1 << 20  # so much of a body that is too large is read and thrown away


def _check_depth(body: bytearray) -> None:
    """Refuse what is nested so deeply that reading it would exhaust the stack, as if we were at fault."""
    try:
        msgspec.json.decode(body)
    except RecursionError:
        raise _Unreadable("it is nested too deeply") from None
    except msgspec.DecodeError:
        pass  # for Litestar to refuse


class _Unreadable(Exception):
    """The body cannot be read, in a way that the reader of JSON takes for a fault of ours."""


class _Gone(Exception):
    """Whoever asked is no longer there."""


class _Form(Exception):
    """The body is not JSON, or does not say so."""


class _Slow(Exception):
    """The body did not arrive in time."""

    def __init__(self, within_s: float) -> None:
        self.within_s = within_s


class _Close(Exception):
    """Answer with this, and end the connection: what is left of the body will not be read."""

    def __init__(self, why: Exception) -> None:
        self.why = why


async def _let_go(visit: Visit, close: Callable[[], Awaitable[None]]) -> None:
    """Close what a stream had open; where that fails the answer has been sent, so that only the log is told."""
    try:
        await close()
    except Exception as fault:
        log.warning("a stream was not closed: %s", fault, extra={"operation": visit.operation})


def _throttle(name: str, rate: Any, limits: Limits) -> Throttle | None:
    return None if rate is None else Throttle(name, rate, keys_max=limits.keys_max)


def _fixed(reply: Reply) -> Quick:
    async def answer(visit: Visit) -> Reply:
        return reply

    return answer


def problem_of(error: BaseException, visit: Visit) -> tuple[Problem, list[tuple[bytes, bytes]]]:
    """Return what the caller may know of an error, and log what the caller may not."""
    rid = visit.trace.request_id
    if isinstance(error, _Close):
        it, headers = problem_of(error.why, visit)
        return it, [*headers, (b"connection", b"close")]
    if isinstance(error, Refusal):
        return problems.of_refusal(error, rid)
    if isinstance(error, _Slow):
        return problems.problem("too-slow", f"the body did not arrive within {error.within_s:g} s", request_id=rid), []
    if isinstance(error, _Form):
        return problems.problem("unsupported-media-type", "send application/json", request_id=rid), []
    if isinstance(error, _Unreadable):
        return problems.problem("malformed", str(error), request_id=rid), []
    if isinstance(error, ValidationException):
        return _invalid(error, rid), []
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _of_http(error, rid), [(k.lower().encode(), v.encode()) for k, v in (error.headers or {}).items()]
    if isinstance(error, (EngineDown, EngineBusy, EngineUnknown, TimeoutError)):
        log.warning("%s: %s", type(error).__name__, error, extra={"operation": visit.operation})
        sure = isinstance(error, (EngineDown, EngineBusy))
        says = "a part of the system is not there; ask again"
        if not sure:
            says = "no answer in time: it may have happened; ask again, with the same Idempotency-Key if it has one"
        return problems.of_refusal(Refusal("unavailable", says, retry_s=1), rid)
    log.error("an unexpected error", exc_info=error, extra={"operation": visit.operation, "error_id": rid})
    return problems.problem("broke", f"the log has it under {rid}", request_id=rid), []


def _litestar_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    it, headers = problem_of(error, Visit.of(request))
    return Response(
        problems.encoded(it),
        status_code=it.status,
        media_type=problems.MEDIA_TYPE,
        headers={name.decode(): value.decode() for name, value in headers},
    )


def _invalid(error: ValidationException, rid: str) -> Problem:
    missing = {"'data'": "is missing"}  # how Litestar says that there was no body
    wrong = [
        FieldProblem(
            field=str({"data": "body"}.get(key := one.get("key") or one.get("source") or "body", key)),
            detail=missing.get(says := str(one.get("message", "")), says),
        )
        for one in (error.extra if isinstance(error.extra, list) else [])
        if isinstance(one, dict)
    ]
    first = "; ".join(f"{one.field}: {one.detail}" for one in wrong[:3])
    return problems.problem(
        "invalid", first or "the request does not fit its description", errors=wrong, request_id=rid
    )


def _of_http(error: HTTPException, rid: str) -> Problem:
    codes = {404: "not-found", 405: "method-not-allowed", 401: "unauthorised", 403: "forbidden", 413: "too-large"}
    codes |= {406: "not-acceptable", 409: "conflict", 415: "unsupported-media-type", 422: "invalid", 429: "too-many"}
    code = codes.get(error.status_code, "malformed")
    says = {"not-found": "nothing lies at this address", "malformed": error.detail}.get(code)
    return problems.problem(code, says, request_id=rid)
