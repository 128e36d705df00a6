"""A door on which bodies are read as they come, by those who are known: beside the routes whose bodies are small."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from litestar import Request, Response, Router

from fathom.engines.engine import EngineBusy, EngineDown
from fathom.web import openapi, problems
from fathom.web.app import Reply, Stream, Visit, _Close, _Gone, _Slow
from fathom.web.problems import Problem
from fathom.web.sockets import Met, TalkingDoor

from .body import IDLE_S, Body, Gone, Slow

__all__ = ["UNKNOWN", "Answer", "Paths", "Route", "Spoken", "Tongue", "Unbuffered", "said", "within"]

UNKNOWN = Problem(
    title="Nobody knows whether it was done",
    status=504,
    code="unknown",
    detail="no answer in time: it may have happened; ask again, with the same keys",
)
BODY_S = 24 * 3_600.0  # `Body` itself holds it to a rate

Answer = Callable[[Visit, Body], Awaitable[Reply | Stream]]


class Route(NamedTuple):
    """A method and a path, whose `{word}` is anything without a slash, and `{word:path}` all that is left."""

    method: str
    path: str
    operation: str
    answer: Answer


class Spoken(NamedTuple):
    """What answers a request, under which name it is counted, and in whose words it is refused."""

    operation: str
    answer: Answer
    tongue: Tongue


class Tongue(Protocol):
    """Routes of one kind, and how they say no."""

    operations: frozenset[str]

    def find(self, method: str, path: str) -> Spoken | None: ...

    def problem(self, it: Problem) -> Reply: ...


class Tongues:
    """Several of them on one door: the first that knows a path answers."""

    def __init__(self, tongues: Iterable[Tongue]) -> None:
        self._tongues = list(tongues)
        self.operations = frozenset(name for tongue in self._tongues for name in tongue.operations)

    def find(self, method: str, path: str) -> Any:
        return next((found for tongue in self._tongues if (found := tongue.find(method, path))), None)

    def problem(self, it: Problem) -> Reply:
        """Say what was refused before anybody looked at the path."""
        return said(it)


def said(it: Problem, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """Return a problem as the answer that the house gives."""
    return Reply(it.status, problems.encoded(it), list(headers), problems.MEDIA_TYPE.encode())


class Unbuffered(TalkingDoor):
    """The house's door, which holds most bodies whole, with a way past that."""

    def __init__(
        self,
        title: str,
        version: str,
        handlers: Sequence[Any],
        *,
        tongues: Iterable[Tongue],
        shapes: Mapping[str, Any],
        met: Callable[[str], Met | None],
        **named: Any,
    ) -> None:
        router = Router("/", route_handlers=handlers, exception_handlers={TimeoutError: _unknown_answer})
        super().__init__(title, version, [router], dialect=Tongues(tongues), met=met, **named)
        self.openapi["components"]["schemas"].update(shapes)
        self._own["/openapi.json"] = _fixed(Reply(200, msgspec.json.encode(self.openapi)))
        self._own["/docs"] = _fixed(openapi.page(self.openapi))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):  # as it was written: a slash that was escaped parts nothing
            scope["path"] = scope["raw_path"].partition(b"?")[0].decode("latin-1")
        await super().__call__(scope, receive, send)

    async def _speak(self, visit: Visit, spoken: Any, receive: Any, send: Any) -> tuple[int, Stream | None]:
        visit.dialect, visit.operation = spoken.tongue, spoken.operation
        visit.scope["fathom.body_s"] = BODY_S
        self._begin(visit)
        body = Body(receive, visit.headers, visit.scope.get("fathom.fill"))
        try:
            answer = await spoken.answer(visit, body)
        except Gone:
            raise _Gone from None
        except Exception as no:
            if not await body.thrown_away():
                raise _Close(_told(no)) from None
            if _unknown(no):
                answer = spoken.tongue.problem(_of_visit(visit))
            else:
                raise _told(no) from None
        if isinstance(answer, Stream):
            return answer.status, answer
        if not await body.thrown_away():
            answer = msgspec.structs.replace(answer, headers=[*answer.headers, (b"connection", b"close")])
        return await self._send(visit, answer, send), None

    async def _through_litestar(self, visit: Visit, receive: Any, send: Any) -> int:
        try:
            return await super()._through_litestar(visit, receive, send)
        except TimeoutError:
            return await self._send(visit, said(_of_visit(visit)), send)

    async def _send(self, visit: Visit, reply: Reply, send: Any) -> int:
        if reply.status not in (204, 304):
            return await super()._send(visit, reply, send)
        await send({"type": "http.response.start", "status": reply.status, "headers": [*reply.headers, *visit.fields]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return reply.status


def _unknown(no: Exception) -> bool:
    return isinstance(no, TimeoutError) and not isinstance(no, (EngineDown, EngineBusy))


def _unknown_answer(request: Request[Any, Any, Any], error: TimeoutError) -> Response[bytes]:
    it = _of_visit(Visit.of(request))
    return Response(problems.encoded(it), status_code=it.status, media_type=problems.MEDIA_TYPE)


def _of_visit(visit: Visit) -> Problem:
    return msgspec.structs.replace(UNKNOWN, request_id=visit.trace.request_id)


def _told(no: Exception) -> Exception:
    return _Slow(IDLE_S) if isinstance(no, Slow) else no


def _fixed(reply: Reply) -> Callable[[Visit], Awaitable[Reply]]:
    async def answer(visit: Visit) -> Reply:
        return reply

    return answer


class Paths:
    """A table of routes: each path is looked at word by word."""

    def __init__(self, routes: Iterable[Route], tongue: Tongue) -> None:
        self.routes = list(routes)
        self._found = [(route.path.strip("/").split("/"), Spoken(route.operation, route.answer, tongue), route.method)
                       for route in self.routes]  # fmt: skip

    def find(self, method: str, path: str) -> Spoken | None:
        steps = path.strip("/").split("/") if path != "/" else []
        return next((spoken for words, spoken, its in self._found if its == method and _fits(words, steps)), None)


def _fits(words: list[str], steps: list[str]) -> bool:
    if words[-1].endswith(":path}"):
        words, steps = words[:-1], steps[: len(words) - 1]
    return len(words) == len(steps) and all(
        word[0] == "{" or word == step for word, step in zip(words, steps, strict=True)
    )


async def within(seconds: float, work: Awaitable[Any]) -> Any:
    """Await an answer of the service for so long; after that nobody knows."""
    async with asyncio.timeout(seconds):
        return await work
