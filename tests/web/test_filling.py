"""A large body is received where it is to lie, and nothing behind it is taken for a part of it, or before it lost."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from fathom.web.filling import Filling
from fathom.web.listen import Listen, Tls
from fathom.web.server import listening
from tests.web import certificate
from tests.web.by_hand import talk

BODY = Random(5).randbytes(3_000_000)


class Echo:
    """Answers with what came; `patience_s` is how long it waits for it."""

    def __init__(self) -> None:
        self.patience_s = 20.0
        self.fillings: list[Filling] = []
        self.began = asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.asked.append(scope["path"])
        length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        found, first = bytearray(length), (await receive())["body"]
        found[: len(first)] = first
        if (filling := scope["fathom.fill"](memoryview(found)[len(first) :])) is not None:
            self.fillings.append(filling)
            self.began.set()
            await asyncio.wait([filling.ended], timeout=self.patience_s)
            filling.stop()
        whole = filling is None or filling.whole
        said = bytes(found) if whole else b"given up"
        headers = [(b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": 200 if whole else 408, "headers": headers})
        await send({"type": "http.response.body", "body": said})


@pytest.fixture(params=["plain", "tls"])
async def at(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[tuple[Echo, str, Any]]:
    echo = Echo()
    tls, context = None, None
    if request.param == "tls":
        cert, key = certificate.make(tmp_path)
        tls, context = Tls(cert=str(cert), key=str(key)), ssl.create_default_context(cafile=str(cert))
    async with listening(echo, Listen(tls=tls), drain_s=0.5) as url:
        yield echo, url.replace("127.0.0.1", "localhost"), context


async def test_what_comes_behind_a_body_is_the_next_request(at: tuple[Echo, str, Any]):
    echo, url, context = at
    async with talk(url, context) as stranger:
        for _ in range(3):
            stranger.ask("POST", "/first", body=BODY)
            stranger.ask("GET", "/second")
            stranger.ask("POST", "/third", body=BODY[:9])
            assert [(await stranger.answer()).body for _ in range(3)] == [BODY, b"", BODY[:9]]
    assert echo.asked == ["/first", "/second", "/third"] * 3
    assert echo.fillings, "it was received in place"


async def test_a_body_that_comes_in_drops_is_whole(at: tuple[Echo, str, Any]):
    _, url, context = at
    async with talk(url, context) as stranger:
        stranger.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3000\r\n\r\n")
        for begin in range(0, 3_000, 300):
            stranger.send(BODY[begin : begin + 300])
            await asyncio.sleep(0.001)
        assert (await stranger.answer()).body == BODY[:3_000]


async def test_who_leaves_in_the_middle_ends_it(at: tuple[Echo, str, Any]):
    echo, url, context = at
    async with talk(url, context) as stranger:
        stranger.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3000000\r\n\r\n" + BODY[:1_000_000])
        async with asyncio.timeout(5):
            await echo.began.wait()
    async with asyncio.timeout(5):
        await echo.fillings[0].ended
    assert not echo.fillings[0].whole


async def test_what_nobody_waits_for_any_more_is_no_request(at: tuple[Echo, str, Any]):
    echo, url, context = at
    echo.patience_s = 0.05
    async with talk(url, context) as smuggler:
        smuggler.send(b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3000000\r\n\r\nsome of it")
        assert (await smuggler.answer()).status == 408
        smuggler.send(b"GET /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n" * 100)
        await smuggler.ended()
    assert echo.asked == ["/"]
