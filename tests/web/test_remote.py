"""A Protocol's verbs cross a socket: same arguments, same answers, same refusals, and three kinds of ending."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NewType, Protocol

import msgspec
import pytest

from fathom.engines.ledger import charging
from fathom.engines.wire import Lost, NotSent, Wire
from fathom.errors import FathomError, Refusal
from fathom.web import remote as remote_module
from fathom.web.remote import BODY_BYTES_MAX, Broke, Doorway, Text, remote, verbs
from tests.web.by_hand import get, noises, talk

PageId = NewType("PageId", int)


class Page(msgspec.Struct, frozen=True):
    """What is asked with."""

    limit: int = 20
    before: PageId | None = None


class Thing(msgspec.Struct, frozen=True):
    """What is answered with."""

    id: PageId
    tags: list[str] = []


class Things(Protocol):
    """Verbs of every shape."""

    async def add(self, id: PageId, *tags_not: Any) -> Thing: ...


class Shop(Protocol):
    """Verbs of every shape that can cross."""

    async def list(self, page: Page = Page(), *, newest: bool = True, tag: str | None = None) -> list[Thing]: ...
    async def echo(self, asked: Any, thing: Thing | None) -> Any: ...
    async def refuse(self, code: str, retry_s: float | None = None) -> None: ...
    async def fall(self) -> None: ...
    async def explain(self) -> None: ...
    async def hold(self, name: str) -> str: ...
    async def caused(self) -> str: ...


class Counter:
    """A service whose calls can be held."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.holding: dict[str, asyncio.Event] = {}
        self.came = asyncio.Event()
        self.cancelled = 0

    async def list(self, page: Page = Page(), *, newest: bool = True, tag: str | None = None) -> list[Thing]:
        self.asked.append((page, newest, tag))
        return [Thing(PageId(n)) for n in range(page.limit)]

    async def quiet(self) -> None:
        """Return when nobody has asked for a while."""
        seen = -1
        while seen != len(self.asked):
            seen = len(self.asked)
            await asyncio.sleep(0.1)

    async def echo(self, asked: Any, thing: Thing | None) -> Any:
        return [asked, thing]

    async def refuse(self, code: str, retry_s: float | None = None) -> None:
        raise Refusal(code, "no, and that is final: ü", retry_s=retry_s)

    async def fall(self) -> None:
        raise RuntimeError("secret details")

    async def explain(self) -> None:
        raise FathomError("the disk is full", why="secret path", fix="make room")

    async def hold(self, name: str) -> str:
        event = self.holding.setdefault(name, asyncio.Event())
        self.came.set()
        try:
            await event.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return name

    async def caused(self) -> str:
        from fathom.engines.ledger import operation

        return operation.get()


@asynccontextmanager
async def served(tmp_path: Path, **limits: Any) -> AsyncIterator[tuple[Counter, str, Doorway]]:
    service = Counter()
    drain_s = limits.pop("drain_s", 1.0)
    doorway = Doorway(Shop, service, **limits)
    path = str(tmp_path / "s")
    async with doorway.open(path, drain_s=drain_s):
        yield service, f"unix:{path}", doorway


@asynccontextmanager
async def asking(where: str, **settings: Any) -> AsyncIterator[Any]:
    wire = Wire(where, **{"connections": 4, **settings})
    async with wire.open():
        yield remote(Shop, wire)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[tuple[Counter, str]]:
    async with served(tmp_path) as (service, where, _):
        yield service, where


async def test_arguments_and_answers_cross_as_they_are(shop: tuple[Counter, str]):
    service, where = shop
    async with asking(where) as client:
        assert await client.list(Page(limit=2)) == [Thing(PageId(0)), Thing(PageId(1))]
        thing = Thing(PageId(2**53 - 1), ["ä", "\x00", '"'])
        assert await client.echo({"a": 1, "b": None, "c": 0.5}, thing) == [
            {"a": 1, "b": None, "c": 0.5},
            {"id": 2**53 - 1, "tags": ["ä", "\x00", '"']},
        ]
        assert await client.echo({}, None) == [{}, None]
    assert service.asked == [(Page(2), True, None)]


async def test_arguments_bind_as_python_binds_them(shop: tuple[Counter, str]):
    service, where = shop
    async with asking(where) as client:
        await client.list()
        await client.list(page=Page(limit=1))
        await client.list(Page(), tag="x")
        await client.list(newest=False)
        for given, named in (((1, 2), {}), ((), {"none": 1}), ((Page(), True), {})):
            with pytest.raises(TypeError):
                await client.list(*given, **named)
        with pytest.raises(TypeError):
            await client.echo({})
    assert service.asked == [
        (Page(), True, None),
        (Page(limit=1), True, None),
        (Page(), True, "x"),
        (Page(), False, None),
    ]


