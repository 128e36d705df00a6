"""A client that knows where each key lies, what may be sent again, and when to stop trying.

    async with connected(["127.0.0.1:7001"]) as kv:
        await kv.change(b"visits", Increment())

Every request goes to an owner of its key; the slots are those of Redis Cluster, the members those that any node tells
of. What surely was not done is sent again, and reads are, to another owner; so is a change that compares a version,
which is known by its id. A change of any other kind that may have been done is not: it ends with TimeoutError.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from fathom.errors import FathomError, Refusal

from ..api import (
    USUAL,
    Add,
    Append,
    Bucket,
    Change,
    Changed,
    Delete,
    Expire,
    Found,
    Increment,
    Layout,
    Page,
    Place,
    Replace,
    Set,
    Swap,
    Terms,
    Written,
)
from ..core import topology as core
from ..model import checked_change, checked_key, checked_page, checked_put, checked_terms
from .asking import Asking, Budget, Question
from .connection import Address, Unsent
from .listing import differing, listed, replicas
from .routes import Routes

__all__ = ["Client", "connected"]

DEADLINE_MS = 2_000
SETTLES_S = 30.0
FRESH_S = 2.0  # how long it is believed who answers


class Client:
    """The store, asked over the doors of its nodes. See `api.Kv`."""

    def __init__(self, routes: Routes, *, deadline_ms: int, settles_s: float, dice: Random) -> None:
        self._routes, self._deadline_ms, self._settles_s = routes, deadline_ms, settles_s
        self._asking = Asking(routes, dice, Budget())
        self._name, self._ops = secrets.token_hex(8), 0
        self._refreshed_s, self._refreshing = 0.0, None

    @property
    def counts(self) -> Mapping[str, int]:
        """How often something came in between: not sent, not answered, moved, turned away, unknown, sent again."""
        return self._asking.counts

    async def get(self, key: bytes, terms: Terms = USUAL) -> Found:
        self._bucket(key, terms)
        words = _options(R=terms.r, PR=terms.pr, SINCE=terms.at_least or None)
        said = await self._ask(Question(key, "KV.GET", key, *words, reads=True), terms)
        values, context, version, expires_ms, fallbacks = said
        if not values:
            expires_ms = 0
        return Found(values=values, context=context, version=version, expires_ms=expires_ms, fallbacks=fallbacks)

    async def put(
        self, key: bytes, value: bytes | None, context: bytes = b"", expires_ms: int = 0, terms: Terms = USUAL
    ) -> Written:
        checked_put(self._bucket(key, terms), value, expires_ms)
        words = _options(W=terms.w, PW=terms.pw, SINCE=terms.at_least or None)
        if value is None:
            question = Question(key, "KV.DEL", key, "CONTEXT", context, *words)
        else:
            question = Question(
                key, "KV.PUT", key, value, "CONTEXT", context, *words, *_options(PXAT=expires_ms or None)
            )
        context, version, fallbacks = await self._ask(question, terms)
        return Written(version=version, context=context, fallbacks=fallbacks)

    async def change(self, key: bytes, change: Change, terms: Terms = USUAL) -> Changed:
        checked_change(self._bucket(key, terms), change)
        question = self._question(key, change)
        result, before, version = await self._ask(question, terms)
        if isinstance(change, Increment | Append):
            return Changed(done=True, version=version, number=result, before=before)
        if result is None:  # a plain set; or it had been done when it was asked before
            return Changed(done=True, version=version, before=before)
        if not result and question.unknown is not None:  # it is another version by now: perhaps that of this change
            raise question.fails("unavailable", "")
        return Changed(done=bool(result), version=version, before=before)

    async def scan(self, after: str = "", limit: int = 100) -> Page:
        checked_page(limit)
        self._look()
        return await listed(self._routes, after, limit)

    async def bucket(self, key: bytes) -> Bucket:
        return self._bucket(key, USUAL)

    async def topology(self) -> Layout:
        try:
            await self._routes.refresh()
        except Unsent as unsent:
            raise Refusal("unavailable", str(unsent)) from None
        newest = self._known
        return Layout(
            cluster=newest.cluster,
            epoch=newest.epoch,
            places=[_place(newest.by_name[node], self._routes.down) for node in newest.nodes],
            buckets=[_bucket(bucket) for bucket in newest.buckets],
            changing=bool(newest.then),
        )

    async def settled(self) -> None:
        """Return when every replica has what was acknowledged before.

        Raises Refusal, if they do not agree within the time of `connected`.
        """
        until_s = asyncio.get_running_loop().time() + self._settles_s
        apart, pause_s = "", 0.005
        while asyncio.get_running_loop().time() < until_s:
            try:
                await self._routes.refresh()
                apart = differing(self._known, await replicas(self._routes))
            except (Unsent, Refusal) as silent:
                apart = str(silent)
            if not apart:
                return
            await asyncio.sleep(pause_s)  # nobody tells when another has caught up
            pause_s = min(2 * pause_s, 0.25)
        raise Refusal("unavailable", f"it has not settled in {self._settles_s:g} s: {apart}")

    # -----------------------------------------------------------------------------------------------------------------

    @property
    def _known(self) -> core.Topology:
        assert self._routes.topology is not None, "`connected` has seen to that"
        return self._routes.topology

    def _bucket(self, key: bytes, terms: Terms) -> Bucket:
        checked_key(key)
        checked_terms(terms)
        return _bucket(self._known.bucket(key))

    def _question(self, key: bytes, change: Change) -> Question:
        match change:
            case Set(value=value) | Add(value=value) | Replace(value=value) | Append(value=value):
                words: tuple[bytes | str | int, ...] = (type(change).__name__, value)
            case Swap(version=int(version)):
                words = ("SWAP", "VERSION", version, change.value)
            case Swap(was=None):
                words = ("SWAP", "NOTHING", b"", change.value)
            case Swap(was=bytes(was)):
                words = ("SWAP", "VALUE", was, change.value)
            case Delete(version=int(version)):
                words = ("DELETE", "IF", version)
            case Delete():
                words = ("DELETE",)
            case Increment(by=by):
                words = ("INCREMENT", by)
            case Expire(expires_ms=until_ms):
                words = ("EXPIRE", until_ms)
            case _:
                raise Refusal("invalid", f"a {type(change).__name__} is no change")
        if isinstance(change, Set | Add | Replace | Swap) and change.expires_ms:
            words += ("PXAT", change.expires_ms)
        again = isinstance(change, Swap | Delete) and change.version is not None
        if not again:
            return Question(key, "KV.CHANGE", key, *words)
        self._ops += 1
        return Question(key, "KV.CHANGE", key, *words, again=True, op=(self._ops, self._name))

    async def _ask(self, question: Question, terms: Terms) -> Any:
        self._look()
        return await self._asking.answer(question, (terms.deadline_ms or self._deadline_ms) / 1_000)

    def _look(self) -> None:
        """Find out now and then, beside what is asked, who is there and who answers."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._refreshed_s > FRESH_S and self._refreshing is None:
            self._refreshed_s = now_s
            self._refreshing = asyncio.ensure_future(self._refresh())

    async def _refresh(self) -> None:
        try:
            await self._routes.refresh()
        except (Unsent, Refusal):
            self._asking.counts["nobody told who is there"] += 1
        finally:
            self._refreshing = None

    async def close(self) -> None:
        refreshing = self._refreshing
        if refreshing is not None:
            refreshing.cancel()
            await asyncio.gather(refreshing, return_exceptions=True)
        await self._routes.close()


