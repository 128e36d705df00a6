"""The dialect's table of routes: which path asks for what, and what a program must have been allowed for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from fathom.errors import Refusal
from fathom.web.app import Reply, Spoken, Stream, Visit
from fathom.web.auth import Bearer
from fathom.web.limits import Limits, Throttle
from fathom.web.problems import Problem

from ...api import Grant, Timeline
from .asked import Asked, Caller

__all__ = ["ANYBODY", "CLIENT", "PROGRAM", "Route", "Speech"]

ANYBODY = ""  # needs no token; who shows one sees as themselves, and a bad one is refused
CLIENT = "client"  # says in its own way which program asks; what the header says of a bearer is not looked at
PROGRAM = "program"  # needs a token, be it somebody's or only a program's

_encode = msgspec.json.Encoder().encode


class Route(NamedTuple):
    """A method and a path, whose `:word` is anything without a slash; the scope that it needs; and what answers it."""

    method: str
    path: str
    needs: str
    answer: Callable[[Asked], Awaitable[Any]]


def operation_of(route: Route) -> str:
    """Return the name under which a route is counted, charged and limited.

    >>> operation_of(Route("GET", "/api/v1/accounts/:id/followers", "", print))
    'mastodon GET accounts followers'
    """
    words = [word for word in route.path.split("/") if word and not word.startswith(":")]
    return " ".join(["mastodon", route.method, *(word for word in words if word not in ("api", "v1"))])


class Speech:
    """Mastodon's dialect: finds the route, makes sure of who asks, and writes what is answered."""

    def __init__(self, timeline: Timeline, routes: Iterable[Route], limits: Limits) -> None:
        self.routes = list(routes)
        self.bearer: Bearer[Caller] = Bearer(_callers(timeline))
        rate = limits.per_identity
        self._throttle = None if rate is None else Throttle("identity", rate, keys_max=limits.keys_max)
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], Route, Spoken]]] = {}
        for route in self.routes:
            steps = _steps(route.path)
            spoken = Spoken(operation_of(route), self._answering(route))
            self._by_shape.setdefault((route.method, len(steps)), []).append((steps, route, spoken))
        self.operations = frozenset(map(operation_of, self.routes))

    def find(self, method: str, path: str) -> Spoken | None:
        """Return what answers this."""
        steps = _steps(path)
        for pattern, _, spoken in self._by_shape.get((method, len(steps)), ()):
            if all(want[:1] == ":" or want == step for want, step in zip(pattern, steps, strict=True)):
                return spoken
        return None

    def problem(self, it: Problem) -> Reply:
        """Say a problem as Mastodon does."""
        return Reply(it.status, _encode({"error": it.detail or it.title}))

    def _answering(self, route: Route) -> Callable[[Visit, bytes], Awaitable[Reply | Stream]]:
        pattern = _steps(route.path)

        async def answer(visit: Visit, body: bytes) -> Reply | Stream:
            steps = _steps(visit.scope["path"])
            path = [step for want, step in zip(pattern, steps, strict=True) if want[:1] == ":"]
            caller = await self._enter(visit, route.needs)
            said = await route.answer(Asked(visit, path, body, caller))
            return said if isinstance(said, (Reply, Stream)) else Reply(200, _encode(said))

        return answer

    async def _enter(self, visit: Visit, needs: str) -> Caller | None:
        """Return who asks; refuse strangers, and programs that may not."""
        header = visit.headers.get(b"authorization")
        if needs == CLIENT or (header is None and needs == ANYBODY):
            return None
        caller = await self.bearer.identify(header)
        if self._throttle is not None:
            visit.hold_to(self._throttle, caller.user or caller.app)
        if needs in (ANYBODY, PROGRAM):
            return caller
        if caller.user is None:
            raise Refusal("unauthorised", "this needs the token of somebody's, not one of a program's own")
        if not caller.may(needs):
            raise Refusal("forbidden", f"this needs the scope {needs}, which was not allowed")
        return caller


def _callers(timeline: Timeline) -> Callable[[str], Awaitable[Caller]]:
    async def whose(token: str) -> Caller:
        found: Grant = await timeline.granted(token)
        return Caller(found.app, found.user, frozenset(found.scopes))

    return whose


def _steps(path: str) -> list[str]:
    return path.strip("/").split("/")
