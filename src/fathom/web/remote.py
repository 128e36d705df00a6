"""A lean JSON-over-HTTP door, and its client, both derived from a Protocol's annotations."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import math
import typing
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import httptools
import msgspec

from fathom.engines.engine import EngineUnknown
from fathom.engines.ledger import HEADER, RESIDUAL, operation
from fathom.errors import EXIT_BROKE, REFUSALS, FathomError, Refusal
from fathom.web import tracing

if TYPE_CHECKING:
    from fathom.engines.wire import Wire

__all__ = ["BODY_BYTES_MAX", "Broke", "Doorway", "Text", "Verb", "refused", "remote", "verbs"]

log = logging.getLogger("fathom.remote")

BODY_BYTES_MAX = 1 << 20
HEAD_BYTES_MAX = 16 * 1024
PIPELINE_MAX = 64  # requests of one connection that are under way at once; then it is not read from
IN_FLIGHT_MAX = 1024
ANSWER_S = 60.0  # a call that takes longer is ended: its caller has long gone
ARRIVE_S = 10.0  # for a request to arrive whole
_OP_CHARS_MAX = 64
_HEADS_MAX = 256  # operations whose head is remembered
_SWEEP_S = 0.5
_BITE_BYTES = 4096
_LINGER_S = 1.0


class Broke(EngineUnknown):
    """The service failed in the middle of a call: whether it took effect is unknown, like after a timeout.

    `error_id` is where its log tells more.
    """

    def __init__(self, says: str, error_id: str | None = None) -> None:
        told = f"{says} (in its log: {error_id})" if error_id else says
        super().__init__(told, why="the service failed in the middle of a call", fix="read its log, then look again")
        self.error_id = error_id


class Verb(NamedTuple):
    """One method of a Protocol, ready to cross a process."""

    name: str
    parameters: tuple[inspect.Parameter, ...]
    asked: msgspec.json.Decoder[Any]  # a JSON array of arguments → a struct of them
    answer: msgspec.json.Decoder[Any]
    by_name: int  # from this parameter on, arguments can only be given by name


def verbs(protocol: type) -> dict[str, Verb]:
    """Return the public async methods of a Protocol by name; refuse one that cannot cross a process."""
    found = {
        name: _verb(protocol, name, method)
        for name, method in inspect.getmembers(protocol, inspect.isfunction)
        if not name.startswith("_")
    }
    if not found:
        raise FathomError(
            f"{protocol.__name__} has no verbs",
            why="a client can ask what the Protocol's public async methods say, and there are none",
            fix="write: async def verb(self, …) -> …: ...",
        )
    return found


def _verb(protocol: type, name: str, method: Any) -> Verb:
    where = f"{protocol.__name__}.{name}"
    if not inspect.iscoroutinefunction(method):
        raise _cannot(where, "it is not an async method", "write: async def " + name)
    parameters = tuple(inspect.signature(method).parameters.values())[1:]
    try:
        hints = typing.get_type_hints(method, include_extras=True)
    except NameError as unknown:
        raise _cannot(
            where, f"its annotations name something unknown: {unknown}", "import it where it is used"
        ) from None
    if "return" not in hints:
        raise _cannot(where, "it does not say what it returns", "annotate it: -> …")
    fields: list[Any] = []
    for at, parameter in enumerate(parameters):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise _cannot(where, f"it takes any number of arguments (*{parameter.name})", "take one list or dict")
        if parameter.name not in hints:
            raise _cannot(where, f"{parameter.name} has no type", f"annotate {parameter.name}")
        field = (f"_{at}", hints[parameter.name])
        if parameter.default is not parameter.empty:
            field += (msgspec.field(default_factory=_always(parameter.default)),)
        fields.append(field)
    positional = [it.kind is not it.KEYWORD_ONLY for it in parameters]
    try:
        # Arrays as structs: a verb's last arguments may be left out where they have defaults.
        asked = msgspec.defstruct(name, fields, array_like=True, forbid_unknown_fields=True, frozen=True)
        return Verb(
            name,
            parameters,
            msgspec.json.Decoder(asked),
            msgspec.json.Decoder(hints["return"]),
            positional.index(False) if False in positional else len(parameters),
        )
    except (TypeError, ValueError) as unfit:
        raise _cannot(where, str(unfit), "use msgspec structs, numbers, texts, lists, dicts") from None


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


def _cannot(where: str, why: str, fix: str) -> FathomError:
    return FathomError(f"{where} cannot be asked from another process", why=why, fix=fix)


# The client.


def remote(protocol: type, wire: Wire) -> Any:
    """Return an object with the Protocol's verbs that asks the service at the other end of `wire`.

    A verb raises Refusal when the service says no, and NotSent when it could not be reached: then nothing has
    happened. After Lost, TimeoutError or Broke it is unknown whether something has.
    """
    methods = {name: _method(verb) for name, verb in verbs(protocol).items()}
    return type(f"Remote{protocol.__name__}", (_Remote,), methods)(wire)


class _Remote:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire


def _method(verb: Verb) -> Callable[..., Awaitable[Any]]:
    encode, decode = msgspec.json.Encoder().encode, verb.answer.decode
    by_name = verb.by_name
    least = sum(parameter.default is parameter.empty for parameter in verb.parameters)
    heads = {RESIDUAL: _head(verb.name, verb.name)}

    async def ask(self: _Remote, /, *given: Any, **named: Any) -> Any:
        if named or not least <= len(given) <= by_name:
            given = _arranged(verb, given, named)
        op = operation.get()
        head = heads.get(op)
        if head is None:
            head = _head(verb.name, op)
            if len(heads) < _HEADS_MAX:
                heads[op] = head
        body = encode(given)
        status, _, answer = await self.wire.ask(head % len(body) + body)
        if status == 200:
            return decode(answer)
        raise refused(verb.name, status, answer)

    ask.__name__ = ask.__qualname__ = verb.name
    return ask


def _head(verb: str, op: str) -> bytes:
    """Return the head of a request, with a place for its length."""
    if not (op.isascii() and op.isprintable() and "%" not in op):
        raise ValueError(f"an operation's name travels in a header, and {op!r} cannot")
    lines = (f"POST /{verb} HTTP/1.1", "host: fathom", f"{HEADER}: {op}", "content-length: %d")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _arranged(verb: Verb, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments in their order, as Python would have bound them."""
    signature = inspect.Signature(verb.parameters)
    bound = signature.bind(*given, **named)
    last = max((at for at, it in enumerate(verb.parameters) if it.name in bound.arguments), default=-1)
    bound.apply_defaults()
    return tuple(bound.arguments[it.name] for it in verb.parameters[: last + 1])


