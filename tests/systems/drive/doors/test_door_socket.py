"""Who talks on a websocket: told of each head from their cursor on, pinged, bounded, and let in like anybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from fathom.errors import Refusal
from fathom.systems.drive.api import ROOT, Cursor, Make, Space
from fathom.systems.drive.client.rest import Rest
from fathom.systems.drive.doors import live
from fathom.systems.drive.doors.unbuffered import Unbuffered
from fathom.systems.drive.model import DriveModel
from fathom.web import server
from fathom.web.listen import Listen
from fathom.web.server import listening
from tests.features import feature

from .visitor import PASSWORD, Behind

NAMES = iter(range(1_000_000))
TASKS = Path("/proc/self/task")


class Ear:
    """A websocket by hand, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: ClientProtocol) -> None:
        self.reader, self.writer, self.protocol = reader, writer, protocol
        self.frames: list[Frame] = []
        self.answer: Response | None = None
        self.deaf = False

    async def hear(self) -> bool:
        data = await self.reader.read(65_536)
        self.protocol.receive_data(data) if data else self.protocol.receive_eof()
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.answer = event
            else:
                assert isinstance(event, Frame)
                self.frames.append(event)
        if not self.deaf:
            self.say(b"".join(self.protocol.data_to_send()))
        return bool(data)

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def frame(self, opcode: Opcode) -> Frame:
        async with asyncio.timeout(5):
            while not any(it.opcode is opcode for it in self.frames):
                assert await self.hear(), "it has ended"
        found = next(it for it in self.frames if it.opcode is opcode)
        self.frames.remove(found)
        return found

    async def head(self) -> dict[str, Any]:
        return msgspec.json.decode((await self.frame(Opcode.TEXT)).data)

    async def ended(self) -> int | None:
        """Wait until the other side ends it; return its close code."""
        async with asyncio.timeout(5):
            while await self.hear():
                pass
        return self.protocol.close_rcvd.code if self.protocol.close_rcvd else None


@asynccontextmanager
async def ear(url: str, path: str, token: str | None, **headers: str) -> AsyncIterator[Ear]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        protocol = ClientProtocol(parse_uri(f"ws://{host}:{port}{path}"))
        request = protocol.connect()
        for name, value in headers.items():
            if name in request.headers:
                del request.headers[name]
            request.headers[name] = value
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        protocol.send_request(request)
        it = Ear(reader, writer, protocol)
        it.say(b"".join(protocol.data_to_send()))
        async with asyncio.timeout(5):
            while it.answer is None:
                await it.hear()
        yield it
    finally:
        writer.close()


class Person:
    """Somebody at a door that listens on a port, with a space of their own."""

    def __init__(self, url: str, drive: Any, user: Any, space: Any, token: str) -> None:
        self.url, self.drive, self.user, self.space, self.token = url, drive, user, space, token
        self.path = f"/api/spaces/{space}/live"

    async def makes(self) -> None:
        async with Rest(self.url, self.token) as rest:
            await rest.commit(self.user, self.space, [Make(parent=ROOT, name=f"n{next(NAMES)}")])

    def hears(self, query: str = "", **headers: str) -> Any:
        return ear(self.url, self.path + query, self.token, **headers)


@pytest.fixture
async def url(door: Unbuffered) -> AsyncIterator[str]:
    async with listening(door, Listen(), drain_s=1) as url:
        yield url


@pytest.fixture
async def ann(url: str, behind: Behind, model: DriveModel) -> Person:
    return await person(url, behind, "ann")


async def person(url: str, behind: Behind, name: str) -> Person:
    user = await behind.join(name, PASSWORD)
    return Person(url, behind, user.id, (await behind.spaces(user.id))[0].id, await behind.login(name, PASSWORD))


async def test_each_head_is_told_from_the_cursor_on(ann: Person):
    async with ann.hears() as one, ann.hears("?epoch=1&seq=0") as other:
        assert await one.head() == {"head": 0, "epoch": "1"}
        await ann.makes()
        assert await one.head() == {"head": 1, "epoch": "1"}
        assert await other.head() == {"head": 1, "epoch": "1"}, "what it knew it was not told"
    await ann.makes()
    async with ann.hears("?epoch=1&seq=1") as again:
        assert await again.head() == {"head": 2, "epoch": "1"}, "at once: it happened while nobody listened"
    async with ann.hears("?epoch=another&seq=2") as strange:
        assert await strange.head() == {"head": 2, "epoch": "1"}


async def status(answer: Response | None) -> tuple[int, str]:
    assert answer is not None
    return answer.status_code, msgspec.json.decode(bytes(answer.body or b"{}")).get("code", "")


async def test_strangers_and_pages_of_other_sites_are_refused_in_the_same_words_as_anywhere(
    ann: Person, behind: Behind
):
    bob = await person(ann.url, behind, "bob")
    for token, path, want in (
        (None, ann.path, (401, "unauthorised")),
        ("nonsense", ann.path, (401, "unauthorised")),
        (bob.token, ann.path, (404, "not-found")),
        (ann.token, "/api/spaces/7/live", (404, "not-found")),
        (ann.token, "/api/spaces", (404, "not-found")),
        (ann.token, ann.path + "?seq=1", (422, "invalid")),
        (ann.token, ann.path + "?epoch=1&seq=-1", (422, "invalid")),
        (ann.token, ann.path + "?what=1", (422, "invalid")),
    ):
        async with ear(ann.url, path, token) as it:
            got = await status(it.answer)
            assert got == want, (token, path)
    async with ann.hears(Origin="http://evil.example") as evil:
        assert await status(evil.answer) == (403, "forbidden")
    async with ann.hears(Host="evil.example") as rebound:
        assert (await status(rebound.answer))[0] == 421
    async with ann.hears(Origin=ann.url) as page:
        assert page.answer is not None and page.answer.status_code == 101