async def test_the_operation_travels_with_the_call(shop: tuple[Counter, str]):
    async with asking(shop[1]) as client:
        assert await client.caused() == "caused"
        with charging("home"):
            assert await client.caused() == "home"
        with charging("x" * 100):
            assert await client.caused() == "caused"  # no caller can fill the ledger with long names
        with charging("two\r\nlines"), pytest.raises(ValueError, match="cannot"):
            await client.caused()


@pytest.mark.parametrize(
    ("code", "retry_s"), [("invalid", None), ("not-found", None), ("unavailable", 2.5), ("conflict", 0.0)]
)
async def test_a_refusal_crosses_unchanged(shop: tuple[Counter, str], code: str, retry_s: float | None):
    async with asking(shop[1]) as client:
        with pytest.raises(Refusal) as refused:
            await client.refuse(code, retry_s)
    assert (refused.value.code, refused.value.says) == (code, "no, and that is final: ü")
    assert refused.value.retry_s == retry_s


async def test_what_breaks_is_unknown_and_tells_nothing_but_where_to_look(
    shop: tuple[Counter, str], caplog: pytest.LogCaptureFixture
):
    async with asking(shop[1]) as client:
        with pytest.raises(Broke) as broke:
            await client.fall()
        with pytest.raises(Broke, match="the disk is full"):
            await client.explain()
        assert "secret" not in str(broke.value)
        assert broke.value.error_id is not None
        assert broke.value.error_id in [getattr(record, "error_id", None) for record in caplog.records]
        assert await client.list(Page(limit=0)) == []


async def test_nobody_there_is_not_sent_and_somebody_silent_is_unknown(tmp_path: Path):
    with pytest.raises(NotSent):
        async with asking(f"unix:{tmp_path}/nobody"):
            raise AssertionError("it connected")
    async with served(tmp_path) as (service, where, _), asking(where, deadline_s=0.05) as client:
        with pytest.raises(TimeoutError):
            await client.hold("late")
        service.holding["late"].set()


async def test_a_connection_that_ends_in_the_middle_is_unknown(tmp_path: Path):
    async with served(tmp_path, drain_s=0.0) as (service, where, doorway), asking(where) as client:
        lost = asyncio.create_task(client.hold("x"))
        await service.came.wait()
        for connection in list(doorway._connections):
            connection._transport.abort()
        with pytest.raises(Lost):
            await lost
        service.holding["x"].set()


async def test_answers_come_in_the_order_of_their_questions(shop: tuple[Counter, str]):
    service, where = shop
    async with talk(where) as caller:
        caller.ask("POST", "/hold", body=b'["first"]')
        caller.ask("POST", "/caused", body=b"[]")
        caller.ask("POST", "/hold", body=b'["third"]')
        caller.ask("POST", "/nope", body=b"[]")
        await service.came.wait()
        while "third" not in service.holding:
            service.came.clear()
            await service.came.wait()
        service.holding["third"].set()
        await asyncio.sleep(0)
        service.holding["first"].set()
        got = [await caller.answer() for _ in range(4)]
    assert [(it.status, it.json if it.status == 200 else it.json["code"]) for it in got] == [
        (200, "first"),
        (200, "caused"),
        (200, "third"),
        (404, "unknown"),
    ]


async def test_a_thousand_questions_in_one_piece_are_all_answered(tmp_path: Path):
    async with served(tmp_path, in_flight_max=5_000) as (_, where, _), talk(where) as caller:
        question = b"POST /caused HTTP/1.1\r\nfathom-op: op%d\r\ncontent-length: 2\r\n\r\n[]"
        caller.send(b"".join(question % n for n in range(1_000)))
        for n in range(1_000):
            assert (await caller.answer()).json == f"op{n}"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/list", b"", 400, "invalid"),
        ("/list", b"[", 400, "invalid"),
        ("/list", b"{}", 422, "invalid"),
        ("/list", b'[{"limit": "many"}]', 422, "invalid"),
        ("/list", b"[{}, true, null, 4]", 422, "invalid"),
        ("/echo", b"[{}]", 422, "invalid"),
        ("/echo", b"[" * 100_000, 400, "invalid"),
        ("/refuse", b'["invalid", NaN]', 400, "invalid"),
        ("/_private", b"[]", 404, "unknown"),
        ("/__init__", b"[]", 404, "unknown"),
        ("/list/", b"[]", 404, "unknown"),
        ("/list?x=1", b"[]", 404, "unknown"),
        ("/", b"[]", 404, "unknown"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    shop: tuple[Counter, str], path: str, body: bytes, status: int, code: str
):
    got = await get(shop[1], path, method="POST", body=body)
    assert (got.status, got.json["code"]) == (status, code)
    assert shop[0].asked == []


