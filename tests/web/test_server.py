"""Connections that are too slow, too fat or too many are ended; the others do not notice."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from fathom.design import System
from fathom.web import server
from tests.web.by_hand import get, noises, talk
from tests.web.conftest import TOKEN, Opened, opened


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same limits, in less time."""
    monkeypatch.setattr(server, "HEAD_S", 0.2)
    monkeypatch.setattr(server, "BODY_S", 0.2)
    monkeypatch.setattr(server, "_SWEEP_S", 0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent", [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ", b"\r\n", b"\r\n\r\n"]
)
async def test_a_head_that_does_not_come_is_not_waited_for(hasty: None, door: Opened, sent: bytes):
    async with talk(door.where) as slow:
        slow.send(sent)
        assert b" 408 " in (await slow.ended()).partition(b"\r\n")[0]


@pytest.mark.slow
async def test_a_head_that_drips_is_not_waited_for(hasty: None, door: Opened):
    async with talk(door.where) as slow:
        slow.send(b"GET / HTTP/1.1\r\n")

        async def drip() -> None:
            while True:
                slow.send(b"x: y\r\n")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        said = (await slow.ended()).partition(b"\r\n")[0]
        dripping.cancel()
        assert not said or b" 408 " in said  # a reset can overtake the reason, when more drips in meanwhile


@pytest.mark.slow
async def test_a_kept_connection_is_not_taken_for_a_slow_one(hasty: None, door: Opened):
    async with talk(door.where) as kept:
        for _ in range(2):
            kept.ask("GET", "/health")
            assert (await kept.answer()).status == 200
            await asyncio.sleep(0.4)  # idle for longer than a head may take
        kept.send(b"GET /health HTT")
        assert b" 408 " in (await kept.ended()).partition(b"\r\n")[0]


@pytest.mark.slow
async def test_a_long_answer_is_not_taken_for_a_slow_head(hasty: None, door: Opened):
    async with talk(door.where) as patient:
        patient.ask("GET", "/api/v1/hold?name=long")
        await door.service.holding("long", 1)
        await asyncio.sleep(0.5)
        await door.service.release("long")
        assert (await patient.answer()).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x: y\r\n" * 5_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 100_000,
    ],
)
async def test_a_head_that_is_too_large_is_refused(door: Opened, head: bytes):
    async with talk(door.where) as fat:
        fat.send(head)
        got = await fat.answer()
        assert (got.status, got.json["code"]) == (431, "head-too-large")
        assert got.headers["content-type"] == "application/problem+json"
        assert b"HTTP/1.1" not in await fat.ended()


async def test_many_small_requests_at_once_are_not_a_large_head(door: Opened):
    """Pipelined, they come in one piece that is larger than one head may be."""
    async with talk(door.where) as busy:
        busy.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: 0123456789\r\n\r\n" * 1_000)
        for _ in range(1_000):
            assert (await busy.answer()).status == 200


async def test_a_body_is_no_part_of_the_head_that_comes_after_it(door: Opened, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "HEAD_BYTES_MAX", 1_000)
    async with talk(door.where) as kept:
        post = b"POST /nope HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4000\r\n\r\n"
        for part in (post, b"x" * 4_000, b"GET /health HTTP/1.1\r\n", b"host: localhost\r\n\r\n"):
            kept.send(part)
            await asyncio.sleep(0.02)  # so that each comes by itself
        assert (await kept.answer()).status == 415
        assert (await kept.answer()).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # TLS, at a door without it
        b"SSH-2.0-x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET http://[ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_in_http(door: Opened, sent: bytes):
    async with talk(door.where) as stranger:
        stranger.send(sent)
        got = await stranger.answer()
        assert got.status in (400, 404), got
        assert got.headers["content-type"] == "application/problem+json"
    assert (await get(door.where, "/health")).status == 200


async def test_one_connection_too_many_is_told_so(door: Opened, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "CONNECTIONS_MAX", 2)
    async with talk(door.where) as one, talk(door.where) as two:
        for each in (one, two):
            each.ask("GET", "/health")
            assert (await each.answer()).status == 200
        async with talk(door.where) as third:
            assert (await third.answer()).status == 503
            await third.ended()
        one.ask("GET", "/health")
        assert (await one.answer()).status == 200


async def test_an_upgrade_is_not_offered(door: Opened):
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-key": "x", "sec-websocket-version": "13"}
    got = await get(door.where, "/health", headers)
    assert got.status != 101


@pytest.mark.slow
async def test_a_body_nobody_reads_does_not_keep_the_connection(hasty: None, door: Opened):
    async with talk(door.where) as slow:
        slow.ask("POST", "/api/v1/quick", {**TOKEN, "content-length": "1000"})
        await slow.ended()
    assert (await get(door.where, "/health")).status == 200


async def test_ending_lets_a_request_end_and_then_takes_no_more(sample: System):
    ending = AsyncExitStack()
    door = await ending.enter_async_context(opened(sample))
    async with talk(door.where) as patient:
        patient.ask("GET", "/api/v1/hold?name=end")
        await door.service.holding("end", 1)
        ended = asyncio.create_task(ending.aclose())
        for _ in range(50):  # turns of the loop, until the ending waits for this request
            await asyncio.sleep(0)
        await door.service.release("end")
        got = await patient.answer()
        assert (got.status, got.headers["connection"]) == (200, "close")
        await ended
    with pytest.raises(ConnectionRefusedError):
        await get(door.where, "/health")


@pytest.mark.slow
async def test_noise_neither_breaks_nor_blocks_it(door: Opened, caplog: pytest.LogCaptureFixture):
    seed = 20_262
    print(f"seed {seed}")
    good = [
        b"GET /api/v1/greeting?name=x HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /api/v1/quick HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer a-good-token\r\n\r\n",
        b"POST /api/v1/notes HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer a-good-token\r\n"
        b'content-type: application/json\r\ncontent-length: 13\r\n\r\n{"text": "x"}',
        b"POST /api/v1/notes HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]
    for pieces in noises(good, seed=seed, number=200):
        async with talk(door.where) as stranger:
            for piece in pieces:
                stranger.send(piece)
                await asyncio.sleep(0)
            stranger.writer.transport.abort()
    assert (await get(door.where, "/health")).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