def refused(verb: str, status: int, body: bytes) -> Exception:
    """Return the error that an answer other than 200 stands for."""
    try:
        it = msgspec.json.decode(body, type=_Refused)
    except msgspec.MsgspecError:
        return Broke(f"{verb} was answered with status {status}")
    if it.why and it.fix:
        return FathomError(it.says, why=it.why, fix=it.fix, code=it.exit)
    if it.code in REFUSALS:
        return Refusal(it.code, it.says, retry_s=it.retry_s)
    if it.code == "timeout":
        return TimeoutError(it.says)
    return Broke(it.says, it.error_id)


class _Refused(msgspec.Struct, omit_defaults=True):
    code: str
    says: str
    retry_s: float | None = None
    error_id: str | None = None
    why: str | None = None
    fix: str | None = None
    exit: int = EXIT_BROKE


# The door.

Control = Callable[[bytes | bytearray], Awaitable[bytes]]


class Text(bytes):
    """What a control answers that is not JSON."""


class Doorway:
    """Serves an object's verbs on a socket: POST /verb, a JSON array in, JSON out. For this machine and user only.

    `controls` are further routes, by "METHOD /path"; they take a body and return one.
    """

    def __init__(
        self,
        protocol: type,
        service: Any,
        *,
        controls: Mapping[str, Control] | None = None,
        in_flight_max: int = IN_FLIGHT_MAX,
        answer_s: float = ANSWER_S,
        arrive_s: float = ARRIVE_S,
    ) -> None:
        self._calls: dict[tuple[bytes, bytes], _Call] = {}
        for name, verb in verbs(protocol).items():
            method = getattr(service, name, None)
            if method is None:
                raise FathomError(
                    f"the service has no verb '{name}'",
                    why=f"{protocol.__name__} says that a client can ask it, and {type(service).__name__} has none",
                    fix=f"write it: async def {name}(self, …)",
                )
            self._calls[b"POST", b"/" + name.encode()] = _Call(name, _asked(verb, method), True)
        for route, control in (controls or {}).items():
            how, _, path = route.partition(" ")
            self._calls[how.encode(), path.encode()] = _Call(RESIDUAL, control, False)
        self.in_flight, self.turned_away = 0, 0
        self.answered: dict[str, int] = {}
        self._most, self._answer_s, self._arrive_s = in_flight_max, answer_s, arrive_s
        self._connections: set[_Connection] = set()
        self._tasks: dict[asyncio.Task[None], float] = {}
        self._ending = False
        self._idle = asyncio.Event()

    @contextlib.asynccontextmanager
    async def open(self, path: str, *, drain_s: float = 5.0) -> AsyncIterator[None]:
        """Serve on a unix socket that only its owner may use. On leaving, calls under way may end within `drain_s`."""
        from fathom.web.listen import unix_socket

        loop = asyncio.get_running_loop()
        with unix_socket(path) as listening:
            server = await loop.create_unix_server(lambda: _Connection(self), sock=listening, backlog=512)
            sweeper = loop.create_task(self._sweep())
            try:
                yield
            finally:
                server.close()
                sweeper.cancel()
                await self._drain(drain_s)

    async def _drain(self, within_s: float) -> None:
        self._ending = True
        for connection in list(self._connections):
            connection.end_when_idle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._tasks:
                    await asyncio.wait(list(self._tasks))
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1.0)
        for connection in list(self._connections):
            connection.end()

    async def _sweep(self) -> None:
        """End calls and half-sent requests that are overdue: one look at all of them is cheaper than a timer each."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = loop.time()
            for task, until in list(self._tasks.items()):
                if until < now:
                    task.cancel()
            for connection in list(self._connections):
                connection.look(now, self._arrive_s)


class _Call(NamedTuple):
    name: str
    act: Control
    bounded: bool  # a verb: counted, limited in number and time


def _asked(verb: Verb, method: Callable[..., Awaitable[Any]]) -> Control:
    decode, encode = verb.asked.decode, msgspec.json.Encoder().encode
    values, by_name = msgspec.structs.astuple, verb.by_name
    names = [parameter.name for parameter in verb.parameters[by_name:]]

    async def act(body: bytes | bytearray) -> bytes:
        try:
            asked = values(decode(body))
        except RecursionError:
            raise msgspec.DecodeError("it is nested too deeply") from None
        if names:
            return encode(await method(*asked[:by_name], **dict(zip(names, asked[by_name:], strict=True))))
        return encode(await method(*asked))

    return act


class _Pending:
    """A place in the row of a connection's answers: they leave in the order in which they were asked for."""

    __slots__ = ("answer", "last")

    def __init__(self, last: bool) -> None:
        self.answer: bytes | None = None
        self.last = last