async def test_a_verb_is_only_posted(shop: tuple[Counter, str]):
    for method in ("GET", "PUT", "DELETE"):
        assert (await get(shop[1], "/list", method=method)).status == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /list HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"POST /list HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), 413),
        (b"POST /list HTTP/1.1\r\ncontent-length: 99999999999999999\r\n\r\n", 413),
        (b"POST /list HTTP/1.1\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"POST /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"POST /list HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", 400),
    ],
)
async def test_what_cannot_be_read_is_refused_and_ends_the_connection(
    shop: tuple[Counter, str], sent: bytes, status: int
):
    async with talk(shop[1]) as stranger:
        stranger.send(sent)
        assert (await stranger.answer()).status == status
        await stranger.ended()


async def test_a_body_in_pieces_is_read_and_counted(shop: tuple[Counter, str]):
    async with talk(shop[1]) as caller:
        caller.send(b"POST /list HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        for part in (b"[", b'{"limit"', b": 1", b"}]"):
            caller.send(b"%x\r\n%s\r\n" % (len(part), part))
        caller.send(b"0\r\n\r\n")
        assert len((await caller.answer()).json) == 1
        caller.send(b"POST /list HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        for _ in range(BODY_BYTES_MAX // 65_536 + 1):
            caller.send(piece)
        assert (await caller.answer()).status == 413
        await caller.ended()


async def test_a_caller_who_asks_first_whether_to_send_is_told_to_go_on(shop: tuple[Counter, str]):
    async with talk(shop[1]) as caller:
        caller.ask("POST", "/caused", {"expect": "100-continue", "content-length": "2"})
        assert (await caller.answer()).status == 100
        caller.send(b"[]")
        assert (await caller.answer()).json == "caused"


async def test_connections_end_when_asked(shop: tuple[Counter, str]):
    for headers, line in (({"connection": "close"}, "HTTP/1.1"), ({}, "HTTP/1.0")):
        async with talk(shop[1]) as caller:
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            caller.send(f"POST /caused {line}\r\ncontent-length: 2\r\n{more}\r\n[]".encode())
            got = await caller.answer()
            assert (got.status, got.headers["connection"]) == (200, "close")
            assert await caller.ended() == b""


async def test_who_only_stops_sending_is_still_answered(shop: tuple[Counter, str]):
    service, where = shop
    async with talk(where) as caller:
        caller.ask("POST", "/hold", body=b'["half"]')
        caller.writer.write_eof()
        await service.came.wait()
        service.holding["half"].set()
        assert (await caller.answer()).json == "half"
        assert await caller.ended() == b""


async def test_one_call_too_many_is_surely_not_begun(tmp_path: Path):
    async with served(tmp_path, in_flight_max=2) as (service, where, doorway), asking(where) as client:
        held = [asyncio.create_task(client.hold(name)) for name in ("a", "b")]
        while len(service.holding) < 2:
            service.came.clear()
            await service.came.wait()
        with pytest.raises(Refusal) as refused:
            await client.caused()
        assert (refused.value.code, refused.value.retry_s) == ("unavailable", 1)
        for event in service.holding.values():
            event.set()
        assert await asyncio.gather(*held) == ["a", "b"]
        assert await client.caused() == "caused"
        assert (doorway.in_flight, doorway.turned_away) == (0, 1)


async def test_a_call_that_takes_too_long_is_ended_and_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_module, "_SWEEP_S", 0.01)
    async with served(tmp_path, answer_s=0.05) as (service, where, doorway), asking(where) as client:
        with pytest.raises(TimeoutError):
            await client.hold("for good")
        assert service.cancelled == 1
        assert doorway.in_flight == 0


async def test_a_caller_may_say_how_long_it_waits(shop: tuple[Counter, str]):
    service, where = shop
    got = await get(where, "/hold", {"fathom-within-s": "0.01"}, method="POST", body=b'["short"]')
    assert (got.status, got.json["code"]) == (504, "timeout")
    assert service.cancelled == 1


@pytest.mark.slow
async def test_a_request_that_drips_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_module, "_SWEEP_S", 0.01)
    async with served(tmp_path, arrive_s=0.05) as (_, where, _):
        for sent in (b"POST", b"POST /list HTTP/1.1\r\ncontent-length: 9\r\n\r\n[", b"\r\n"):
            async with talk(where) as slow:
                slow.send(sent)
                assert (await slow.answer()).status == 408
                await slow.ended()
        async with talk(where) as kept:
            kept.send(b"POST /caused HTTP/1.1\r\ncontent-length: 2\r\n\r\n[]POST /cau")
            assert (await kept.answer()).status == 200
            assert (await kept.answer()).status == 408  # the second of the two in one piece