@asynccontextmanager
async def connected(
    seeds: Sequence[str],
    *,
    token: str | None = None,
    tls: ssl.SSLContext | None = None,
    deadline_ms: int = DEADLINE_MS,
    settles_s: float = SETTLES_S,
    seed: int | None = None,
) -> AsyncIterator[Client]:
    """Connect to a cluster of which these nodes are (host:port of their Redis doors); one that answers is enough.

    `deadline_ms` is for a request that says nothing else, with all its attempts. Raises FathomError.
    """
    dice = Random(os.urandom(8) if seed is None else seed)
    try:
        routes = Routes([Address.parse(text) for text in seeds], token, tls, dice)
    except ValueError as error:
        raise FathomError(f"{error}", why="nodes are named by their address", fix="say 127.0.0.1:7001") from None
    client = Client(routes, deadline_ms=deadline_ms, settles_s=settles_s, dice=dice)
    try:
        try:
            await routes.refresh()
        except (Unsent, Refusal) as silent:
            raise FathomError(
                f"none of {', '.join(seeds)} tells of a cluster", why=str(silent), fix="see that one of them is up"
            ) from None
        yield client
    finally:
        await client.close()


def _options(**asked: int | None) -> list[bytes | str | int]:
    return [word for name, value in asked.items() if value is not None for word in (name, value)]


def _bucket(bucket: core.Bucket) -> Bucket:
    return Bucket(
        prefix=bucket.prefix, semantics=bucket.semantics, n=bucket.n, r=bucket.r, w=bucket.w, pr=bucket.pr,
        pw=bucket.pw, sloppy=bucket.sloppy,
    )  # fmt: skip


def _place(member: core.Member, down: frozenset[str]) -> Place:
    alive = member.node not in down
    return Place(node=member.node, rack=member.rack, resp=member.resp, http=member.http, alive=alive)
