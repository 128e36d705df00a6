"""Another's protocol on the same door: within the same limits, in its own words, and streams that end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from fathom.errors import Refusal
from fathom.web.app import Answering, Door, Large, Reply, Spoken, Stream, Visit, api
from fathom.web.limits import Limits, Rate
from fathom.web.listen import Listen
from fathom.web.problems import Problem
from fathom.web.server import listening

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Parrot:
    """Repeats bodies, refuses, breaks, and streams."""

    operations = frozenset(("parrot",))

    def __init__(self) -> None:
        self.streams = 0
        self.ended = asyncio.Event()

    def find(self, method: str, path: str) -> Spoken | None:
        large = Large(5_000, 5.0, self._let_in) if path == "/parrot/large" else None
        return Spoken("parrot", self._answer, large) if path.startswith("/parrot") else None

    def problem(self, it: Problem) -> Reply:
        return Reply(it.status, json.dumps({"squawk": it.code}).encode())

    @asynccontextmanager
    async def _let_in(self, visit: Visit) -> AsyncIterator[Answering]:
        if visit.headers.get(b"authorization") != b"Bearer polly":
            raise Refusal("unauthorised", "who are you?")
        self.streams += 1
        try:
            yield self._answer
        finally:
            self.streams -= 1

    async def _answer(self, visit: Visit, body: bytes) -> Reply | Stream:
        match visit.scope["path"]:
            case "/parrot/no":
                raise Refusal("forbidden", "no")
            case "/parrot/broken":
                raise ValueError("a secret")
            case "/parrot/stream":
                return Stream(self._pieces())
            case "/parrot/listen":
                self.streams += 1
                return Stream(self._pieces(), self._close)
            case "/parrot/clinging":
                return Stream(self._one(), self._break)
            case "/parrot/short":
                return Stream(self._short())
            case "/parrot/slow":
                return Stream(self._pieces(), self._close, [(b"content-range", b"all")], b"text/plain", 206, 0.1)
            case "/parrot/large":
                return Reply(200, b"%d, %d here" % (len(body), self.streams), [], b"text/plain")
            case _:
                return Reply(200, body, [(b"x-parrot", b"yes")], b"text/plain")

    async def _pieces(self) -> AsyncGenerator[bytes]:
        self.streams += 1
        try:
            yield b"hello\n"
            await asyncio.Event().wait()
        finally:
            self.streams -= 1
            self.ended.set()

    async def _close(self) -> None:
        self.streams -= 1

    async def _one(self) -> AsyncGenerator[bytes]:
        yield b"one\n"

    async def _break(self) -> None:
        raise ValueError("a secret")

    async def _short(self) -> AsyncGenerator[bytes]:
        yield b"one\n"
        raise ValueError("a secret")


@asynccontextmanager
async def parrot(**limits: object) -> AsyncIterator[tuple[httpx.AsyncClient, Parrot, Door]]:
    bird = Parrot()
    door = api("Parrot", "1", [], limits=Limits(**limits), dialect=bird)  # pyright: ignore[reportArgumentType]
    async with (
        listening(door, Listen(), drain_s=0.5) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        yield http, bird, door


async def test_forms_are_taken_on_its_paths_only_and_within_the_same_bounds():
    async with parrot(body_bytes_max=100) as (http, _, _door):
        got = await http.post("/parrot", content=b"a=1", headers=FORM)
        assert (got.status_code, got.text, got.headers["x-parrot"]) == (200, "a=1", "yes")
        assert got.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in got.headers["content-security-policy"]
        for body, headers, status in ((b"x" * 101, FORM, 413), (b"x", {"content-type": "text/plain"}, 415)):
            got = await http.post("/parrot", content=body, headers=headers)
            assert (got.status_code, list(got.json())) == (status, ["squawk"])
        elsewhere = await http.post("/other", content=b"a=1", headers=FORM)
        assert elsewhere.headers["content-type"] == "application/problem+json"


PARTS = {"content-type": "multipart/form-data; boundary=x"}


async def test_a_large_form_is_taken_of_who_is_let_in_and_of_others_not_one_byte():
    async with parrot(body_bytes_max=100) as (http, bird, _door):
        polly = {"authorization": "Bearer polly"}
        got = await http.post("/parrot/large", content=bytes(4_000), headers=PARTS | polly)
        assert (got.status_code, got.text) == (200, "4000, 1 here")
        assert (await http.post("/parrot/large", content=bytes(5_001), headers=PARTS | polly)).status_code == 413
        assert (await http.post("/parrot/large", content=bytes(101), headers=FORM | polly)).status_code == 413
        assert (await http.post("/parrot", content=bytes(101), headers=PARTS | polly)).status_code == 413
        got = await http.post("/parrot/large", content=bytes(50_000), headers=PARTS)
        assert (got.status_code, got.json()) == (401, {"squawk": "unauthorised"})
        assert got.headers["connection"] == "close"
        assert bird.streams == 0


async def test_who_does_not_take_a_stream_in_its_time_is_cut_off():
    async with parrot() as (http, bird, _door):
        async with http.stream("GET", "/parrot/slow") as answer:
            assert (answer.status_code, answer.headers["content-range"]) == (206, "all")
            with pytest.raises(httpx.RemoteProtocolError):
                async for _ in answer.aiter_bytes():
                    pass
        assert bird.ended.is_set()


async def test_errors_are_said_in_its_words_and_tell_no_secrets():
    async with parrot() as (http, _, _door):
        got = await http.get("/parrot/no")
        assert (got.status_code, got.json()) == (403, {"squawk": "forbidden"})
        got = await http.get("/parrot/broken")
        assert (got.status_code, got.json()) == (500, {"squawk": "broke"})


async def test_its_operations_have_rates_of_their_own():
    async with parrot(operations={"parrot": Rate(per_s=0.001, burst=2)}) as (http, _, _door):
        statuses = [(await http.get("/parrot")).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]


async def test_a_stream_ends_with_whoever_asked_for_it_and_is_no_request_under_way():
    async with parrot(in_flight_max=1) as (http, bird, door):
        async with http.stream("GET", "/parrot/stream") as answer:
            assert await anext(answer.aiter_bytes()) == b"hello\n"
            assert (bird.streams, door.admission.in_flight) == (1, 0)
            assert (await http.get("/parrot")).status_code == 200, "it takes no place from others"
        async with asyncio.timeout(5):
            await bird.ended.wait()
        assert bird.streams == 0


async def test_a_stream_that_breaks_ends_and_says_nothing_of_why():
    async with parrot() as (http, _, _door):
        said = b""
        try:
            async with http.stream("GET", "/parrot/short") as answer:
                async for piece in answer.aiter_bytes():
                    said += piece
        except httpx.RemoteProtocolError:
            pass  # the connection ends within the body, which is all that can be said then
        assert said == b"one\n"


async def test_a_stream_that_cannot_be_closed_was_answered_all_the_same():
    door = api("Parrot", "1", [], dialect=Parrot())
    scope = {"type": "http", "method": "GET", "path": "/parrot/clinging", "query_string": b"", "headers": []}
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await door({**scope, "client": ("127.0.0.1", 9)}, asyncio.Event().wait, send)
    assert [message["status"] for message in sent if message["type"] == "http.response.start"] == [200]
    assert b"".join(message.get("body", b"") for message in sent) == b"one\n"
    assert 'operation="parrot",method="GET",status="200"} 1' in door.metrics.text()


async def test_a_stream_that_cannot_even_begin_is_closed():
    bird = Parrot()
    door = api("Parrot", "1", [], dialect=bird)
    scope = {"type": "http", "method": "GET", "path": "/parrot/listen", "query_string": b"", "headers": []}

    open_then: list[int] = []

    async def send(message: Any) -> None:
        open_then.append(bird.streams)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await door({**scope, "client": ("127.0.0.1", 9)}, asyncio.Event().wait, send)
    assert (open_then[0], bird.streams) == (1, 0)


async def test_how_long_somebody_listens_is_no_latency(monkeypatch: pytest.MonkeyPatch):
    now_s = 0.0
    monkeypatch.setattr("fathom.web.app.time.perf_counter", lambda: now_s)
    async with parrot() as (http, bird, door):
        async with http.stream("GET", "/parrot/stream") as answer:
            assert await anext(answer.aiter_bytes()) == b"hello\n"
            now_s = 600.0
        async with asyncio.timeout(5):
            await bird.ended.wait()
            while "http_request_duration_seconds_count" not in (told := door.metrics.text()):  # noqa: ASYNC110
                await asyncio.sleep(0)
    assert 'http_request_duration_seconds_sum{operation="parrot"} 0\n' in told