class _Connection(asyncio.Protocol):
    def __init__(self, doorway: Doorway) -> None:
        self._doorway = doorway
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._row: deque[_Pending] = deque()
        self._held = bytearray()
        self._closing = self._paused = self._choked = self._lingers = False
        self.waits_since: float | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = typing.cast(asyncio.Transport, transport)
        self._doorway._connections.add(self)
        if self._doorway._ending:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._row.clear()  # what is under way goes on; its answers find nobody
        self._doorway._connections.discard(self)
        self.waits_since = None

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self.waits_since is None:
            self.waits_since = self._loop.time()
        if len(data) <= _BITE_BYTES and not self._held:
            self._parse(data)
        else:
            self._held += data
            self._bite()
        if len(self._row) >= PIPELINE_MAX:
            self._pause()

    def _bite(self) -> None:
        """Parse what is held, a bite at a time: one piece of it could hold thousands of requests."""
        while self._held and len(self._row) < PIPELINE_MAX and not self._choked and not self._closing:
            bite = bytes(self._held[:_BITE_BYTES])
            del self._held[:_BITE_BYTES]
            self._parse(bite)
        if self._held:
            self.waits_since = None  # it is we who let it wait
            self._pause()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.refuse(400, "malformed", "there is nothing to upgrade to")
        except httptools.HttpParserError:
            self.refuse(400, "malformed", "that is not HTTP/1.1")

    def _pause(self) -> None:
        if not self._paused and not self._closing:
            self._paused = True
            self._transport.pause_reading()

    def _flow(self) -> None:
        """Go on reading, where there is room again for what may come."""
        if self._choked or self._closing or len(self._row) >= PIPELINE_MAX // 2:
            return
        self._bite()
        if self._paused and not self._held and not self._closing:
            self._paused = False
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        self._closing = True
        return bool(self._row)  # answer what was asked, then end; what is held is not a whole request

    def pause_writing(self) -> None:
        self._choked = True
        self._pause()

    def resume_writing(self) -> None:
        self._choked = False
        self._flow()

    # The parser's side.

    def on_message_begin(self) -> None:
        self._url = b""
        self._head_bytes = 0
        self._body: bytes | bytearray = b""
        self.waits_since = self._loop.time()
        self._op = b""
        self._deadline_s = math.inf
        self._expects = False

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._measure(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._measure(len(name) + len(value))
        size = len(name)
        if size == 9 and name.lower() == _HEADER:
            self._op = value
        elif size == 14 and name.lower() == b"content-length":
            if len(value) > 12 or int(value) > BODY_BYTES_MAX:
                self.refuse(413, "too-large", f"a call has at most {BODY_BYTES_MAX} bytes")
        elif size == 15 and name.lower() == b"fathom-within-s":
            with contextlib.suppress(ValueError):
                self._deadline_s = max(0.001, float(value))
        elif size == 6 and name.lower() == b"expect":
            self._expects = True

    def on_headers_complete(self) -> None:
        if self._expects and not self._row and not self._closing:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self._body = body
        elif isinstance(self._body, bytearray):
            self._body += body
        else:
            self._body = bytearray(self._body + body)
        if len(self._body) > BODY_BYTES_MAX:
            self.refuse(413, "too-large", f"a call has at most {BODY_BYTES_MAX} bytes")

    def on_message_complete(self) -> None:
        self.waits_since = None
        if self._closing:
            return
        doorway = self._doorway
        pending = _Pending(last=not self._parser.should_keep_alive() or doorway._ending)
        self._row.append(pending)
        call = doorway._calls.get((self._parser.get_method(), self._url))
        if call is None:
            self._finish(pending, *_no(404, "unknown", f"there is no {self._url[:80].decode('latin-1')} here"))
        elif call.bounded and doorway.in_flight >= doorway._most:
            doorway.turned_away += 1
            self._finish(pending, *_no(503, "unavailable", "too many calls are under way", retry_s=1))
        else:
            doorway.in_flight += call.bounded
            task = self._loop.create_task(self._answer(pending, call, self._op, self._body))
            within_s = min(doorway._answer_s, self._deadline_s) if call.bounded else math.inf
            doorway._tasks[task] = self._loop.time() + within_s
            task.add_done_callback(doorway._tasks.pop)
            if within_s < doorway._answer_s:
                timer = self._loop.call_later(within_s, task.cancel)
                task.add_done_callback(lambda _: timer.cancel())

    # Answers.

    async def _answer(self, pending: _Pending, call: _Call, op: bytes, body: bytes | bytearray) -> None:
        name = call.name if call.bounded else "the control"
        try:
            operation.set(op.decode("latin-1") if 0 < len(op) <= _OP_CHARS_MAX else call.name)
            self._finish(pending, 200, await call.act(body))
        except Refusal as no:
            self._finish(pending, *_no(no.status, no.code, no.says, retry_s=no.retry_s))
        except msgspec.ValidationError as unfit:
            self._finish(pending, *_no(422, "invalid", f"{name}: {unfit}"))
        except msgspec.DecodeError as unreadable:
            self._finish(pending, *_no(400, "invalid", f"{name}: {unreadable}"))
        except asyncio.CancelledError:
            self._finish(pending, *_no(504, "timeout", f"{name} did not end in time"))
            raise
        except Exception as error:
            if isinstance(error, FathomError) and not call.bounded:  # for the person who runs it, whole
                self._finish(
                    pending, 500, msgspec.json.encode({"code": "broke", "says": error.what, **error.as_json()})
                )
                return
            error_id = tracing.mint_request_id()
            log.error("%s broke", name, exc_info=error, extra={"error_id": error_id, "operation": operation.get()})
            says = error.what if isinstance(error, FathomError) else f"{name} broke"
            self._finish(pending, *_no(500, "broke", says, error_id=error_id))
        finally:
            self._doorway.in_flight -= call.bounded

    def _finish(self, pending: _Pending, status: int, body: bytes) -> None:
        pending.answer = b"HTTP/1.1 %s\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
            _STATUS[status],
            b"text/plain; charset=utf-8" if isinstance(body, Text) else b"application/json",
            len(body),
            b"connection: close\r\n" if pending.last else b"",
            body,
        )
        row = self._row
        if not row or row[0] is not pending:
            return
        if len(row) == 1:
            row.popleft()
            self._transport.write(pending.answer)
        else:
            answers: list[bytes] = []
            while row and (answer := row[0].answer) is not None:
                answers.append(answer)
                pending = row.popleft()
                if pending.last:
                    break
            self._transport.write(b"".join(answers))
        if pending.last or (self._closing and not row):
            self.end()
        elif self._paused:
            self._flow()

    def refuse(self, status: int, code: str, says: str) -> None:
        """Answer last, after what was asked before, and end: the rest of what comes cannot be understood."""
        if self._closing:
            return
        self._closing = self._lingers = True
        pending = _Pending(last=True)
        self._row.append(pending)
        self._finish(pending, *_no(status, code, says))

    def look(self, now: float, arrive_s: float) -> None:
        """End what has waited too long for the rest of a request, or for the other side to end."""
        if self.waits_since is None:
            return
        if self._closing:
            if now - self.waits_since > _LINGER_S and not self._row:
                self._transport.abort()
        elif now - self.waits_since > arrive_s:
            self.refuse(408, "too-slow", "the request did not arrive in time")

    def end_when_idle(self) -> None:
        if self._row:
            self._row[-1].last = True
        else:
            self.end()

    def end(self) -> None:
        self._closing = True
        self._row.clear()
        self._held.clear()
        if self._lingers:
            # To close while more comes is a reset, which can overtake the answer. What comes now is not looked at.
            self._lingers = False
            self.waits_since = self._loop.time()
            if self._paused:
                self._paused = False
                self._transport.resume_reading()
            with contextlib.suppress(OSError):
                self._transport.write_eof()
        else:
            self._transport.close()

    def _measure(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES_MAX:
            self.refuse(431, "too-large", f"a request's head has at most {HEAD_BYTES_MAX} bytes")


def _no(
    status: int, code: str, says: str, *, retry_s: float | None = None, error_id: str | None = None
) -> tuple[int, bytes]:
    return status, msgspec.json.encode(_Refused(code, says, retry_s, error_id))


_HEADER = HEADER.encode()
_STATUS = {
    200: b"200 OK",
    400: b"400 Bad Request",
    401: b"401 Unauthorized",
    403: b"403 Forbidden",
    404: b"404 Not Found",
    408: b"408 Request Timeout",
    409: b"409 Conflict",
    413: b"413 Content Too Large",
    422: b"422 Unprocessable Content",
    429: b"429 Too Many Requests",
    431: b"431 Request Header Fields Too Large",
    500: b"500 Internal Server Error",
    503: b"503 Service Unavailable",
    504: b"504 Gateway Timeout",
}
