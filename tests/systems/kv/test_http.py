"""The HTTP door: what the model answers it answers, to nobody without the token, and nonsense is told what it is."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fathom.blocks.limiter import Rate
from fathom.errors import FathomError
from fathom.systems.kv.api import VALUE_BYTES_MAX
from fathom.systems.kv.core.calls import Failure
from fathom.systems.kv.doors import http
from fathom.systems.kv.model import KvModel
from fathom.web.limits import Limits

from .cluster import BUCKETS, running
from .memory import MemoryStore, one_node
from .over_http import Answer, HttpKv, address, asked
from .test_conformance import KINDS, now_ms
from .twins import Twins

TOKEN = "0123456789abcdef"
QUICK = replace(http.LIMITS, per_address=None)


def value(raw: bytes, **more: int) -> bytes:
    return msgspec.json.encode({"value": raw, **more})


def values(answer: Answer) -> list[bytes]:
    assert answer.status == 200, answer
    return [base64.b64decode(one) for one in answer.json()["values"]]


@pytest.fixture
async def url(store: MemoryStore) -> AsyncIterator[str]:
    async with http.opened(store) as url:
        yield url


async def test_a_key_is_written_and_read(url: str):
    wrote = await asked(url, "PUT", "/kv/tea", value(b"green"))
    assert wrote.status == 200
    read = await asked(url, "GET", "/kv/tea")
    assert values(read) == [b"green"] and read.headers["etag"] == wrote.headers["etag"]
    assert (await asked(url, "DELETE", "/kv/tea")).status == 200
    gone = await asked(url, "GET", "/kv/tea")
    assert gone.code == "not-found" and (await asked(url, "DELETE", "/kv/tea")).status == 200


@pytest.mark.parametrize(
    "key", [b"a/b", b"//", b"\xff\0", b"..", b"a?b#c%2F", b" ", b"k" * 1_024, b"{tag}x", b"a/../b/"]
)
async def test_a_key_is_any_bytes(url: str, key: bytes):
    assert (await asked(url, "PUT", address(key), value(key))).status == 200
    assert values(await asked(url, "GET", address(key))) == [key]


async def test_a_tag_says_what_was_read(url: str):
    made = await asked(url, "PUT", "/kv/k", value(b"1"), if_none_match="*")
    assert (await asked(url, "PUT", "/kv/k", value(b"2"), if_none_match="*")).code == "unmet"
    newer = await asked(url, "PUT", "/kv/k", value(b"2"), if_match=made.headers["etag"])
    late = await asked(url, "PUT", "/kv/k", value(b"3"), if_match=made.headers["etag"])
    assert (late.status, late.code, late.headers["etag"]) == (412, "unmet", newer.headers["etag"])
    assert (await asked(url, "DELETE", "/kv/k", if_match=made.headers["etag"])).code == "unmet"
    assert (await asked(url, "DELETE", "/kv/k", if_match=newer.headers["etag"])).status == 200
    assert (await asked(url, "GET", "/kv/k")).status == 404


async def test_siblings_are_read_together_and_written_over_with_their_context(url: str):
    await asked(url, "PUT", "/kv/s:k", value(b"a"))
    await asked(url, "PUT", "/kv/s:k", value(b"b"))
    both = await asked(url, "GET", "/kv/s:k")
    assert sorted(values(both)) == [b"a", b"b"]
    merged = await asked(url, "PUT", "/kv/s:k", value(b"ab"), kv_context=both.headers["kv-context"])
    assert merged.headers["kv-context"] and values(await asked(url, "GET", "/kv/s:k")) == [b"ab"]
    assert (await asked(url, "DELETE", "/kv/s:k", kv_context=merged.headers["kv-context"])).status == 200
    gone = await asked(url, "GET", "/kv/s:k")
    assert gone.status == 404 and gone.headers["kv-context"]


async def test_a_counter_counts(url: str):
    for n in range(1, 4):
        answer = await asked(url, "POST", "/changes/n", b'{"type":"increment"}')
        assert answer.json()["number"] == n
    assert (await asked(url, "PUT", "/kv/t", value(b"text"))).status == 200
    assert (await asked(url, "POST", "/changes/t", b'{"type":"increment"}')).code == "invalid"


NONSENSE = {
    "no body": ("PUT", "/kv/k", b"", {}, "invalid"),
    "no JSON": ("PUT", "/kv/k", b"{", {}, "malformed"),
    "another form": ("PUT", "/kv/k", b"x", {"content_type": "text/plain"}, "unsupported-media-type"),
    "no base64": ("PUT", "/kv/k", b'{"value":"?"}', {}, "invalid"),
    "unknown fields": ("PUT", "/kv/k", b'{"value":"","ttl":1}', {}, "invalid"),
    "a long key": ("GET", address(b"k" * 1_025), None, {}, "invalid"),
    "a key of ours": ("GET", address(b"\0fathom\0x"), None, {}, "invalid"),
    "a large value": ("PUT", "/kv/k", value(b"v" * (VALUE_BYTES_MAX + 1)), {}, "too-large"),
    "no key": ("GET", "/kv/", None, {}, "invalid"),
    "an odd number of replicas": ("GET", "/kv/k?r=two", None, {}, "invalid"),
    "a deadline of no time": ("GET", "/kv/k?deadline_ms=0", None, {}, "invalid"),
    "a wrong tag": ("PUT", "/kv/k", value(b"1"), {"if_match": "W/x"}, "invalid"),
    "a tag for siblings": ("PUT", "/kv/s:k", value(b"1"), {"if_match": '"1"'}, "invalid"),
    "a context for a register": ("PUT", "/kv/k", value(b"1"), {"kv_context": "AAAA"}, "invalid"),
    "a wrong context": ("PUT", "/kv/s:k", value(b"1"), {"kv_context": "AAAA"}, "invalid"),
    "a damaged context": ("PUT", "/kv/s:k", value(b"1"), {"kv_context": "???"}, "invalid"),
    "siblings that expire": ("PUT", "/kv/s:k", value(b"1", expires_ms=9), {}, "invalid"),
    "an unknown change": ("POST", "/changes/k", b'{"type":"halve"}', {}, "invalid"),
    "a change of siblings": ("POST", "/changes/s:k", b'{"type":"increment"}', {}, "invalid"),
    "no address": ("GET", "/kw/k", None, {}, "not-found"),
    "no method": ("POST", "/kv/k", b"{}", {}, "method-not-allowed"),
}  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "headers", "code"), NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_told_what_it_is(url: str, method: str, path: str, body, headers, code: str):  # type: ignore[no-untyped-def]
    assert (await asked(url, method, path, body, **headers)).code == code


ROUTES = [("GET", "/kv/k"), ("PUT", "/kv/k"), ("DELETE", "/kv/k"), ("POST", "/changes/k"), ("GET", "/topology"),
          ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/health"), ("GET", "/nowhere"),
          ("OPTIONS", "/kv/k")]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_a_stranger_is_turned_away_on_every_route(store: MemoryStore, method: str, path: str):
    async with http.opened(store, token=TOKEN) as url:
        body = value(b"1") if method in ("PUT", "POST") else None
        for headers in (
            {},
            {"fathom_token": "wrong"},
            {"fathom_token": TOKEN[:-1]},
            {"authorization": f"Bearer {TOKEN}"},
        ):
            answer = await asked(url, method, path, body, **headers)
            assert (answer.status, answer.code) == (401, "unauthorised")
        assert (await asked(url, "GET", "/kv/k", fathom_token=TOKEN)).status == 404, "nothing was written"


async def test_every_route_is_among_those_that_strangers_try(url: str):
    described = (await asked(url, "GET", "/openapi.json")).json()["paths"]
    tried = {(method, path.rpartition("/")[0]) for method, path in ROUTES}
    for path, methods in described.items():
        for method in methods:
            assert (method.upper(), path.partition("/{")[0].rpartition("/")[0] if "{" not in path else
                    path.partition("/{")[0]) in tried, (method, path)  # fmt: skip


async def test_a_door_to_other_machines_needs_tls_and_a_token(store: MemoryStore):
    with pytest.raises(FathomError, match="may not listen on"):
        async with http.opened(store, host="0.0.0.0", token=TOKEN):
            pass


async def test_another_name_for_this_machine_is_not_answered(url: str):
    assert (await asked(url, "GET", "/kv/k", host="evil.example")).code == "misdirected"


async def test_who_asks_too_often_is_told_so(store: MemoryStore):
    async with http.opened(store, limits=Limits(per_address=Rate(per_s=0.01, burst=2))) as url:
        assert [(await asked(url, "GET", "/kv/k")).status for _ in range(3)] == [404, 404, 429]


async def test_what_nobody_knows_is_not_called_refused(store: MemoryStore, monkeypatch: pytest.MonkeyPatch):
    said = Failure(code="timeout", says="late", unknown=True)

    async def ask(call: object, *, deadline_ms: int | None = None) -> Failure:
        return said

    monkeypatch.setattr(store, "ask", ask)
    async with http.opened(store) as url:
        answer = await asked(url, "PUT", "/kv/k", value(b"1"))
        assert answer.code == "unavailable" and "may have happened" in answer.json()["detail"]
        said = Failure(code="unavailable", says="too few owners")
        answer = await asked(url, "PUT", "/kv/k", value(b"1"))
        assert answer.json()["detail"] == "too few owners" and answer.headers["retry-after"] == "1"


@pytest.mark.slow
async def test_over_http_it_answers_as_the_model_does():
    store = one_node(BUCKETS)
    try:
        async with http.opened(store, token=TOKEN, limits=QUICK) as url:
            kv = HttpKv(url, TOKEN)
            twins = Twins(KvModel(now_ms, KINDS), kv, 5, KINDS)
            twins.replicas = 1
            for _ in range(400):
                await twins.step()
    finally:
        store.stop()


@pytest.mark.slow
async def test_a_member_answers_over_http_what_another_took_over_resp(tmp_path: Path):
    async with (
        running(tmp_path) as cluster,
        http.opened(cluster.members["n1"]) as one,
        http.opened(cluster.members["n2"]) as two,
    ):
        assert (await asked(one, "PUT", "/kv/k?deadline_ms=5000", value(b"1"))).status == 200
        assert values(await asked(two, "GET", "/kv/k")) == [b"1"]
        places = (await asked(two, "GET", "/topology")).json()["places"]
        assert [place["node"] for place in places] == ["n1", "n2", "n3"]
