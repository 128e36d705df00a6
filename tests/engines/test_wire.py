"""The wire: raw HTTP, whose failures say whether a request was sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import uvloop

from fathom.engines import wire as wires
from fathom.engines.wire import Answer, Late, Lost, NotSent, Wire, header, request
from fathom.errors import FathomError

GET = request("GET", "/")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve, path: Path | None = None) -> AsyncIterator[str]:
    """A server whose connections are each served by `serve`; yields where it is."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    if path is None:
        listening = await asyncio.start_server(one, "127.0.0.1", 0)
        where = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    else:
        listening = await asyncio.start_unix_server(one, path)
        where = f"unix:{path}"
    try:
        yield where
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(*pieces: bytes, close: bool = False) -> Serve:
    """Answer every request with these pieces, each in a turn of its own."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            if close:
                return

    return serve


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request with its path."""
    while True:
        body = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("unix", [False, True])
async def test_it_asks_over_tcp_and_over_a_unix_socket_whose_path_has_a_blank(unix, tmp_path):
    async with server(echo, tmp_path / "a socket" if unix else None) as where, Wire(where).open() as wire:
        assert await wire.ask(request("GET", "/home")) == (200, b"HTTP/1.1 200 OK\r\nContent-Length: 5", b"/home")


async def test_more_requests_than_connections_wait_their_turn(tmp_path):
    async with server(echo) as where, Wire(where, connections=3).open() as wire:
        answers = await asyncio.gather(*(wire.ask(request("GET", f"/{n}")) for n in range(200)))
    assert [answer.body for answer in answers] == [f"/{n}".encode() for n in range(200)]


@pytest.mark.parametrize(
    ("response", "body", "status"),
    [
        (OK, b"ok", 200),
        (b"HTTP/1.1 404 No\r\ncontent-length:0\r\n\r\n", b"", 404),
        (b"HTTP/1.1 204 Nothing\r\n\r\n", b"", 204),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 70\r\n\r\n", b"", 304),
        (b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n" + OK, b"ok", 200),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n0A\r\n0123456789\r\n0\r\n\r\n",
            b"ab0123456789",
            200,
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nz\r\n0\r\nTrailer: t\r\n\r\n", b"z", 200),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
async def test_a_body_is_read_whole_however_it_is_delimited_and_cut(response, body, status, size):
    pieces = [response[at : at + size] for at in range(0, len(response), size)]
    async with server(saying(*pieces)) as where, Wire(where, connections=1).open() as wire:
        for _ in range(2):  # and the connection serves again
            answer = await wire.ask(GET)
            assert (answer.status, answer.body) == (status, body)


async def test_an_answer_to_head_has_no_body_whatever_its_length_says():
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
    async with server(saying(response)) as where, Wire(where, connections=1).open() as wire:
        for _ in range(2):
            assert (await wire.ask(request("HEAD", "/"))).body == b""


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 13\r\n\r\nuntil the end",
    ],
)
async def test_a_connection_that_the_server_ends_is_made_again(response):
    async with server(saying(response, close=True)) as where, Wire(where, connections=1).open() as wire:
        for _ in range(3):
            assert (await wire.ask(GET)).body == b"until the end"


@pytest.mark.parametrize(
    "response",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        OK + OK,
    ],
)
async def test_what_cannot_be_trusted_is_not_an_answer(response):
    async with server(saying(response)) as where, Wire(where, connections=1).open() as wire:
        with pytest.raises(Lost):
            await wire.ask(GET)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal"])
async def test_a_connection_that_breaks_before_the_whole_answer_leaves_the_request_unknown(said):
    async with server(saying(said, close=True)) as where, Wire(where, connections=1).open() as wire:
        with pytest.raises(Lost) as failure:
            await wire.ask(GET)
    assert isinstance(failure.value, TimeoutError)  # unknown, as everywhere


async def test_where_nobody_listens_nothing_is_sent():
    async with server(echo) as where:
        pass
    with pytest.raises(NotSent, match="was not sent"):
        async with Wire(where, connections=4).open():
            pass


async def test_a_server_that_goes_and_comes_back_is_found_again(tmp_path):
    path = tmp_path / "socket"
    async with server(echo, path) as where:
        wire = Wire(where, connections=2)
        opened = wire.open()
        await opened.__aenter__()
        assert (await wire.ask(GET)).status == 200
    try:
        with pytest.raises(NotSent):
            while True:  # until the news has arrived that it went
                with suppress(Lost):
                    await wire.ask(GET)
        async with server(echo, path):
            await wire.wait_up(10)
            assert (await wire.ask(GET)).status == 200
    finally:
        await opened.__aexit__(None, None, None)


async def test_a_late_answer_is_nobodys():
    release = asyncio.Event()

    async def slow_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            if path == b"/slow":
                await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(path), path))

    async with server(slow_first) as where, Wire(where, connections=1, deadline_s=0.1).open() as wire:
        with pytest.raises(Late):
            await wire.ask(request("GET", "/slow"))
        release.set()
        assert (await wire.ask(request("GET", "/next"))).body == b"/next"


async def test_who_finds_no_free_connection_before_the_deadline_was_not_sent():
    async with server(silent) as where, Wire(where, connections=1, deadline_s=0.1).open() as wire:
        outcomes = await asyncio.gather(wire.ask(GET), wire.ask(GET), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Late, NotSent]