async def test_who_logs_out_has_heard_the_last_at_once(ann: Person):
    async with ann.hears() as it:
        await it.head()
        async with Rest(ann.url, ann.token) as rest:
            await rest.logout(ann.token)
        assert await it.ended() == 1008
    async with ann.hears() as again:
        assert await status(again.answer) == (401, "unauthorised")


@pytest.mark.slow
@feature("DRIVE-57")
async def test_who_does_not_answer_a_ping_is_gone_and_who_does_stays(
    door: Unbuffered, behind: Behind, model: DriveModel, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "PING_S", 0.1)
    async with listening(door, Listen(), drain_s=1) as url:
        ann = await person(url, behind, "ann")
        async with ann.hears() as lively, ann.hears() as deaf:
            await lively.head()
            deaf.deaf = True
            for _ in range(4):
                await lively.frame(Opcode.PING)
            assert await deaf.ended() == 1011
            await ann.makes()
            assert (await lively.head())["head"] == 1


async def test_one_person_has_so_many_and_what_they_say_is_bounded(ann: Person, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "OF_ONE", 2)
    async with ann.hears() as one, ann.hears() as two:
        async with ann.hears() as three:
            assert (await status(three.answer))[1] == "too-many"
        await one.head()
        one.protocol.send_binary(b"x" * 5_000)
        one.say(b"".join(one.protocol.data_to_send()))
        assert await one.ended() == 1009, "a message is at most 4 KiB"
        await two.head()
        for _ in range(101):
            two.protocol.send_text(b"hello")
        two.say(b"".join(two.protocol.data_to_send()))
        assert await two.ended() == 1008
    async with asyncio.timeout(5):
        while True:
            async with ann.hears() as again:
                if again.answer is not None and again.answer.status_code == 101:
                    break
                await asyncio.sleep(0)


@feature("DRIVE-53")
async def test_a_client_goes_on_from_its_cursor_when_its_door_was_gone(door: Unbuffered, behind: Behind, model: Any):
    """Two doors, one after the other, to the same drive, as when one of several is taken away."""
    async with AsyncExitStack() as stack, asyncio.timeout(10):
        first = AsyncExitStack()
        url = await first.enter_async_context(listening(door, Listen(), drain_s=1))
        ann = await person(url, behind, "ann")
        rest = await stack.enter_async_context(Rest(url, ann.token))
        heads = await stack.enter_async_context(aclosing(rest.live(ann.space)))
        assert await anext(heads) == Cursor("1", 0)
        await ann.makes()
        assert await anext(heads) == Cursor("1", 1)
        following = asyncio.ensure_future(anext(heads))
        await first.aclose()
        await stack.enter_async_context(listening(door, Listen(port=int(url.rpartition(":")[2])), drain_s=1))
        await ann.makes()
        assert await following == Cursor("1", 2)


async def test_a_stranger_who_listens_is_told_no(ann: Person, behind: Behind):
    bob = await person(ann.url, behind, "bob")
    async with Rest(ann.url, bob.token) as rest, asyncio.timeout(5):
        with pytest.raises(Refusal) as refused:
            await anext(rest.live(ann.space))
        assert refused.value.code == "not-found"
        with pytest.raises(Refusal) as refused:
            await rest.moved(ann.space, Cursor("1", 0), 1)
        assert refused.value.code == "not-found"


async def test_a_long_poll_is_answered_when_there_is_something_or_its_time_is_over(ann: Person):
    async with Rest(ann.url, ann.token) as rest, asyncio.timeout(5):
        found = await rest.moved(ann.space, Cursor("1", 7), 20)
        assert isinstance(found, Space) and found.head == 0, "at once: that is not where it is"
        waiting = asyncio.ensure_future(rest.moved(ann.space, Cursor("1", 0), 20))
        await rest.space(ann.user, ann.space)
        assert not waiting.done()
        await ann.makes()
        assert (await waiting).head == 1
        assert (await rest.moved(ann.space, Cursor("1", 1), 0)).head == 1, "nothing happened"


async def test_who_logs_out_while_they_wait_is_refused_as_anybody_is(ann: Person, door: Unbuffered):
    waits = door.dialect._tongues[0]._live._by_token  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    async with Rest(ann.url, ann.token) as rest, asyncio.timeout(5):
        waiting = asyncio.ensure_future(rest.moved(ann.space, Cursor("1", 0), 20))
        while not waits:  # noqa: ASYNC110 - the door gives no sign
            await asyncio.sleep(0.001)
        await rest.logout(ann.token)
        with pytest.raises(Refusal) as refused:
            await waiting
        assert refused.value.code == "unauthorised"


@pytest.mark.slow
@pytest.mark.skipif(not TASKS.is_dir(), reason="threads and descriptors are counted in /proc")
@feature("DRIVE-75")
async def test_a_hundred_who_listen_cost_no_thread_and_are_waited_for_by_one_epoll(
    ann: Person, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "OF_ONE", 100)
    threads, _ = used()
    async with AsyncExitStack() as stack:
        them = [await stack.enter_async_context(ann.hears()) for _ in range(100)]
        await ann.makes()
        for each in them:
            while (await each.head())["head"] != 1:
                pass
        now, polls = used()
        assert now <= threads + 1  # a name was looked up
        assert 0 < polls < 5


def used() -> tuple[int, int]:
    """Return how many threads there are, and how many epolls."""
    links = [str(fd.readlink()) for fd in (TASKS.parent / "fd").iterdir() if fd.exists() or fd.is_symlink()]
    return len(list(TASKS.iterdir())), links.count("anon_inode:[eventpoll]")
