"""One node of the store, asked by the verbs of `api.Kv` that one node can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from fathom.errors import FathomError, Refusal

from ... import api
from ...api import USUAL, Terms
from ...core.calls import Change, Failure, Found, Get, Put, Wrote
from ...model import checked_change, checked_key, checked_put, checked_terms

if TYPE_CHECKING:
    from ...core.topology import Bucket, Topology
    from ..resp import Store

__all__ = ["Local", "Served"]

CODES = {"too-many-siblings": "conflict", "bad-context": "invalid", "wrong-kind": "invalid"}


class Served(Protocol):
    """What this door asks: a node, or the client of all of them."""

    async def get(self, key: bytes, terms: Terms = USUAL) -> api.Found: ...

    async def put(
        self, key: bytes, value: bytes | None, context: bytes = b"", expires_ms: int = 0, terms: Terms = USUAL
    ) -> api.Written: ...

    async def change(self, key: bytes, change: api.Change, terms: Terms = USUAL) -> api.Changed: ...

    async def bucket(self, key: bytes) -> api.Bucket: ...

    async def topology(self) -> api.Layout: ...


class Local:
    """The verbs, asked of the node itself: no network between, and no attempt but one."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: bytes, terms: Terms = USUAL) -> api.Found:
        self._checked(key, terms)
        found = await self._ask(Get(key=key, r=terms.r, pr=terms.pr, at_least=terms.at_least), terms, Found)
        return api.Found(
            values=list(found.values), context=found.context, version=found.version,
            expires_ms=found.expires_ms if found.values else 0, fallbacks=found.fallbacks,
        )  # fmt: skip

    async def put(
        self, key: bytes, value: bytes | None, context: bytes = b"", expires_ms: int = 0, terms: Terms = USUAL
    ) -> api.Written:
        checked_put(as_told(self._checked(key, terms)), value, expires_ms)
        call = Put(
            key=key, value=value, context=context, expires_ms=expires_ms, w=terms.w, pw=terms.pw,
            at_least=terms.at_least,
        )  # fmt: skip
        wrote = await self._ask(call, terms, Wrote)
        return api.Written(version=wrote.version, context=wrote.context, fallbacks=wrote.fallbacks)

    async def change(self, key: bytes, change: api.Change, terms: Terms = USUAL) -> api.Changed:
        checked_change(as_told(self._checked(key, terms)), change)
        wrote = await self._ask(_call(key, change), terms, Wrote)
        if isinstance(change, api.Increment | api.Append):
            return api.Changed(done=True, version=wrote.version, number=wrote.result, before=wrote.before)
        done = wrote.result is None or bool(wrote.result)
        return api.Changed(done=done, version=wrote.version, before=wrote.before)

    async def bucket(self, key: bytes) -> api.Bucket:
        return as_told(self._checked(key, USUAL))

    async def topology(self) -> api.Layout:
        newest = self._topology
        return api.Layout(
            cluster=newest.cluster,
            epoch=newest.epoch,
            places=[
                api.Place(node=it.node, rack=it.rack, resp=it.resp, http=it.http,
                          alive=it.node == self._store.me or self._store.alive(it.node))
                for it in (newest.by_name[node] for node in newest.nodes)
            ],
            buckets=[as_told(bucket) for bucket in newest.buckets],
            changing=bool(newest.then),
        )  # fmt: skip

    @property
    def _topology(self) -> Topology:
        try:
            return self._store.topology
        except FathomError as none:
            raise Refusal("unavailable", none.what, retry_s=1) from None

    def _checked(self, key: bytes, terms: Terms) -> Bucket:
        checked_key(key)
        checked_terms(terms)
        return self._topology.bucket(key)

    async def _ask(self, call: Any, terms: Terms, wanted: type[Any]) -> Any:
        answer = await self._store.ask(call, deadline_ms=terms.deadline_ms)
        if not isinstance(answer, wanted):
            _refuse(answer)
        return answer


def as_told(bucket: Bucket) -> api.Bucket:
    return api.Bucket(
        prefix=bucket.prefix, semantics=bucket.semantics, n=bucket.n, r=bucket.r, w=bucket.w, pr=bucket.pr,
        pw=bucket.pw, sloppy=bucket.sloppy,
    )  # fmt: skip


def _refuse(answer: Any) -> NoReturn:
    if not isinstance(answer, Failure) or answer.unknown:
        raise TimeoutError(answer.says if isinstance(answer, Failure) else "the node said nothing that is known")
    code = CODES.get(answer.code, "unavailable")
    raise Refusal(code, answer.says, retry_s=1 if code == "unavailable" else None)


def _call(key: bytes, change: api.Change) -> Change:
    match change:
        case api.Set(value=value, expires_ms=until_ms):
            return Change(key=key, how="set", given=(value, until_ms))
        case api.Add(value=value, expires_ms=until_ms):
            return Change(key=key, how="add", given=(value, until_ms))
        case api.Replace(value=value, expires_ms=until_ms):
            return Change(key=key, how="replace", given=(value, until_ms))
        case api.Swap(value=value, version=version, was=was, expires_ms=until_ms):
            return Change(key=key, how="swap", given=(was if version is None else version, value, until_ms))
        case api.Delete(version=None):
            return Change(key=key, how="delete")
        case api.Delete(version=version):
            return Change(key=key, how="swap", given=(version, None, 0))
        case api.Increment(by=by):
            return Change(key=key, how="increment", given=(by,))
        case api.Append(value=value):
            return Change(key=key, how="append", given=(value,))
        case api.Expire(expires_ms=until_ms):
            return Change(key=key, how="expire", given=(until_ms,))
