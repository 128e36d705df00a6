"""Asks a payment provider, and tells what surely did not happen from what may have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from fathom.engines.engine import EngineDown, EngineUnknown
from fathom.engines.ledger import charge as charged
from fathom.engines.wire import Wire, request
from fathom.errors import FathomError, Refusal
from fathom.web import tracing
from fathom.web.problems import Problem

from .faults import Behaviour
from .messages import Ask, Charge, Event, Listener, Refund, RefundAsk, Totals

__all__ = ["ProviderClient"]

CONNECTIONS = 16
T = TypeVar("T")


class ProviderClient:
    """A provider, asked over connections that are kept.

    Every verb raises EngineDown where surely nothing was done, EngineUnknown where that can only be asked (`void` and
    `charges` do), and Refusal where the provider said no.
    """

    def __init__(self, wire: Wire, key: str) -> None:
        self._wire, self.key = wire, key
        self._auth = [("authorization", f"Bearer {key}")]

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, connections: int = CONNECTIONS, deadline_s: float = 2.0
    ) -> AsyncIterator[ProviderClient]:
        """Connect to `http://:key@host:port` for the length of a block; no answer takes longer than `deadline_s`."""
        try:
            parts = urlsplit(url)
            key, host, port = parts.password, parts.hostname, parts.port or 80
        except ValueError as unfit:
            raise _wrong(str(unfit)) from None
        if parts.scheme != "http":
            raise _wrong("it does not begin with http://, and nothing else is spoken here: the key would go in clear")
        if not key or not host:
            raise _wrong("it has no key or no host in it")
        wire = Wire(f"http://{host}:{port}", connections=connections, deadline_s=deadline_s)
        async with wire.open():
            yield cls(wire, key)

    async def charge(self, key: str, ask: Ask) -> Charge:
        """Charge, once however often it is asked for with this key."""
        return await self._ask("POST", "/charges", Charge, ask, key)

    async def charges(self, *, key: str | None = None, reference: str | None = None) -> list[Charge]:
        """Return what really happened under a key, or for a reference; nothing: nothing yet."""
        where = f"key={quote(key, safe='')}" if key is not None else f"reference={quote(reference or '', safe='')}"
        return await self._ask("GET", f"/charges?{where}", list[Charge])

    async def void(self, key: str) -> Charge:
        """Return what became of a key, for good: where nothing did, nothing will any more."""
        return await self._ask("POST", "/voids", Charge, None, key)

    async def refund(self, charge: str, key: str, minor: int | None = None) -> Refund:
        """Give some of a charge back, or all that is left, once however often it is asked for with this key."""
        return await self._ask("POST", f"/charges/{charge}/refunds", Refund, RefundAsk(minor=minor), key)

    async def refunds(self, charge: str) -> list[Refund]:
        """Return what went back of a charge."""
        return await self._ask("GET", f"/charges/{charge}/refunds", list[Refund])

    async def events(self, after: int = 0) -> list[Event]:
        """Return what happened after an event, at most 500 of it."""
        return await self._ask("GET", f"/events?after={after}", list[Event])

    async def totals(self) -> list[Totals]:
        """Return what was charged and given back in sum, by currency."""
        return await self._ask("GET", "/totals", list[Totals])

    async def listen(self, name: str, url: str) -> None:
        """Be called back at a URL from now on."""
        await self._ask("PUT", "/listeners", Listener, Listener(name=name, url=url))

    async def behave(self, behaviour: Behaviour) -> None:
        """Have it misbehave so from now on."""
        await self._ask("PUT", "/faults", Behaviour, behaviour)

    async def let_pass(self) -> None:
        """Let the time pass until every callback that waits is due; returns when each was sent."""
        await self._ask("POST", "/callbacks/due", dict[str, int])

    async def call_again(self, seq: int) -> None:
        """Have an event called back once more."""
        await self._ask("POST", "/callbacks/again", dict[str, bool], {"seq": seq})

    async def ping(self) -> None:
        """Return once it has answered."""
        await self._ask("GET", "/", dict[str, Any])

    async def _ask(self, method: str, path: str, kind: type[T], body: Any = None, key: str | None = None) -> T:
        charged("requests")
        headers = [*self._auth, *([("idempotency-key", key)] if key is not None else [])]
        if (trace := tracing.current.get()) is not None:  # the request that this is asked for
            headers.append(("traceparent", trace.traceparent))
        sent = b"" if body is None else msgspec.json.encode(body)
        answer = await self._wire.ask(request(method, path, headers=headers, body=sent, host=self._host))
        if answer.status >= 400:
            raise _meaning(answer.status, answer.body)
        return msgspec.json.decode(answer.body, type=kind)

    @property
    def _host(self) -> str:
        return urlsplit(self._wire.where).netloc


def _wrong(why: str) -> FathomError:
    return FathomError(
        "the provider's URL is wrong",
        why=why,
        fix="write it like http://:key@127.0.0.1:8080, as the provider says when it starts",
    )


def _meaning(status: int, body: bytes) -> Exception:
    """Say what an answer that is no yes means: a no, nothing was done, or nobody knows."""
    try:
        problem = msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        problem = Problem(title="", status=status, code="broke")
    says = problem.detail or problem.title or f"it answered {status}"
    if status == 503:
        return EngineDown("the payment provider did nothing", why=says, fix="ask again")
    if status >= 500:
        return EngineUnknown("the payment provider broke", why=says, fix="ask it what happened before you try again")
    return Refusal(problem.code if status != 400 else "invalid", says)