@pytest.mark.slow
async def test_a_reader_who_does_not_read_does_not_fill_the_memory(tmp_path: Path):
    """Its connection is not read from either, until it takes what it was answered."""
    async with served(tmp_path, in_flight_max=100_000) as (service, where, doorway), talk(where) as greedy:
        body = b'[{"limit": 200}]'
        question = b"POST /list HTTP/1.1\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        greedy.send(question * 10_000)
        await asyncio.wait_for(service.quiet(), 20)
        (connection,) = doorway._connections
        assert connection._paused
        assert len(service.asked) < 10_000
        assert doorway.in_flight == 0
        greedy.writer.transport.abort()


async def test_ending_lets_calls_end_and_ends_what_does_not(tmp_path: Path):
    async with served(tmp_path, drain_s=0.1) as (service, where, _):
        caller = await asyncio.open_unix_connection(where.removeprefix("unix:"))
        caller[1].write(b'POST /hold HTTP/1.1\r\ncontent-length: 8\r\n\r\n["stay"]')
        await service.came.wait()
    assert service.cancelled == 1
    assert b"504" in await caller[0].readline()
    caller[1].close()
    with pytest.raises(FileNotFoundError):
        await asyncio.open_unix_connection(where.removeprefix("unix:"))


async def test_controls_are_routes_beside_the_verbs(tmp_path: Path):
    async def told(body: bytes | bytearray) -> bytes:
        if body == b"break":
            raise FathomError("it is open", why="nobody closed it", fix="close it")
        return Text(b"told " + body)

    async with served(tmp_path, controls={"POST /-/tell": told}) as (_, where, _):
        got = await get(where, "/-/tell", method="POST", body=b"all")
        assert (got.body, got.headers["content-type"]) == (b"told all", "text/plain; charset=utf-8")
        got = await get(where, "/-/tell", method="POST", body=b"break")
        assert (got.status, got.json["why"], got.json["fix"]) == (500, "nobody closed it", "close it")
        assert (await get(where, "/-/tell")).status == 404


def test_what_cannot_cross_is_named_before_anything_is_asked():
    class Plain(Protocol):
        def verb(self) -> int: ...

    class Unsaid(Protocol):
        async def verb(self, a) -> int: ...

    class Silent(Protocol):
        async def verb(self, a: int): ...

    class Opaque(Protocol):
        async def verb(self, a: socket_like) -> int: ...  # pyright: ignore[reportUndefinedVariable]  # noqa: F821

    class Odd(Protocol):
        async def verb(self, a: dict[str, int] | Page | list[int] | Thing) -> int: ...

    class Empty(Protocol): ...

    for protocol, says in (
        (Plain, "not an async method"),
        (Unsaid, "a has no type"),
        (Silent, "does not say what it returns"),
        (Opaque, "something unknown"),
        (Odd, "union"),
        (Things, "any number of arguments"),
        (Empty, "no verbs|public async methods"),
    ):
        with pytest.raises(FathomError) as refused:
            verbs(protocol)
        assert any(word in str(refused.value) for word in says.split("|")), refused.value
        assert refused.value.fix


async def test_a_newer_client_and_an_older_service_understand_each_other(shop: tuple[Counter, str]):
    """Further fields of a struct are no fault; a further argument is, because it would be lost silently."""
    got = await get(shop[1], "/list", method="POST", body=json.dumps([{"limit": 1, "since": 3}]).encode())
    assert got.status == 200


def test_a_service_without_one_of_its_verbs_is_not_served():
    with pytest.raises(FathomError, match="no verb 'caused'"):
        Doorway(
            Shop, object.__new__(type("Half", (), {name: Counter.fall for name in verbs(Shop) if name != "caused"}))
        )


@pytest.mark.slow
async def test_noise_neither_breaks_nor_blocks_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """Whole requests, cut, mixed up, doubled and sent in pieces of any size; then it still answers."""
    seed = 20_261
    print(f"seed {seed}")
    good = [
        b'POST /list HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n[{"limit": 3}]',
        b"POST /caused HTTP/1.1\r\nfathom-op: home\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nconnection: close\r\n\r\n",
    ]
    async with served(tmp_path, arrive_s=0.05) as (_, where, doorway):
        for pieces in noises(good, seed=seed, number=300):
            async with talk(where) as stranger:
                for piece in pieces:
                    stranger.send(piece)
                    await asyncio.sleep(0)
                stranger.writer.transport.abort()
        assert (await get(where, "/caused", method="POST", body=b"[]")).json == "caused"
        assert doorway.in_flight == 0
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