async def test_no_more_wait_than_are_allowed_to():
    async with server(silent) as where, Wire(where, connections=1, deadline_s=0.1, waiting_max=1).open() as wire:
        outcomes = await asyncio.gather(*(wire.ask(GET) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Late, NotSent, NotSent]
    assert "already wait" in str(outcomes[2])


async def test_who_gives_up_while_waiting_is_never_sent():
    seen: list[bytes] = []
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            seen.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
            await release.wait()
            writer.write(OK)

    async with server(slow) as where, Wire(where, connections=1).open() as wire:
        asked = [asyncio.create_task(wire.ask(request("GET", f"/{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        asked[1].cancel()
        await asyncio.wait([asked[1]])
        release.set()
        assert [(await asked[n]).status for n in (0, 2)] == [200, 200]
    assert seen == [b"/0", b"/2"]


async def test_what_is_under_way_when_the_block_ends_is_unknown_and_what_waits_was_not_sent():
    ends: list[Answer | Exception] = []
    async with server(silent) as where:
        async with Wire(where, connections=1).open() as wire:
            for _ in range(2):
                wire.fire(GET, ends.append)
        wire.fire(GET, ends.append)
    assert [type(end) for end in ends] == [Lost, NotSent, NotSent]


async def test_a_callback_that_fails_harms_nobody_else():
    heard: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
    async with server(echo) as where, Wire(where, connections=1).open() as wire:
        wire.fire(GET, lambda what: 1 / 0)
        assert (await wire.ask(GET)).status == 200
    assert [type(context["exception"]) for context in heard] == [ZeroDivisionError]


@pytest.mark.slow
async def test_a_server_that_accepts_and_hangs_up_is_not_stormed():
    accepted = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1

    async with server(hang_up) as where, Wire(where, connections=1).open():
        await asyncio.sleep(0.4)
    assert accepted < 20  # 10 ms, then twice as long each time


@pytest.mark.parametrize("where", ["", "127.0.0.1:80", "https://h", "http://", "http://h:x", "http://h/path"])
def test_where_no_http_server_can_be_is_refused(where):
    with pytest.raises(FathomError, match="where an HTTP server can be"):
        Wire(where)


@pytest.mark.parametrize("bad", [{"path": "/a b"}, {"path": "/\r\nX: y"}, {"headers": [("A", "b\nC: d")]}])
def test_a_request_cannot_be_split_in_two(bad):
    with pytest.raises(ValueError, match="break in two"):
        request("GET", bad.get("path", "/"), headers=bad.get("headers", ()))


def test_a_request_says_how_long_its_body_is():
    assert request("POST", "/x", headers=[("A", "b")], body=b"12", host="h") == (
        b"POST /x HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 2\r\n\r\n12"
    )
    assert b"Content-Length: 0" in request("POST", "/x")


def test_a_header_is_found_whatever_its_case():
    answer = Answer(200, b"HTTP/1.1 200 OK\r\nX-One: 1\r\nx-two:  2 \r\n", b"")
    assert (header(answer, b"X-TWO"), header(answer, b"x-one"), header(answer, b"three")) == (b"2", b"1", None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_whatever_happens_every_answer_belongs_to_its_request(run, seed, monkeypatch):
    """Bodies of any size, cut anywhere, in chunks or not; slow, broken and never answers; impatient callers."""
    print(f"seed {seed}")
    monkeypatch.setattr(wires, "SHAPES_MAX", 3)  # so that what is remembered is forgotten, too
    run(everything_at_once(seed))


async def everything_at_once(seed: int) -> None:
    dice = random.Random(seed)
    answered = failed = 0

    async def erratic(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            name = (await reader.readuntil(b"\r\n\r\n")).split()[1]
            if dice.random() < 0.05:
                await asyncio.sleep(dice.random() * 0.2)
            body = name * dice.choice((1, 1, 50, 5_000))
            extra = dice.choice((b"", b"X-Request-Id: %d\r\n" % dice.randrange(10**9), b"Connection: close\r\n"))
            if dice.random() < 0.5:
                response = b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (extra, len(body), body)
            else:
                at = dice.randrange(len(body)) + 1
                rest = b"%x\r\n%s\r\n" % (len(body) - at, body[at:]) if at < len(body) else b""
                head = b"HTTP/1.1 200 OK\r\n%sTransfer-Encoding: chunked\r\n\r\n" % extra
                response = head + b"%x\r\n%s\r\n%s0\r\n\r\n" % (at, body[:at], rest)
            cut = dice.randrange(len(response))
            writer.write(response[:cut])
            if dice.random() < 0.05:
                return  # hang up in the middle
            if dice.random() < 0.3:
                await asyncio.sleep(0)
            writer.write(response[cut:])
            await writer.drain()
            if extra.startswith(b"Conn"):
                return

    async def ask(wire: Wire, name: str) -> None:
        nonlocal answered, failed
        try:
            answer = await wire.ask(request("GET", f"/{name}"))
        except (NotSent, Lost, Late):
            failed += 1
            return
        copies = len(answer.body) // len(f"/{name}")
        assert copies >= 1
        assert answer.body == f"/{name}".encode() * copies
        answered += 1

    async with (
        server(erratic) as where,
        Wire(where, connections=5, deadline_s=0.1, seed=seed).open() as wire,
        asyncio.TaskGroup() as group,
    ):
        for number in range(400):
            task = group.create_task(ask(wire, f"{number};"))
            if dice.random() < 0.1:
                asyncio.get_running_loop().call_later(dice.random() * 0.02, task.cancel)
            if dice.random() < 0.2:
                await asyncio.sleep(dice.random() * 0.01)
    print(f"{answered} answered, {failed} failed")
    assert answered > 100
